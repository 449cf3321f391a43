"""Tier 0: the geometry of an embedding space, as a description of exactly the vectors given.

Pairwise work goes in blocks of rows, so 5,000 vectors of 1,024 numbers need tens of megabytes.
"""

from __future__ import annotations

import numpy as np

from rag_bench.evaluation.metric_spec import Target, entries
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.types import Metric, Scale

NEIGHBOURS = 5
# Equal texts give equal vectors up to the rounding of float32 batches of another length.
DUPLICATE_DISTANCE = 1e-6

_DISTANCE: Scale = (0.0, 2.0)
# Scales hold for cosine distance; spread and density have no upper end that is known.
METRICS = (
    *entries(
        ("avg_nn_distance",),
        ("0",),
        "summary",
        _DISTANCE,
        False,
        "mean of the n × k distances to the k = 5 nearest others (k = n - 1 for n < 6)",
        targets={"avg_nn_distance": Target("0", 0.30, "questions' embeddings", 10)},
    ),
    *entries(("std_nn_distance",), ("0",), "summary", None, None, "their deviation"),
    *entries(
        ("density_score",),
        ("0",),
        "summary",
        None,
        True,
        "1 / (`avg_nn_distance` + 1e-6)",
        targets={"density_score": Target("0", 3.0, "questions' embeddings", 20)},
    ),
    *entries(
        ("avg_spread", "max_spread", "spread_std"),
        ("0",),
        "summary",
        None,
        None,
        "mean, maximum and deviation of the L2 distance to the centroid, of the vectors as they "
        "are",
    ),
    *entries(
        ("effective_dimensionality",),
        ("0",),
        "summary",
        None,
        None,
        "least m such that the m greatest eigenvalues of the covariance hold 95 % of the variance; "
        "0 for identical vectors, at most min(n - 1, d)",
    ),
    *entries(
        ("avg_pairwise_distance",),
        ("0",),
        "summary",
        _DISTANCE,
        False,
        "mean over the n(n - 1)/2 pairs",
    ),
    *entries(("std_pairwise_distance",), ("0",), "summary", None, None, "their deviation"),
    *entries(
        ("min_pairwise_distance", "max_pairwise_distance"),
        ("0",),
        "summary",
        _DISTANCE,
        None,
        "the least and the greatest of them",
    ),
    *entries(
        ("n_duplicate_pairs",),
        ("0",),
        "summary",
        None,
        None,
        "pairs with d ≤ 1e-6: a minimum distance of 0 means that questions repeat",
    ),
    *entries(("total_samples",), ("0",), "summary", None, None, "n"),
)
GEOMETRY_NAMES = tuple(metric.name for metric in METRICS)
_SCALES = {metric.name: metric.scale for metric in METRICS}


def embedding_geometry(
    vectors: np.ndarray,
    *,
    neighbours: int = NEIGHBOURS,
    duplicate_distance: float = DUPLICATE_DISTANCE,
    block_rows: int = 512,
) -> dict[str, float | None]:
    """Return the measures of ``GEOMETRY_NAMES`` for an (n, d) matrix of vectors.

    Distances are cosine (1 - cosine, 0 to 2) except the spread, which is the L2 distance of the
    vectors as given to their centroid. Nearest neighbours: the mean and the deviation of all
    n x k distances to the k nearest others (k = n - 1 for fewer than k + 1 vectors);
    ``density_score`` = 1 / (avg_nn_distance + 1e-6). ``effective_dimensionality`` is the least
    number of covariance eigenvalues that hold 95 % of the variance (0 for identical vectors).
    Pairwise: over the upper triangle. All deviations divide by the number of values.
    All are rounded to six decimals.
    With fewer than two vectors everything but ``total_samples`` is None.

    Raises ValueError for a matrix that is not two-dimensional, a vector with NaN or infinity, or
    a zero vector, whose cosine is undefined.
    """
    points = np.asarray(vectors, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"expected an (n, d) matrix, got shape {points.shape}")
    n = len(points)
    result: dict[str, float | None] = dict.fromkeys(GEOMETRY_NAMES)
    result["total_samples"] = float(n)
    if not np.isfinite(points).all():
        raise ValueError("a vector holds NaN or infinity")
    lengths = np.linalg.norm(points, axis=1)
    if n and not lengths.all():
        raise ValueError("a zero vector has no direction, so no cosine distance")
    if n < 2:
        return result

    centred = points - points.mean(axis=0)
    spread = np.linalg.norm(centred, axis=1)
    result |= {
        "avg_spread": float(spread.mean()),
        "max_spread": float(spread.max()),
        "spread_std": float(spread.std()),
        "effective_dimensionality": float(_effective_dimensionality(centred)),
    }
    units = points / lengths[:, None]
    del points, centred
    result |= _distances(units, min(neighbours, n - 1), duplicate_distance, block_rows)
    return {name: None if value is None else settled(value) for name, value in result.items()}


