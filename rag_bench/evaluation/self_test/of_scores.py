"""Means, rates and quantiles: what most published numbers are."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.self_test.claims import (
    APPROXIMATE,
    FEW,
    MANY,
    SOME,
    TOO_FEW,
    held,
    holds,
    mark,
)
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import (
    HIGHEST,
    LOWEST,
    Pages,
    grades,
    mean_grade,
    uneven,
    yes_no,
)
from rag_bench.evaluation.statistics import mean_metric, quantile_metric, rate_metric
from rag_bench.evaluation.weighted.poststratified import poststratify

_RESAMPLES = 500
_SCALE = (float(LOWEST), float(HIGHEST))
#: Users with up to twelve questions, most with few, and alike.
_USERS = Pages(60, 12, 0.2)
_OF_USERS = "60 users with 1 to 12 questions, correlation 0.2"
#: Topics: what users ask about, and how good answers are there (share, mean grade before rounding).
_TRAFFIC = {"a": 50.0, "b": 30.0, "c": 15.0, "d": 5.0}
_LEVELS = {"a": (0.85, 4.0), "b": (0.6, 3.2), "c": (0.9, 4.2), "d": (0.4, 2.8)}


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [
        *_means(),
        *_rates(),
        *_uneven(),
        *_quantiles(),
        *_median_of_users(),
        *_latencies(),
        *_weighted(),
    ]


def _means() -> list[Cell]:
    def look(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        values = grades(rng, pages, 3.6, 1.1).ravel().tolist()
        scale = (float(LOWEST), float(HIGHEST))
        found = mean_metric(values, pages.labels, scale=scale, resamples=_RESAMPLES)
        return held(found.ci_low, found.ci_high, mean_grade(3.6, 1.1))

    return [
        Cell(
            "mean of grades 1 to 5, pages resampled",
            str(pages),
            0.95,
            partial(look, pages=pages),
            outside=mark(pages),
            tolerance=APPROXIMATE,
        )
        for pages in (TOO_FEW, FEW, SOME, MANY)
    ]


def _rates() -> list[Cell]:
    def look(rng: np.random.Generator, *, pages: Pages, rate: float) -> bool | None:
        values = yes_no(rng, pages, rate).ravel().tolist()
        found = rate_metric(values, clusters=pages.labels)
        return held(found.ci_low, found.ci_high, rate)

    return [
        Cell(
            f"rate of {rate:g}, Wilson at the effective size",
            str(pages),
            0.95,
            partial(look, pages=pages, rate=rate),
            at_least=True,
            outside=mark(pages),
            tolerance=APPROXIMATE,
        )
        for rate in (0.8, 0.98)
        for pages in (TOO_FEW, FEW, SOME, MANY)
    ]


def _quantiles() -> list[Cell]:
    def look(rng: np.random.Generator, *, n: int, q: float) -> bool | None:
        found = quantile_metric(rng.exponential(size=n).tolist(), q)
        return held(found.ci_low, found.ci_high, float(-np.log1p(-q)))

    group = "p{:.0f} of latencies, order statistics"
    return [
        Cell(group.format(100 * q), f"{n} calls", 0.95, partial(look, n=n, q=q), at_least=True)
        for q, n in ((0.5, 50), (0.5, 200), (0.95, 100), (0.95, 500))
    ]


def _uneven() -> list[Cell]:
    def mean(rng: np.random.Generator) -> bool | None:
        values, users = uneven(rng, _USERS, grades(rng, _USERS, 3.6, 1.1))
        found = mean_metric(values, users, scale=_SCALE, resamples=_RESAMPLES)
        return holds(found, mean_grade(3.6, 1.1))

    def rate(rng: np.random.Generator) -> bool | None:
        values, users = uneven(rng, _USERS, yes_no(rng, _USERS, 0.8))
        return holds(rate_metric(values, clusters=users), 0.8)

    def alone(rng: np.random.Generator) -> bool | None:
        return holds(rate_metric((rng.random(30) < 0.9).tolist()), 0.9)

    of_users = partial(Cell, world=_OF_USERS, promised=0.95, at_least=True, tolerance=APPROXIMATE)
    return [
        of_users("mean of grades 1 to 5, users resampled", look=mean),
        of_users("rate of 0.8, Wilson at the effective size", look=rate),
        Cell(
            "rate of 0.9, Wilson",
            "30 replies, none alike",
            0.95,
            alone,
            at_least=True,
            tolerance=APPROXIMATE,
        ),
    ]


def _median_of_users() -> list[Cell]:
    def look(rng: np.random.Generator) -> bool | None:
        user = rng.standard_normal((_USERS.n, 1)) * math.sqrt(_USERS.alike)
        own = rng.standard_normal((_USERS.n, _USERS.questions)) * math.sqrt(1 - _USERS.alike)
        lengths, users = uneven(rng, _USERS, np.exp(4 + 0.5 * (user + own)))
        return holds(quantile_metric(lengths, 0.5, clusters=users), math.exp(4))

    return [
        Cell(
            "median of lengths, order statistics at the effective size",
            _OF_USERS,
            0.95,
            look,
            at_least=True,
            tolerance=APPROXIMATE,
        )
    ]


def _latencies() -> list[Cell]:
    def look(rng: np.random.Generator, *, n: int) -> bool | None:
        # Log-normal: the slowest calls take several times as long as the usual one.
        found = latency_metrics((400 * np.exp(0.6 * rng.standard_normal(n))).tolist())
        return holds(found["avg_latency_ms"], 400 * math.exp(0.18))

    return [
        Cell(
            "mean latency, calls resampled",
            f"{n} calls, some slow",
            0.95,
            partial(look, n=n),
            tolerance=APPROXIMATE,
        )
        for n in (50, 200)
    ]


def _weighted() -> list[Cell]:
    total = sum(_TRAFFIC.values())

    def look(rng: np.random.Generator, *, pages: Pages, graded: bool) -> Seen:
        values: list[float] = []
        topics: list[str] = []
        labels: list[str] = []
        for topic, (rate, centre) in _LEVELS.items():
            drawn = grades(rng, pages, centre, 1.1) if graded else yes_no(rng, pages, rate)
            values += drawn.astype(float).ravel().tolist()
            topics += [topic] * pages.size
            labels += [f"{topic}{page}" for page in pages.labels]
        found = poststratify(
            values, topics, labels, _TRAFFIC, scale=_SCALE if graded else (0.0, 1.0)
        )
        truth = sum(
            _TRAFFIC[topic] * (mean_grade(centre, 1.1) if graded else rate)
            for topic, (rate, centre) in _LEVELS.items()
        )
        return holds(found.weighted, truth / total)

    return [
        Cell(
            f"mean of {what} weighted to the traffic (post-stratified)",
            f"4 topics of {pages}",
            0.95,
            partial(look, pages=pages, graded=graded),
            at_least=True,
            tolerance=APPROXIMATE,
        )
        for what, graded in (("yes and no", False), ("grades 1 to 5", True))
        for pages in (Pages(6, 5, 0.1), Pages(15, 4, 0.1))
    ]
