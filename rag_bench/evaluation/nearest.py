"""The nearest of some vectors by cosine, with rules for which of them are open to whom."""

from __future__ import annotations

import numpy as np

from rag_bench.evaluation.precision import settled

BLOCK_ROWS = 512


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return (n, d) vectors in float64 with length 1.

    Raises ValueError for a matrix that is not two-dimensional, NaN, infinity or a zero vector.
    """
    points = np.asarray(vectors, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"expected an (n, d) matrix, got shape {points.shape}")
    lengths = np.linalg.norm(points, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError("a vector is zero or holds NaN or infinity, so it has no cosine")
    return np.asarray(points / lengths[:, None])


def best_match(
    questions: np.ndarray,
    entries: np.ndarray,
    *,
    own: np.ndarray | None = None,
    first: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each question's greatest cosine among the entries, and which entry has it.

    Of entries with equal cosines (to six decimals) the first counts.

    Args:
        questions: unit vectors (q, d).
        entries: unit vectors (m, d).
        own: (q,) the entry that is the question itself and does not count; -1 for none.
        first: (q,) only so many of the entries, from the first, are open to a question.

    Returns:
        Cosines (q,), NaN where no entry is open, and entries' numbers (q,), there -1.
    """
    n, m = len(questions), len(entries)
    best, which = np.full(n, np.nan), np.full(n, -1)
    if not m:
        return best, which
    for start in range(0, n, BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, n))
        cosines = settled(np.clip(questions[rows] @ entries.T, -1.0, 1.0))
        if first is not None:
            cosines[np.arange(m)[None, :] >= first[rows, None]] = -np.inf
        if own is not None:
            masked = np.flatnonzero(own[rows] >= 0)
            cosines[masked, own[rows][masked]] = -np.inf
        found = cosines.argmax(axis=1)
        values = cosines[np.arange(len(found)), found]
        there = np.isfinite(values)
        best[rows] = np.where(there, values, np.nan)
        which[rows] = np.where(there, found, -1)
    return best, which
