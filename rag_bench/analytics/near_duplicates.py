"""Chunks that nearly repeat each other: by their vectors, and by the words that they share.

Search cannot tell such chunks apart, so which of them answers is chance, and a question of one of
them has another that is as right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.text.containment import Containment

_BLOCK = 512  # rows of the product at once


@dataclass(frozen=True)
class Pair:
    """Two chunks by their places, the first one less.

    ``cosine``: of their vectors. ``containment``: shared runs of three words / those of the shorter
    text (Broder 1997), in [0, 1]; 0 where nothing is shared or a text has too few words.
    """

    first: int
    second: int
    cosine: float
    containment: float


def near_duplicates(
    vectors: np.ndarray, texts: Sequence[str], *, cosine: float, containment: float
) -> list[Pair]:
    """Return the pairs that are alike by either measure, the most alike first.

    Args:
        vectors: of unit length, one per text, shape (n, dimensions).
        texts: of the chunks.
        cosine: of two vectors, from which on they are alike; in (0, 1].
        containment: of two texts, likewise.
    """
    found = _by_cosine(vectors, cosine)
    shared = Containment(texts)
    contained: dict[tuple[int, int], float] = {}
    for place, text in enumerate(texts):
        for other, share in shared.all_of(text):
            if place < other:
                contained[place, other] = share
    pairs = found | {pair for pair, share in contained.items() if share >= containment}
    made = [
        Pair(a, b, settled(float(vectors[a] @ vectors[b])), contained.get((a, b), 0.0))
        for a, b in pairs
    ]
    return sorted(made, key=lambda p: (-max(p.cosine, p.containment), p.first, p.second))


def _by_cosine(vectors: np.ndarray, least: float) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for start in range(0, len(vectors), _BLOCK):
        product = vectors[start : start + _BLOCK] @ vectors.T
        rows, places = np.nonzero(product >= least)
        rows = rows + start
        kept = rows < places
        found.update(zip(rows[kept].tolist(), places[kept].tolist(), strict=True))
    return found
