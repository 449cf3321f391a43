"""Reciprocal rank fusion: one list of chunks out of several, by their places in each.

Cormack, Clarke and Büttcher (SIGIR 2009): the score of a chunk is the sum over the lists that
have it of 1 / (k0 + place), places from 1, with k0 = 60. Only places count, so lists whose scores
have nothing to do with each other, cosines and BM25, need no common scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_bench.retrieval.search import NOT_FOUND, TopK

#: Of Cormack, Clarke and Büttcher.
K0 = 60
# Places are whole numbers, so nothing of a processor is in these scores; twelve decimals are
# enough to make equal what is equal by arithmetic, and keep apart neighbours deep in long lists,
# of which six decimals would make one.
_DIGITS = 12


def reciprocal_rank_fusion(lists: Sequence[TopK], k0: int = K0, top_k: int = 10) -> TopK:
    """Return the ``top_k`` best chunks of each question by the sum of 1 / (k0 + place).

    Args:
        lists: At least one, of shape (q, k_i) each with the same q, best first; a chunk at most
            once in a row. `NOT_FOUND` adds nothing.
        k0: 0 or more; the larger, the less the first places count.
        top_k: At least 1.

    Returns:
        indices and scores of shape (q, min(top_k, sum of k_i)), rounded to twelve decimals; equal
        scores by lower position in the corpus; where the lists name fewer chunks `NOT_FOUND` with
        score 0.

    Raises:
        ValueError: there is no list, the numbers of questions differ, ``k0`` < 0, ``top_k`` < 1.
    """
    if not lists:
        raise ValueError("there is no list to fuse")
    q = len(lists[0].indices)
    if any(len(one.indices) != q for one in lists):
        raise ValueError(f"lists of {[len(one.indices) for one in lists]} questions do not fit")
    if k0 < 0 or top_k < 1:
        raise ValueError(f"k0 is {k0} (0 or more), top_k is {top_k} (at least 1)")
    found = np.concatenate([one.indices for one in lists], axis=1)
    worth = np.concatenate([1.0 / (k0 + 1 + np.arange(one.indices.shape[1])) for one in lists])
    width = min(top_k, found.shape[1])
    indices = np.full((q, width), NOT_FOUND, dtype=np.int64)
    scores = np.zeros((q, width))
    rows, columns = np.nonzero(found != NOT_FOUND)
    if not len(rows):
        return TopK(indices, scores)
    # One number per question and chunk, ascending by both.
    n = int(found.max()) + 1
    pairs, place = np.unique(rows * n + found[rows, columns], return_inverse=True)
    sums = np.round(np.bincount(place, weights=worth[columns]), _DIGITS)
    question, chunk = np.divmod(pairs, n)
    order = np.lexsort((chunk, -sums, question))
    # How far down its question's list each stands.
    first = np.searchsorted(question, np.arange(q))
    rank = np.arange(len(order)) - first[question[order]]
    kept = rank < width
    order, rank = order[kept], rank[kept]
    indices[question[order], rank] = chunk[order]
    scores[question[order], rank] = sums[order]
    return TopK(indices, scores)
