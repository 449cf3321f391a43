"""Measures of many tables of counts at once, and their intervals by resampled clusters.

How often two labels meet is all that kappa, alpha and a rank correlation need. So a resample of
clusters is a sum of their tables, and a thousand of them are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Literal

import numpy as np

from rag_bench.evaluation.statistics import (
    expanded_percentiles,
    resampled_clusters,
    totals_by_cluster,
)
from rag_bench.evaluation.types import Metric, Scale

Weights = Literal["none", "linear", "quadratic"]
#: Of tables (R, k, k) the measure of each, (R,); NaN where it is not defined.
OfTables = Callable[[np.ndarray], np.ndarray]
_AGREEMENT: Scale = (-1.0, 1.0)
_RESAMPLES = 1000


def tables_of(
    first: np.ndarray, second: np.ndarray, clusters: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, (k,), and by cluster how often two meet, (clusters, k, k)."""
    values, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    k, n = len(values), len(first)
    rows = np.zeros((n, k * k))
    rows[np.arange(n), places[:n] * k + places[n:]] = 1
    return values, totals_by_cluster(clusters, rows).reshape(-1, k, k)


def kappas(tables: np.ndarray, values: np.ndarray, weights: Weights) -> np.ndarray:
    """Return Cohen's kappa of each table; NaN where chance explains everything.

    Weighted (Cohen 1968, Psychological Bulletin 70:213): a disagreement counts by the distance of
    the two values, or by its square.
    """
    apart = np.abs(values[:, None] - values[None, :])
    if weights == "none":
        apart = (apart > 0).astype(np.float64)
    elif weights == "quadratic":
        apart = apart**2
    n = tables.sum(axis=(1, 2))
    by_chance = ((tables.sum(axis=2) @ apart) * tables.sum(axis=1)).sum(axis=1)
    return _one_minus(_weighed(tables, apart) * n, by_chance)


def alphas(coincidences: np.ndarray, values: np.ndarray, *, nominal: bool) -> np.ndarray:
    """Return Krippendorff's alpha of each table of coincidences, nominal or interval level.

    1 - (n - 1) * sum o d / sum n n d (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability"); a case that m annotators labelled adds 1 / (m - 1) for each ordered pair.
    """
    apart = (values[:, None] - values[None, :]) ** 2
    if nominal:
        apart = (apart > 0).astype(np.float64)
    of_value = coincidences.sum(axis=2)
    by_chance = ((of_value @ apart) * of_value).sum(axis=1)
    seen = _weighed(coincidences, apart)
    return _one_minus(seen * (of_value.sum(axis=1) - 1), by_chance)


def spearmans(tables: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of mid-ranks of each table; NaN where one side never varies."""
    n = tables.sum(axis=(1, 2))
    ranks = []
    for axis in (2, 1):
        counts = tables.sum(axis=axis)
        # The middle of the places that equal values share.
        ranks.append(counts.cumsum(axis=1) - counts / 2 - n[:, None] / 2)
    first, second = ranks
    both = ((first[:, None, :] @ tables)[:, 0] * second).sum(axis=1)
    squares = (first**2 * tables.sum(axis=2)).sum(axis=1) * (second**2 * tables.sum(axis=1)).sum(
        axis=1
    )
    return np.divide(both, np.sqrt(squares), out=np.full(len(both), np.nan), where=squares > 1e-9)


def with_interval(
    value: float | None,
    by_cluster: np.ndarray,
    measure: OfTables,
    n: int,
    n_expected: int | None = None,
    *,
    seed: int = 0,
) -> Metric:
    """Return a measure of ``n`` cases with the interval of resampled clusters.

    Expanded percentiles of 1,000 samples. Where every sample says the same, resampling sees no
    spread: then there is no interval.

    Args:
        value: of all cases; None where it is not defined.
        by_cluster: tables that add up, (clusters, k, k).
        measure: of tables.
        n: cases that have both labels.
        n_expected: cases that should have; ``n`` by default.
        seed: of the resampling.
    """
    n_clusters, expected = len(by_cluster), n if n_expected is None else n_expected
    if value is None:
        n_scored = n if n_expected is None else 0
        return Metric(None, n_scored, expected, scale=_AGREEMENT, n_clusters=n_clusters or None)
    low = high = None
    if n_clusters > 1:
        drawn = resampled_clusters(n_clusters, seed=seed, resamples=_RESAMPLES)
        sums = drawn @ by_cluster.reshape(n_clusters, -1)
        seen = measure(sums.reshape(-1, *by_cluster.shape[1:]))
        seen = seen[~np.isnan(seen)]
        if len(seen) and np.ptp(seen) > 0:
            ends = np.quantile(seen, expanded_percentiles(n_clusters))
            low, high = min(float(ends[0]), value), max(float(ends[1]), value)
    return Metric(value, n, expected, low, high, scale=_AGREEMENT, n_clusters=n_clusters)


def _weighed(tables: np.ndarray, by: np.ndarray) -> np.ndarray:
    found: np.ndarray = tables.reshape(len(tables), -1) @ by.ravel()
    return found


def _one_minus(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    nan = np.full(len(above), np.nan)
    return 1 - np.divide(above, below, out=nan, where=below > 0)
