"""The searches that there are, by name, for settings and help texts; imports nothing.

What each does is in `rag_bench.tiers.retrieval.searchers`, under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Search = Literal["exact", "hnsw"]

SEARCHES: Mapping[Search, str] = {
    "exact": "compares every chunk",
    "hnsw": "asks a pgvector index, and its recall is reported",
}
"""What each search does, for people."""

IN_WORDS = "; ".join(f"{name} {does}" for name, does in SEARCHES.items())
