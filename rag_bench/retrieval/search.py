"""Exact nearest chunks of all questions in one blocked pass, in bounded memory.

Candidates are chosen by float32 products of unit vectors; the scores of those are computed again in
float64 and rounded to six decimals, and equal ones (the same text on two pages) go to the lower
index. So block sizes, the BLAS library and the processor decide nothing but where a score lies
next to a rounding boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.precision import settled

QUERY_BLOCK = 1024
CORPUS_BLOCK = 8192
# Rounding of a float32 product of unit vectors is near 1e-7 and that of scores 1e-6: scores
# further apart than this are in the right order.
_NEAR = np.float32(2e-6)
# Candidates kept beyond k, so that near ties at the k-th place are all at hand.
_SPARE = 8
# With more new candidates than this in one row, selection is cheaper than a threshold.
_MANY = 512
# Columns from which the first candidates are selected.
_SEED = 512
_SELECT_ROWS = 64

#: Stands in `TopK.indices` where a search found fewer chunks than it was asked for.
NOT_FOUND = -1


@dataclass(frozen=True)
class TopK:
    """The k' = min(k, n) best of n chunks for each of q questions, best first.

    A search by words may find fewer than k'. Its rows then end in `NOT_FOUND` with score 0, and
    whoever reads them stops there.

    Attributes:
        indices: int64, shape (q, k'): positions in the corpus, or `NOT_FOUND`.
        scores: float64, shape (q, k'): of a vector search the cosine similarities, rounded to six
            decimals; of others as they say.
    """

    indices: np.ndarray
    scores: np.ndarray


def top_k(
    queries: np.ndarray,
    corpus: np.ndarray,
    k: int,
    *,
    query_block: int = QUERY_BLOCK,
    corpus_block: int = CORPUS_BLOCK,
) -> TopK:
    """Return the k nearest corpus vectors of each query, exactly; ties: lower index first.

    Memory beyond inputs and result is bounded by about 8 bytes * query_block * corpus_block
    (64 MiB by default), whatever the number of queries and chunks.

    Args:
        queries: float32, shape (q, d), unit length.
        corpus: float32, shape (n, d), unit length.
        k: At least 1; more than n gives n.
        query_block: Queries per product.
        corpus_block: Chunks per product.

    Raises:
        ValueError: k < 1, or the dimensions differ.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    q, n = len(queries), len(corpus)
    width = min(k, n)
    if q == 0 or n == 0:
        return TopK(np.zeros((q, width), np.int64), np.zeros((q, width)))
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise ValueError(f"queries {queries.shape} and corpus {corpus.shape} do not fit")
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    corpus = np.ascontiguousarray(corpus, dtype=np.float32)
    indices = np.empty((q, width), dtype=np.int64)
    scores = np.empty((q, width))
    buffer = np.empty((min(query_block, q), min(corpus_block, n)), dtype=np.float32)
    for start in range(0, q, query_block):
        rows = slice(start, min(start + query_block, q))
        kept_indices, kept_scores = _candidates(queries[rows], corpus, width, buffer)
        indices[rows], scores[rows] = _settle(
            queries[rows], corpus, kept_indices, kept_scores, width
        )
    return TopK(indices, scores)


def _candidates(
    queries: np.ndarray, corpus: np.ndarray, width: int, buffer: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best ``width`` and some spare ones by float32 score: (b, m), best first."""
    b, n, block = len(queries), len(corpus), buffer.shape[1]
    keep = min(n, width + _SPARE)
    indices = np.zeros((b, 0), dtype=np.int64)
    scores = np.zeros((b, 0), dtype=np.float32)
    for start in range(0, n, block):
        size = min(block, n - start)
        # A slice of the buffer's memory and not of its columns, so that rows lie together.
        product = buffer.reshape(-1)[: b * size].reshape(b, size)
        np.matmul(queries, corpus[start : start + size].T, out=product)
        at = 0
        while at < size:
            mask = None
            if scores.shape[1] == keep:
                part = product[:, at:]
                mask = _above(part, scores[:, -1])
            else:
                # No threshold yet: select among a few columns, which gives one for the rest.
                part = product[:, at : at + max(_SEED, keep)]
            if mask is None:
                columns, values = _best_of(part, min(keep, part.shape[1]))
            else:
                columns, values = _masked(part, mask)
            indices, scores = _merge(indices, scores, columns + start + at, values, keep)
            at += part.shape[1]
    return indices, scores


def _above(product: np.ndarray, threshold: np.ndarray) -> np.ndarray | None:
    """Return the mask of scores above each row's threshold, or None when a row has too many."""
    mask: np.ndarray = product > threshold[:, None]
    return mask if np.count_nonzero(mask, axis=1).max() <= _MANY else None


def _masked(product: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's masked columns, ascending, and scores; short rows end in -inf."""
    rows, columns = np.divmod(np.flatnonzero(mask), product.shape[1])
    counts = np.bincount(rows, minlength=len(product))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.zeros((len(product), counts.max()), dtype=np.int64)
    values = np.full(found.shape, -np.inf, dtype=np.float32)
    found[rows, place], values[rows, place] = columns, product[rows, columns]
    return found, values


def _best_of(product: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``keep`` best columns of each row, ascending, and their scores."""
    columns = np.empty((len(product), keep), dtype=np.int64)
    # A few rows at a time: the selection makes an int64 copy of what it looks at.
    for start in range(0, len(product), _SELECT_ROWS):
        rows = slice(start, start + _SELECT_ROWS)
        if keep < product.shape[1]:
            order = np.argpartition(product[rows], product.shape[1] - keep, axis=1)
            columns[rows] = np.sort(order[:, -keep:], axis=1)
        else:
            columns[rows] = np.arange(keep)
    return columns, np.take_along_axis(product, columns, axis=1)


def _merge(
    indices: np.ndarray,
    scores: np.ndarray,
    new_indices: np.ndarray,
    new_scores: np.ndarray,
    keep: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best ``keep`` of two candidate lists per row, best first.

    The new indices ascend and are all above the old ones, so a stable sort by score leaves equal
    scores in the order of their indices.
    """
    indices = np.concatenate([indices, new_indices], axis=1)
    scores = np.concatenate([scores, new_scores], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :keep]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _settle(
    queries: np.ndarray, corpus: np.ndarray, indices: np.ndarray, scores: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best ``width`` of the candidates by exact, rounded score; ties: lower index."""
    # A tie at the k-th place may go on among chunks that were not kept.
    endless = scores[:, width - 1] - scores[:, -1] <= _NEAR
    if indices.shape[1] == len(corpus):
        endless[:] = False
    result_indices = np.empty((len(queries), width), dtype=np.int64)
    result_scores = np.empty((len(queries), width))
    for row, query in enumerate(queries):
        pool = indices[row]
        if endless[row]:
            least = scores[row, width - 1] - 2 * _NEAR
            pool = np.flatnonzero(corpus @ query >= least)
        exact = _exact_scores(query, corpus, pool)
        order = np.lexsort((pool, -exact))[:width]
        result_indices[row], result_scores[row] = pool[order], exact[order]
    return result_indices, result_scores


def _exact_scores(query: np.ndarray, corpus: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Return one query's scores, summed in float64 and rounded, shape (len(pool),)."""
    wide = query.astype(np.float64)
    scores = np.empty(len(pool))
    for start in range(0, len(pool), CORPUS_BLOCK):
        rows = corpus[pool[start : start + CORPUS_BLOCK]]
        scores[start : start + len(rows)] = (rows * wide).sum(axis=1)
    return settled(np.clip(scores, -1.0, 1.0))
