"""The searches that there are, by name, for settings, retrievers and help texts; imports nothing.

What each does is in `rag_bench.tiers.retrieval.searchers`, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Search = Literal["exact", "hnsw"]
"""The searches of the retriever ``default``, as run config and ``RAG_BENCH_SEARCH`` call them."""

SingleSearch = Literal["dense_exact", "dense_hnsw", "bm25"]
"""The searches that may be fused."""

RetrieverSearch = Literal["dense_exact", "dense_hnsw", "bm25", "hybrid"]
"""The searches of a retriever: one of those, or several of them fused."""


@dataclass(frozen=True)
class SearchKind:
    """What is known of a search without loading anything.

    Attributes:
        does: for people; follows the name.
        word: what run config and ``RAG_BENCH_SEARCH`` call it; None: only a retriever has it.
        cosines: its scores are cosine similarities, so that ``RAG_BENCH_RETRIEVAL_THRESHOLD`` means
            something for them.
    """

    does: str
    word: Search | None = None
    cosines: bool = False


RETRIEVER_SEARCHES: Mapping[RetrieverSearch, SearchKind] = {
    "dense_exact": SearchKind("compares every chunk", "exact", cosines=True),
    "dense_hnsw": SearchKind(
        "asks a pgvector index, and its recall is reported", "hnsw", cosines=True
    ),
    "bm25": SearchKind("counts the words that question and chunk share"),
    "hybrid": SearchKind("fuses the ranks of several searches"),
}
"""Every search, declared once."""

SEARCHES: Mapping[Search, str] = {
    kind.word: kind.does for kind in RETRIEVER_SEARCHES.values() if kind.word
}
"""What each search of ``default`` does, for people."""

RETRIEVER_SEARCH_OF: Mapping[Search, RetrieverSearch] = {
    kind.word: name for name, kind in RETRIEVER_SEARCHES.items() if kind.word
}
"""The retrievers' word for a search of ``default``."""

IN_WORDS = "; ".join(f"{name} {does}" for name, does in SEARCHES.items())
