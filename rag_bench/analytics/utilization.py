"""Which chunks questions ever find, how unevenly, and whether more questions would find more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric

_TOP_SHARE = 0.1
_CURVE_POINTS = 25


@dataclass(frozen=True)
class Source:
    """A chunk as far as utilization needs it."""

    chunk_hash: str
    page_url: str


@dataclass(frozen=True)
class ChunkUse:
    """How often a chunk was found: among the first k, and as the very first."""

    chunk_hash: str
    page_url: str
    n_retrieved: int
    n_first: int


@dataclass(frozen=True)
class Utilization:
    """What a set of questions finds in a corpus.

    ``uses``: one per chunk, most used first. ``curve``: (number of questions, expected number of
    different chunks that so many of the questions, drawn at random, find).
    """

    question_count: int
    top_k: int
    uses: Sequence[ChunkUse]
    curve: Sequence[tuple[int, float]]
    metrics: dict[str, Metric]

    def as_json(self) -> dict[str, Any]:
        """Return the sums; the chunks themselves are in ``uses``."""
        used = sum(use.n_retrieved > 0 for use in self.uses)
        total = len(self.uses)
        return {
            "total_chunks": total,
            "used_chunks": used,
            "unused_chunks": total - used,
            "utilization_rate": self.metrics["utilization_rate"].value,
            "question_count": self.question_count,
            "top_k": self.top_k,
            "top_tenth_share": self.metrics["top_tenth_share"].value,
            "expected_used_chunks": [[n, round(found, 2)] for n, found in self.curve],
        }


def utilization(
    chunks: Sequence[Source],
    found: np.ndarray,
    best_scores: np.ndarray,
    clusters: Sequence[Hashable],
    *,
    top_k: int,
) -> Utilization:
    """Count which chunks are found.

    Args:
        chunks: the corpus, n of them.
        found: int, shape (q, min(top_k, n)): positions in ``chunks``, best first, none twice in a
            row.
        best_scores: shape (q,): cosine similarity of each question's first chunk.
        clusters: q labels of what the questions come from (users).
        top_k: the k that was asked for.

    Raises:
        ValueError: no chunks, or no questions.
    """
    n_chunks, n_questions = len(chunks), len(found)
    if not n_chunks or not n_questions:
        raise ValueError("utilization needs chunks and questions")
    retrieved = np.bincount(found.ravel(), minlength=n_chunks)
    first = np.bincount(found[:, 0], minlength=n_chunks)
    pages: dict[str, bool] = {}
    for chunk, count in zip(chunks, retrieved, strict=True):
        pages[chunk.page_url] = pages.get(chunk.page_url, False) or bool(count)
    uses = [
        ChunkUse(chunk.chunk_hash, chunk.page_url, int(n), int(n_first))
        for chunk, n, n_first in zip(chunks, retrieved, first, strict=True)
    ]
    uses.sort(key=lambda use: (-use.n_retrieved, -use.n_first, use.page_url, use.chunk_hash))
    n_used = int((retrieved > 0).sum())
    page_of = [chunk.page_url for chunk in chunks]
    best = [float(score) for score in best_scores]
    metrics = {
        # Chunks of one page are found, or missed, together.
        "utilization_rate": rate_metric([bool(n) for n in retrieved], clusters=page_of),
        "first_place_rate": rate_metric([bool(n) for n in first], clusters=page_of),
        "page_utilization_rate": rate_metric(list(pages.values()), clusters=list(pages)),
        "top_tenth_share": Metric(top_share(retrieved), n_questions, n_questions, scale=(0.0, 1.0)),
        "mean_best_similarity": mean_metric(best, clusters, scale=(-1.0, 1.0)),
        "total_chunks": Metric(n_chunks, n_chunks, n_chunks),
        "used_chunks": Metric(n_used, n_chunks, n_chunks),
        "unused_chunks": Metric(n_chunks - n_used, n_chunks, n_chunks),
        "question_count": Metric(n_questions, n_questions, n_questions),
    }
    return Utilization(n_questions, top_k, uses, growth(retrieved, n_questions), metrics)


def top_share(counts: np.ndarray, share: float = _TOP_SHARE) -> float:
    """Return the share of all retrievals that falls on the most used tenth of the chunks.

    A tenth is rounded up to whole chunks. Equal use gives about 0.1; 1 means that nothing else is
    ever found.
    """
    ordered = np.sort(counts)[::-1]
    # 0.1 * 30 is a hair above 3 in floating point.
    n_top = math.ceil(round(share * len(ordered), 9))
    return float(ordered[:n_top].sum() / ordered.sum())


def growth(
    counts: np.ndarray, n_questions: int, points: int = _CURVE_POINTS
) -> list[tuple[int, float]]:
    """Return how many different chunks m of the questions find on average, for growing m.

    Exact, not simulated: a chunk found by f of N questions is missed by m of them drawn without
    replacement with probability C(N - f, m) / C(N, m) (rarefaction, Hurlbert 1971). A curve that
    still rises at its end says that more questions would use more chunks.
    """
    frequencies = Counter(int(count) for count in counts if count)
    steps = sorted({round(x) for x in np.geomspace(1, n_questions, num=points)})
    return [
        (m, math.fsum(n * (1 - _missed(n_questions, f, m)) for f, n in frequencies.items()))
        for m in steps
    ]


def _missed(n: int, f: int, m: int) -> float:
    """Return C(n - f, m) / C(n, m)."""
    if m > n - f:
        return 0.0
    logs = math.lgamma(n - f + 1) - math.lgamma(n - f - m + 1)
    return math.exp(logs - math.lgamma(n + 1) + math.lgamma(n - m + 1))