def geometry_metrics(vectors: np.ndarray, *, n_expected: int | None = None) -> dict[str, Metric]:
    """Return ``embedding_geometry`` as metrics.

    ``n_expected``: how many texts should have a vector, by default as many as there are.
    There are no intervals: the numbers describe this set of vectors, not a sample of cases.
    """
    values = embedding_geometry(vectors)
    n = len(vectors)
    expected = n if n_expected is None else n_expected
    return {
        name: Metric(value if n else None, n, expected, scale=_SCALES[name])
        for name, value in values.items()
    }


def _effective_dimensionality(centred: np.ndarray, share: float = 0.95) -> int:
    # The smaller of the two Gram matrices has the same non-zero eigenvalues.
    n, d = centred.shape
    gram = centred.T @ centred if d <= n else centred @ centred.T
    eigenvalues = np.clip(np.linalg.eigvalsh(gram)[::-1], 0.0, None)
    total = eigenvalues.sum()
    # Rounding leaves about 1e-16 of the vectors' own size where there is no variance at all.
    if total <= 1e-20 * n * d:
        return 0
    # Rounded, a share of exactly 95 % does not fall to the next eigenvalue on some machines.
    return int(np.searchsorted(settled(np.cumsum(eigenvalues) / total), share) + 1)


def _distances(
    units: np.ndarray, k: int, duplicate_distance: float, block_rows: int
) -> dict[str, float | None]:
    """Return nearest-neighbour and pairwise measures of unit vectors, block by block."""
    n = len(units)
    nearest = np.empty((n, k))
    # The mean is exact in closed form, so that deviations can be summed in the same pass:
    # the sum of all cosines is |sum of unit vectors|^2.
    total = units.sum(axis=0)
    mean = float(1 - (total @ total - n) / (n * (n - 1)))
    squares, least, most, duplicates = 0.0, np.inf, -np.inf, 0
    for start in range(0, n, block_rows):
        stop = min(start + block_rows, n)
        distances = settled(np.clip(1 - units[start:stop] @ units.T, 0.0, 2.0))
        rows = np.arange(stop - start)
        distances[rows, rows + start] = np.inf  # a vector is not its own neighbour
        nearest[start:stop] = np.partition(distances, k - 1, axis=1)[:, :k]
        upper = distances[np.arange(n)[None, :] > (rows + start)[:, None]]
        if upper.size:
            squares += float(np.square(upper - mean).sum())
            least, most = min(least, float(upper.min())), max(most, float(upper.max()))
            duplicates += int((upper <= duplicate_distance).sum())
    pairs = n * (n - 1) / 2
    avg_nn = float(nearest.mean())
    return {
        "avg_nn_distance": avg_nn,
        "std_nn_distance": float(nearest.std()),
        "density_score": 1 / (avg_nn + 1e-6),
        # Rounding may leave the closed form a hair outside the values it is the mean of.
        "avg_pairwise_distance": min(max(mean, least), most),
        "std_pairwise_distance": float(np.sqrt(squares / pairs)),
        "min_pairwise_distance": least,
        "max_pairwise_distance": most,
        "n_duplicate_pairs": float(duplicates),
    }
