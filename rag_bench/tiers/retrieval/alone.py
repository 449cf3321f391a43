"""A retriever opened once and asked one question at a time, as an assistant does, by the clock.

Results are not made here: tier 1 searches for all questions in one pass. What is found here is the
same, by the same searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rag_bench.retrievers import HttpReranker
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.retrieval.reranking import open_here
from rag_bench.tiers.retrieval.stopwatch import Ask, Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.retrieval.encoder import Encoder
    from rag_bench.retrieval.search import TopK

Find = Callable[[str, "np.ndarray | None", int], "TopK"]
"""Gets a question, its vector (1, d) if the retriever reads vectors, and how many to find."""


#: By encoder and exact text, the milliseconds of a question's vector and the vector.
_made: WeakKeyDictionary[Encoder, dict[str, tuple[float, np.ndarray]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Opened:
    """A retriever that can be asked.

    Attributes:
        ask: one question; counts ``encoding``, ``search`` and ``reranking`` by the watch. What a
            question takes to encode is measured once, whichever retrievers of the encoder ask it.
        prepare: has questions' candidates read by a reranker that keeps what it made of them.
        is_whole: False: its reranker is a service, which is not asked here, as that would pay.
        build_seconds: that its indexes took.
        index_bytes: that they hold.
    """

    ask: Ask
    prepare: Callable[[Sequence[str]], None]
    is_whole: bool
    build_seconds: float
    index_bytes: int


@dataclass(frozen=True)
class _Index:
    find: Find
    n_bytes: int


@contextmanager
def opened(bench: Bench) -> Iterator[Opened]:
    """Build the indexes of the bench's retriever and hold them while the block runs.

    Rerankers score anew, whatever scores of earlier runs are stored. Chunks that have no vector
    yet are encoded first, which is no part of building.
    """
    from rag_bench.evaluation.precision import settled
    from rag_bench.retrieval.rerankers.pairs import Candidates, reordered
    from rag_bench.retrieval.search import NOT_FOUND

    retriever = bench.retriever
    with ExitStack() as held:
        passages = [chunk.text for chunk in bench.chunks]
        encoder = bench.searched.loaded() if retriever.reads_vectors else None
        if retriever.reads_vectors:
            bench.searched.of_chunks(passages)
        local = open_here(bench)
        scorer = local.scorer if local else None
        started = time.perf_counter()
        indexes = [held.enter_context(_INDEXES[name](bench)) for name in retriever.searches]
        seconds = time.perf_counter() - started
        depth = retriever.candidates if retriever.is_deep else bench.run.top_k

        def find(question: str, watch: Stopwatch) -> TopK:
            vector = None if encoder is None else _encoded(encoder, question, watch)
            with watch("search"):
                lists = [index.find(question, vector, depth) for index in indexes]
                return lists[0] if len(lists) == 1 else _fused(bench, lists, depth)

        def prepare(questions: Sequence[str]) -> None:
            if scorer is not None:
                found = [find(question, Stopwatch()).indices[0] for question in questions]
                places = {int(place) for row in found for place in row} - {NOT_FOUND}
                scorer.read([passages[place] for place in sorted(places)])

        def ask(question: str, watch: Stopwatch) -> list[int]:
            found = find(question, watch)
            if scorer is not None:
                with watch("reranking"):
                    asked = Candidates.of(found, [question], passages)
                    scores = scorer.scores(asked.questions, asked.places, passages)
                    found = reordered(asked, [settled(own) for own in scores], bench.run.top_k)
            places = found.indices[0][: bench.run.top_k]
            return [int(place) for place in places if place != NOT_FOUND]

        is_whole = not isinstance(retriever.reranks, HttpReranker)
        yield Opened(ask, prepare, is_whole, seconds, sum(index.n_bytes for index in indexes))


def _encoded(encoder: Encoder, question: str, watch: Stopwatch) -> np.ndarray:
    """Return a question's vector (1, d), made alone; made once, its time counts each time."""
    text = encoder.query_text(question)
    if encoder not in _made:
        _made[encoder] = {}
        encoder.encode([text])  # what loads at first use is no part of a query
    known = _made[encoder]
    if text in known:
        ms, vector = known[text]
        watch.count("encoding", ms)
    else:
        with watch("encoding"):
            vector = encoder.encode([text]).vectors
        known[text] = (watch.parts["encoding"], vector)
    return vector


def _fused(bench: Bench, lists: list[TopK], depth: int) -> TopK:
    from rag_bench.retrieval.fusion import reciprocal_rank_fusion

    return reciprocal_rank_fusion(lists, bench.retriever.rrf_k, depth)


@contextmanager
def _dense_exact(bench: Bench) -> Iterator[_Index]:
    from rag_bench.retrieval.search import top_k

    matrix = bench.searched.of_chunks([chunk.text for chunk in bench.chunks])

    def find(question: str, vector: np.ndarray | None, depth: int) -> TopK:
        assert vector is not None
        return top_k(vector, matrix, depth)

    yield _Index(find, int(matrix.nbytes))


@contextmanager
def _dense_hnsw(bench: Bench) -> Iterator[_Index]:
    from rag_bench.retrieval.pgvector_search import pgvector_table

    texts = bench.searched
    hashes = texts.chunk_hashes([chunk.text for chunk in bench.chunks])
    dimension = texts.of_chunks([bench.chunks[0].text]).shape[1]
    with pgvector_table(bench.engine, texts.identity.key, dimension, hashes, "hnsw") as table:

        def find(question: str, vector: np.ndarray | None, depth: int) -> TopK:
            assert vector is not None
            return table.top_k(vector, depth)

        yield _Index(find, table.n_bytes())


@contextmanager
def _bm25(bench: Bench) -> Iterator[_Index]:
    from rag_bench.retrieval.bm25 import Bm25Index

    index = Bm25Index.build([chunk.text for chunk in bench.chunks], bench.retriever.bm25)
    yield _Index(lambda question, vector, depth: index.search([question], depth), index.nbytes)


_INDEXES: Mapping[str, Callable[[Bench], AbstractContextManager[_Index]]] = {
    "dense_exact": _dense_exact,
    "dense_hnsw": _dense_hnsw,
    "bm25": _bm25,
}
