"""How the chunks of a question are found: one entry per search that a run may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rag_bench.hashing import text_hash
from rag_bench.searches import Search
from rag_bench.tiers.base.bench import Bench

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.retrieval.search import TopK

Find = Callable[[Bench, "np.ndarray"], "TopK"]


@dataclass(frozen=True)
class Searcher:
    """One way to search.

    Attributes:
        find: gets question vectors (q, d), returns the run's ``top_k`` chunks of each.
        is_exact: False: it may miss chunks, and the share that it finds of the exact ones is
            reported as ``<name>_recall@k``.
    """

    find: Find
    is_exact: bool


def passage_texts(bench: Bench) -> list[str]:
    """Return the texts of the snapshot's chunks as the encoder reads them, in their order."""
    return [bench.encoder_identity.passage_text(chunk.text) for chunk in bench.chunks]


def search_here(bench: Bench, questions: np.ndarray) -> TopK:
    """Compare every question with every chunk, in this process."""
    from rag_bench.retrieval.search import top_k

    return top_k(questions, bench.vectors(passage_texts(bench)), bench.run.top_k)


def search_as_production(bench: Bench, questions: np.ndarray, method: Search) -> TopK:
    """Search as the production system does: one pgvector query per question.

    ``questions`` are vectors (q, d). Used for the HNSW option and to check the exact search.
    """
    from rag_bench.retrieval.pgvector_search import pgvector_top_k

    return pgvector_top_k(
        bench.engine,
        bench.encoder_identity.key,
        questions,
        [text_hash(text) for text in passage_texts(bench)],
        bench.run.top_k,
        method,
    )


SEARCHERS: Mapping[Search, Searcher] = {
    "exact": Searcher(search_here, is_exact=True),
    "hnsw": Searcher(partial(search_as_production, method="hnsw"), is_exact=False),
}
