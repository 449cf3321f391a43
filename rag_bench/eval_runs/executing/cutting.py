"""Of which cases the encoder read only the beginning of a text, as its vectors say.

Models that answer and judges are sent every text whole; what is too long for one of them is an
error. An encoder reads as many tokens as it can, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rag_bench.hashing import text_hash
from rag_bench.llm.tasks.pipeline import split_citations
from rag_bench.store import vectors
from rag_bench.tiers.answers.measuring import reads_vectors

if TYPE_CHECKING:
    from rag_bench.eval_runs.executing.wanted import Wanted
    from rag_bench.store.evaluations import Case
    from rag_bench.tiers.base.bench import Bench

    Cases = Mapping[str, Case]


def cut_cases(
    bench: Bench, wanted: Wanted, answers: Cases | None, retrieval: Cases | None
) -> frozenset[str]:
    """Return the cases with a retrieved chunk, an answer or a reference of which a vector that was
    read for them is of the beginning alone.
    """
    return _by_chunks(bench, retrieval or {}) | _by_answers(bench, wanted, answers or {})


def _by_chunks(bench: Bench, retrieval: Cases) -> frozenset[str]:
    if not retrieval or not bench.retriever.reads_vectors:
        return frozenset()
    found = {
        name: [row["chunk_hash"] for row in case.retrieved or ()]
        for name, case in retrieval.items()
    }
    identity, chunks = bench.searched.identity, bench.chunk_by_hash
    texts = {
        chunk: identity.passage_text(chunks[chunk].text)
        for named in found.values()
        for chunk in named
        if chunk in chunks
    }
    return _cut(
        bench, identity.key, {n: [texts[c] for c in f if c in texts] for n, f in found.items()}
    )


def _by_answers(bench: Bench, wanted: Wanted, answers: Cases) -> frozenset[str]:
    if not (wanted.ragas_answers or reads_vectors("3", wanted.of_answers)):
        return frozenset()
    identity = bench.encoder_identity
    references = {item.item_id: item.reference_answer for item in bench.items}
    exact: dict[str, list[str]] = {}
    for name, case in answers.items():
        if case.answer is not None:
            # RAGAS compares the words without their marks [1].
            read = (case.answer, split_citations(case.answer)[1], references.get(name))
            exact[name] = [identity.query_text(text) for text in read if text]
    return _cut(bench, identity.key, exact)


def _cut(bench: Bench, encoder: str, exact: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return the cases one of whose texts is cut."""
    hashes = {name: {text_hash(text) for text in texts} for name, texts in exact.items()}
    every = {one for found in hashes.values() for one in found}
    cut = vectors.truncated_among(bench.engine, encoder, every)
    return frozenset(name for name, found in hashes.items() if found & cut)
