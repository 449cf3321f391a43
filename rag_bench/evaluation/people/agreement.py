"""Whether two or more annotators mean the same: Cohen's kappa, Krippendorff's alpha, intervals."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

import numpy as np

from rag_bench.evaluation.statistics import expanded_percentiles, rate_metric, resampled_clusters
from rag_bench.evaluation.types import Metric, Scale

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Weights = Literal["none", "linear", "quadratic"]
Measure = Callable[[np.ndarray, np.ndarray], float | None]
_AGREEMENT: Scale = (-1.0, 1.0)
_RESAMPLES = 1000


def cohen_kappa(
    table: np.ndarray, values: Sequence[float], weights: Weights = "none"
) -> float | None:
    """Return Cohen's kappa of a square table of counts; None where chance explains everything.

    Weighted (Cohen 1968, Psychological Bulletin 70:213): a disagreement counts by the distance of
    the two values, or by its square.
    """
    counts = np.asarray(table, dtype=np.float64)
    n = counts.sum()
    if n == 0:
        return None
    places = np.asarray(values, dtype=np.float64)
    apart = np.abs(places[:, None] - places[None, :])
    if weights == "none":
        apart = (apart > 0).astype(np.float64)
    elif weights == "quadratic":
        apart = apart**2
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    expected = float((apart * by_chance).sum())
    return 1 - float((apart * counts).sum()) / expected if expected > 0 else None


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
    scale: Scale,
    good_from: float | None = None,
    seed: int = 0,
) -> dict[str, Metric]:
    """Return how two annotators agree on the cases that both labelled.

    ``agreement``: share of equal labels. ``kappa``; ``kappa_linear`` and ``kappa_quadratic`` where
    there are more than two values; ``alpha``: Krippendorff's, interval level of graded labels,
    nominal of yes and no. ``agreement_good``, ``kappa_good``: of the decision, from ``good_from``
    on. Intervals: bootstrap over clusters, expanded percentiles.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    labels = list(clusters) if clusters is not None else list(range(len(a)))
    graded = scale != (0.0, 1.0)
    measures: dict[str, Measure] = {"kappa": lambda x, y: kappa_of_labels(x, y, "none")}
    if graded:
        measures["kappa_linear"] = lambda x, y: kappa_of_labels(x, y, "linear")
        measures["kappa_quadratic"] = lambda x, y: kappa_of_labels(x, y, "quadratic")
        if good_from is not None:
            measures["kappa_good"] = lambda x, y: kappa_of_labels(
                (x >= good_from).astype(float), (y >= good_from).astype(float), "none"
            )
    level: Level = "interval" if graded else "nominal"
    measures["alpha"] = lambda x, y: krippendorff_alpha(np.vstack([x, y]), level)
    found = {"agreement": rate_metric((a == b).tolist(), clusters=labels)}
    if graded and good_from is not None:
        same = ((a >= good_from) == (b >= good_from)).tolist()
        found["agreement_good"] = rate_metric(same, clusters=labels)
    return found | with_intervals(measures, a, b, labels, seed)


def with_intervals(
    measures: Mapping[str, Measure],
    a: np.ndarray,
    b: np.ndarray,
    labels: Sequence[Hashable],
    seed: int = 0,
) -> dict[str, Metric]:
    """Return measures of two annotators with intervals, all of the same resampled clusters.

    Where every sample says the same, resampling sees no spread: then there is no interval.
    """
    n, order = len(a), sorted(range(len(a)), key=lambda i: (str(labels[i]), a[i], b[i]))
    places: dict[Hashable, int] = {}
    of_group = np.array([places.setdefault(labels[i], len(places)) for i in order], dtype=int)
    rows, n_groups = np.array(order, dtype=int), len(places)
    samples: list[np.ndarray] = []
    if n_groups > 1:
        drawn = resampled_clusters(n_groups, seed=seed, resamples=_RESAMPLES)
        samples = [np.repeat(rows, times[of_group]) for times in drawn]
    found: dict[str, Metric] = {}
    for name, measure in measures.items():
        value = measure(a, b) if n else None
        if value is None:
            found[name] = Metric(None, n, n, scale=_AGREEMENT, n_clusters=n_groups or None)
            continue
        seen = [one for s in samples if (one := measure(a[s], b[s])) is not None]
        low = high = None
        if seen and max(seen) > min(seen):
            ends = np.quantile(seen, expanded_percentiles(n_groups))
            low, high = min(float(ends[0]), value), max(float(ends[1]), value)
        found[name] = Metric(value, n, n, low, high, scale=_AGREEMENT, n_clusters=n_groups)
    return found


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
    places = np.arange(table.shape[1])

    def measure(here: np.ndarray, _: np.ndarray) -> float | None:
        return krippendorff_alpha(table[:, here.astype(int)], "interval")

    [found] = with_intervals({"alpha": measure}, places, places, clusters, seed).values()
    return found


def kappa_of_labels(a: np.ndarray, b: np.ndarray, weights: Weights = "none") -> float | None:
    """Return Cohen's kappa of two annotators' labels of the same cases."""
    values, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    table = np.zeros((len(values), len(values)))
    np.add.at(table, (places[: len(a)], places[len(a) :]), 1)
    return cohen_kappa(table, values.tolist(), weights)
