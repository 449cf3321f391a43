"""What every generation model is asked, whoever gives it its chunks, and what is encoded of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from rag_bench.errors import CaseError
from rag_bench.evaluation.catalogue import added_versions
from rag_bench.llm.tasks.pipeline import Answer
from rag_bench.store.datasets import Item
from rag_bench.tiers.answers import apart, measuring
from rag_bench.tiers.answers.measuring import Vectors
from rag_bench.tiers.base.bench import Bench


def asked_of(bench: Bench, tier: str) -> list[tuple[Item, int]]:
    """Return what a tier asks every generation model: each question with each repeat."""
    # Tier 2 has nothing to give for a question that no chunk answers: it does not apply there.
    items = [item for item in bench.items if tier == "3" or not item.out_of_scope]
    return [(item, r) for item in items for r in range(bench.run.consistency_runs)]


def added_inputs(tier: str, wanted: Collection[str] | None = None) -> tuple[Any, ...]:
    """Return what enters the input hash for metrics that the step's version does not count, and
    which are measured where that are not all.
    """
    added = added_versions(tier, wanted)
    parts: list[Any] = [{"metrics": added}] if added else []
    return tuple(parts if wanted is None else [*parts, {"wanted": sorted(wanted)}])


def encode_soon(bench: Bench, result: Answer | CaseError) -> None:
    """Have an answer encoded beside the calls that are still made."""
    if isinstance(result, Answer) and measuring.reads_vectors("3", bench.wanted):
        bench.encode_soon([result.text])


def rehearse(bench: Bench, tier: str, asked: Sequence[tuple[Item, int]]) -> None:
    """Do once, in small, what measuring does with libraries; have references encoded."""
    apart.prepare(bench)  # judges may be asked ahead
    if measuring.reads_vectors(tier, bench.wanted):
        bench.rehearse_encoding()
        bench.encode_soon(sorted({item.reference_answer or "" for item, _ in asked} - {""}))
    measuring.rehearse(tier)


def answer_vectors(
    bench: Bench, asked: Sequence[tuple[Item, int]], results: Sequence[Answer | CaseError]
) -> Vectors:
    """Return the vectors of all answers and references by their text; none where no wanted metric
    reads one.

    Both sides are encoded as questions are: e5 wants one prefix on both for plain similarity.
    """
    if not measuring.reads_vectors("3", bench.wanted):
        return {}
    answers = {r.text for r in results if isinstance(r, Answer) and measuring.is_there(r)}
    references = {item.reference_answer for item, _ in asked if item.reference_answer}
    texts = sorted(answers | references)
    if not texts:
        return {}
    bench.await_encoding(texts)
    exact = [bench.encoder_identity.query_text(text) for text in texts]
    bench.embed(exact, "encoding answers")  # what was not awaited of a model: the cache's answers
    return dict(zip(texts, bench.vectors(exact), strict=True))
