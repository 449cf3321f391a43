"""How the chunks of a question are found: one entry per search that a retriever may name.

What makes one list of several, `hybrid`, is no search of its own; see `candidates`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rag_bench.hashing import text_hash
from rag_bench.searches import Search, SingleSearch
from rag_bench.tiers.base.bench import Bench

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.retrieval.search import TopK

Find = Callable[[Bench, int], "TopK"]


@dataclass(frozen=True)
class Searcher:
    """One way to search.

    Attributes:
        find: gets the bench and k; returns the k best chunks of each of the bench's questions, as
            places among the bench's chunks, -1 where there are fewer.
        is_exact: False: it may miss chunks, and the share that it finds of the exact ones is
            reported as ``<word>_recall@k``, by the search's word in `rag_bench.searches`.
    """

    find: Find
    is_exact: bool = True


def passage_texts(bench: Bench) -> list[str]:
    """Return the texts of the snapshot's chunks as the retriever's encoder reads them, in order."""
    return [bench.searched.identity.passage_text(chunk.text) for chunk in bench.chunks]


def question_vectors(bench: Bench) -> np.ndarray:
    """Return vectors (q, d) of the questions; what is missing is encoded.

    So are the chunks, if they are read by an encoder that is not the settings': no other asset
    encodes them for it.
    """
    if bench.searched.identity != bench.encoder_identity:
        bench.searched.embed(passage_texts(bench), "encoding chunks")
    return bench.searched.of_questions([item.question for item in bench.items])


def search_here(bench: Bench, k: int) -> TopK:
    """Compare every question with every chunk, in this process."""
    from rag_bench.retrieval.search import top_k

    questions = question_vectors(bench)
    return top_k(questions, bench.searched.stored(passage_texts(bench)), k)


def search_as_production(
    bench: Bench, k: int, method: Search, n_questions: int | None = None
) -> TopK:
    """Search as the production system does: one pgvector query per question.

    Used for the HNSW option and, on the first ``n_questions``, to check the exact search.
    """
    from rag_bench.retrieval.pgvector_search import pgvector_top_k

    return pgvector_top_k(
        bench.engine,
        bench.searched.identity.key,
        question_vectors(bench)[:n_questions],
        [text_hash(text) for text in passage_texts(bench)],
        k,
        method,
    )


def search_words(bench: Bench, k: int) -> TopK:
    """Search by the words that question and chunk share; only new chunks are tokenized."""
    from rag_bench.retrieval.bm25 import open_index

    index = open_index(bench.engine, [chunk.text for chunk in bench.chunks], bench.retriever.bm25)
    return index.search([item.question for item in bench.items], k)


SEARCHERS: Mapping[SingleSearch, Searcher] = {
    "dense_exact": Searcher(search_here),
    "dense_hnsw": Searcher(partial(search_as_production, method="hnsw"), is_exact=False),
    "bm25": Searcher(search_words),
}


def candidates(bench: Bench) -> TopK:
    """Return what a retriever's searches find for each of the bench's questions, fused if they are
    several: the run's ``top_k`` chunks, or, before a reranker, the retriever's ``candidates``.
    """
    retriever = bench.retriever
    width = retriever.candidates if retriever.reranker else bench.run.top_k
    if retriever.search != "hybrid":
        return SEARCHERS[retriever.search].find(bench, width)
    from rag_bench.retrieval.fusion import reciprocal_rank_fusion

    # By name: the order in which searches are declared decides nothing.
    lists = [SEARCHERS[name].find(bench, retriever.candidates) for name in sorted(retriever.fuse)]
    return reciprocal_rank_fusion(lists, retriever.rrf_k, width)
