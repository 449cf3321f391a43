"""Every published interval, test and estimator, each in the worlds that it is for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.metrics.judges.production_judge import show_metrics
from rag_bench.evaluation.people.prediction_powered import corrected_mean
from rag_bench.evaluation.people.rogan_gladen import corrected_share
from rag_bench.evaluation.self_test.simulation import Cell
from rag_bench.evaluation.self_test.worlds import (
    HIGHEST,
    LOWEST,
    Pages,
    before_and_after,
    changes,
    grades,
    judged,
    mean_grade,
    yes_no,
)
from rag_bench.evaluation.statistics import mean_metric, quantile_metric, rate_metric
from rag_bench.evaluation.types import FEW_CLUSTERS

_FEW, _SOME, _MANY = Pages(12, 5, 0.1), Pages(40, 5, 0.1), Pages(240, 4, 0.1)
_ALONE = Pages(200, 1, 0.0)
_TOO_FEW = Pages(6, 10, 0.2)
_MARK = f"fewer than {FEW_CLUSTERS} pages: said beside the number"
#: Intervals of resampled clusters are an approximation; facts of the literature and of ours.
_APPROXIMATE = 0.015
_RESAMPLES = 500


def all_cells() -> list[Cell]:
    """Return what is tried, in the order of the table."""
    return [*_means(), *_rates(), *_quantiles(), *_differences(), *_verdicts(), *_corrections()]


def _held(low: float | None, high: float | None, truth: float) -> bool | None:
    return None if low is None or high is None else low <= truth <= high


def _means() -> list[Cell]:
    def look(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        values = grades(rng, pages, 3.6, 1.1).ravel().tolist()
        scale = (float(LOWEST), float(HIGHEST))
        found = mean_metric(values, pages.labels, scale=scale, resamples=_RESAMPLES)
        return _held(found.ci_low, found.ci_high, mean_grade(3.6, 1.1))

    return [
        Cell(
            "mean of grades 1 to 5, pages resampled",
            str(pages),
            0.95,
            partial(look, pages=pages),
            outside=_MARK if pages.n < FEW_CLUSTERS else None,
            tolerance=_APPROXIMATE,
        )
        for pages in (_TOO_FEW, _FEW, _SOME, _MANY)
    ]


def _rates() -> list[Cell]:
    def look(rng: np.random.Generator, *, pages: Pages, rate: float) -> bool | None:
        values = yes_no(rng, pages, rate).ravel().tolist()
        found = rate_metric(values, clusters=pages.labels)
        return _held(found.ci_low, found.ci_high, rate)

    return [
        Cell(
            f"rate of {rate:g}, Wilson at the effective size",
            str(pages),
            0.95,
            partial(look, pages=pages, rate=rate),
            at_least=True,
            outside=_MARK if pages.n < FEW_CLUSTERS else None,
            tolerance=_APPROXIMATE,
        )
        for rate in (0.8, 0.98)
        for pages in (_TOO_FEW, _FEW, _SOME, _MANY)
    ]


def _quantiles() -> list[Cell]:
    def look(rng: np.random.Generator, *, n: int, q: float) -> bool | None:
        found = quantile_metric(rng.exponential(size=n).tolist(), q)
        return _held(found.ci_low, found.ci_high, float(-np.log1p(-q)))

    group = "p{:.0f} of latencies, order statistics"
    return [
        Cell(group.format(100 * q), f"{n} calls", 0.95, partial(look, n=n, q=q), at_least=True)
        for q, n in ((0.5, 50), (0.5, 200), (0.95, 100), (0.95, 500))
    ]


def _differences() -> list[Cell]:
    def compared(
        rng: np.random.Generator, pages: Pages, discordant: float, difference: float
    ) -> tuple[float | None, float | None, float | None]:
        change = changes(rng, pages, discordant, difference)
        first, second = before_and_after(rng, change, 0.8)
        cases = [f"{number:05}" for number in range(change.size)]
        found = compare_paired(
            dict(zip(cases, first.tolist(), strict=True)),
            dict(zip(cases, second.tolist(), strict=True)),
            dict(zip(cases, pages.labels, strict=True)),
            yes_no=True,
            scale=(0.0, 1.0),
        )
        return found.difference.ci_low, found.difference.ci_high, found.p_value

    def holds(rng: np.random.Generator, *, pages: Pages, difference: float) -> bool | None:
        low, high, _ = compared(rng, pages, 0.15, difference)
        return _held(low, high, difference)

    def cries(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        p = compared(rng, pages, 0.15, 0.0)[2]
        return None if p is None else p < 0.05

    worlds = (_ALONE, _FEW, _SOME)
    return [
        *(
            Cell(
                f"difference of {difference:g} between paired rates, 15 % discordant",
                str(pages),
                0.95,
                partial(holds, pages=pages, difference=difference),
                at_least=True,
                tolerance=_APPROXIMATE,
            )
            for difference in (0.0, -0.05)
            for pages in worlds
        ),
        *(
            Cell(
                "paired test where nothing changed, alpha .05",
                str(pages),
                0.05,
                partial(cries, pages=pages),
                at_least=True,
                tolerance=_APPROXIMATE / 2,
            )
            for pages in worlds
        ),
    ]


def _verdicts() -> list[Cell]:
    sensitivity, specificity, good = 0.9, 0.8, 0.6
    true_positive, false_positive = good * sensitivity, (1 - good) * (1 - specificity)
    f1 = 2 * true_positive / (good + true_positive + false_positive)

    def look(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        truth = yes_no(rng, pages, good)
        said = judged(rng, truth, sensitivity, specificity)
        verdicts, labels = said.ravel().tolist(), truth.ravel().tolist()
        found = show_metrics(verdicts, labels, clusters=pages.labels, resamples=_RESAMPLES)
        metric = found["f1_score"]
        return _held(metric.ci_low, metric.ci_high, f1)

    return [
        Cell(
            "F1 of a production judge, pages resampled",
            str(pages),
            0.95,
            partial(look, pages=pages),
            tolerance=_APPROXIMATE,
        )
        for pages in (_FEW, _SOME)
    ]


def _corrections() -> list[Cell]:
    n = 500
    rate, sensitivity, specificity = 0.8, 0.95, 0.7

    def powered(rng: np.random.Generator, *, n_labels: int) -> bool | None:
        truth = rng.random(n) < rate
        said = judged(rng, truth, sensitivity, specificity)
        drawn = set(rng.choice(n, n_labels, replace=False).tolist())
        labels = [float(truth[i]) if i in drawn else None for i in range(n)]
        found = corrected_mean(labels, said.astype(float).tolist(), scale=(0.0, 1.0), step=1.0)
        return None if found is None else _held(found.ci_low, found.ci_high, rate)

    def carried(rng: np.random.Generator, *, n_labels: int) -> bool | None:
        # Labels of another model's answers, whose share of good ones is another; the judge errs
        # alike on both, which is what the mark beside such a number assumes.
        share = float(judged(rng, rng.random(n) < rate, sensitivity, specificity).mean())
        other = rng.random(n_labels) < 0.6
        said = judged(rng, other, sensitivity, specificity)
        n_good, n_bad = int(other.sum()), int((~other).sum())
        if not n_good or not n_bad:
            return None
        q1, q0 = float(said[other].mean()), float((~said[~other]).mean())
        found = corrected_share(share, q0, q1, n, n_bad, n_good)
        return None if found is None else _held(found.ci_low, found.ci_high, rate)

    looks: list[tuple[str, Callable[..., bool | None], int]] = [
        ("score corrected by labels of its own cases (prediction-powered)", powered, 50),
        ("score corrected by labels of its own cases (prediction-powered)", powered, 100),
        ("share corrected by labels from elsewhere (Rogan-Gladen), judge alike", carried, 200),
    ]
    return [
        Cell(
            group,
            f"{n_labels} labels",
            0.95,
            partial(look, n_labels=n_labels),
            at_least=True,
            tolerance=_APPROXIMATE,
        )
        for group, look, n_labels in looks
    ]
