"""Whether two or more annotators mean the same: Cohen's kappa, Krippendorff's alpha, intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from itertools import permutations
from typing import Literal

import numpy as np

from rag_bench.evaluation.people.count_tables import (
    Weights,
    alphas,
    kappas,
    tables_of,
    with_interval,
)
from rag_bench.evaluation.statistics import rate_metric, totals_by_cluster
from rag_bench.evaluation.types import Metric

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def cohen_kappa(
    table: np.ndarray, values: Sequence[float], weights: Weights = "none"
) -> float | None:
    """Return Cohen's kappa of a square table of counts; None where chance explains everything.

    ``weights``: see `kappas`.
    """
    counts = np.asarray(table, dtype=np.float64)
    [found] = kappas(counts[None], np.asarray(values, dtype=np.float64), weights)
    return None if np.isnan(found) else float(found)


def krippendorff_alpha(ratings: np.ndarray, level: Level) -> float | None:
    """Return Krippendorff's alpha of ``ratings`` (annotators x cases, NaN where there is none).

    None where it is not defined: no case with two labels, or all labels alike.
    """
    import krippendorff

    pairable = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    there = pairable[~np.isnan(pairable)]
    if not len(there) or len(set(there.tolist())) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=pairable, level_of_measurement=level))


def agreement_metrics(
    first: Sequence[float],
    second: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    graded: bool,
    good_from: float | None = None,
    seed: int = 0,
) -> dict[str, Metric]:
    """Return how two annotators agree on the cases that both labelled.

    ``agreement``: share of equal labels. ``kappa``; ``kappa_linear`` and ``kappa_quadratic`` where
    there are more than two values (``graded``); ``alpha``: Krippendorff's, interval level of graded
    labels, nominal of yes and no. ``agreement_good``, ``kappa_good``: of the decision, from
    ``good_from`` on. Intervals: bootstrap over clusters, expanded percentiles.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    labels = list(clusters) if clusters is not None else list(range(len(a)))
    found = {"agreement": rate_metric((a == b).tolist(), clusters=labels)}
    found["kappa"] = _kappa(a, b, labels, "none", seed)
    if graded:
        found["kappa_linear"] = _kappa(a, b, labels, "linear", seed)
        found["kappa_quadratic"] = _kappa(a, b, labels, "quadratic", seed)
        if good_from is not None:
            good = (a >= good_from).astype(float), (b >= good_from).astype(float)
            same = (good[0] == good[1]).tolist()
            found["agreement_good"] = rate_metric(same, clusters=labels)
            found["kappa_good"] = _kappa(*good, labels, "none", seed)
    level: Level = "interval" if graded else "nominal"
    return found | {"alpha": _alpha(np.vstack([a, b]), labels, level, seed)}


def alpha_metric(
    ratings: Sequence[Sequence[float | None]], clusters: Sequence[Hashable], seed: int = 0
) -> Metric:
    """Return Krippendorff's alpha (interval level) of any number of annotators.

    Args:
        ratings: A row of labels per annotator, None where one has not labelled a case.
        clusters: Of each case.
        seed: Of the bootstrap over clusters.
    """
    table = np.array(
        [[np.nan if one is None else one for one in row] for row in ratings], dtype=np.float64
    )
    return _alpha(table, clusters, "interval", seed)


def kappa_of_labels(a: np.ndarray, b: np.ndarray, weights: Weights = "none") -> float | None:
    """Return Cohen's kappa of two annotators' labels of the same cases."""
    if not len(a):
        return None
    values, [table] = tables_of(a, b, [0] * len(a))
    return cohen_kappa(table, values.tolist(), weights)


def _kappa(
    a: np.ndarray, b: np.ndarray, clusters: Sequence[Hashable], weights: Weights, seed: int
) -> Metric:
    value = kappa_of_labels(a, b, weights)
    if not len(a):
        return Metric(None, 0, 0, scale=(-1.0, 1.0))
    values, tables = tables_of(a, b, clusters)
    measure = partial(kappas, values=values, weights=weights)
    return with_interval(value, tables, measure, len(a), seed=seed)


def _alpha(ratings: np.ndarray, clusters: Sequence[Hashable], level: Level, seed: int) -> Metric:
    """Return alpha at the nominal or interval level, with its interval."""
    n = ratings.shape[1]
    if not n:
        return Metric(None, 0, 0, scale=(-1.0, 1.0))
    values, tables = coincidences_of(ratings, clusters)
    measure = partial(alphas, values=values, nominal=level == "nominal")
    return with_interval(krippendorff_alpha(ratings, level), tables, measure, n, seed=seed)


def coincidences_of(
    ratings: np.ndarray, clusters: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, and by cluster Krippendorff's table of coincidences.

    Args:
        ratings: annotators x cases, NaN where there is none.
        clusters: of each case.
    """
    there = ~np.isnan(ratings)
    values = np.unique(ratings[there])
    places = np.searchsorted(values, np.where(there, ratings, values[:1].sum()))
    k, n = len(values), ratings.shape[1]
    rows = np.zeros((n, k * k))
    others = np.maximum(there.sum(axis=0) - 1, 1)
    for one, other in permutations(range(len(ratings)), 2):
        [cases] = np.nonzero(there[one] & there[other])
        rows[cases, places[one, cases] * k + places[other, cases]] += 1 / others[cases]
    return values, totals_by_cluster(clusters, rows).reshape(-1, k, k)
