"""A mean over questions that were chosen, weighted to the topics that users ask about.

Post-stratification: the questions of each topic stand for the share that the topic has of the
traffic (Holt and Smith 1979, "Post Stratification"; Cochran 1977, "Sampling Techniques", 5A.9).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric, Scale

_ALPHA = 0.05
#: A topic needs cases of so many pages, or nothing is known of how its pages differ.
LEAST_CLUSTERS = 2


@dataclass(frozen=True)
class Stratum:
    """What the questions of one topic come to.

    Attributes:
        key: of the topic.
        weight: its share of the traffic; 0 for one that nobody asks about.
        score: of its own questions alone.
        joined: key of the topic whose questions it is measured with, if its own come from fewer
            than two pages; None if it stands alone, or has none.
    """

    key: str
    weight: float
    score: Metric
    joined: str | None = None


@dataclass(frozen=True)
class Poststratified:
    """A mean weighted to traffic.

    Attributes:
        weighted: of the covered traffic, with its interval; ``n_scored`` of ``n_expected`` cases,
            those of topics without traffic not among them.
        plain: of the same questions, each counting as much.
        uncovered: share of the traffic in topics without a scored question: nothing is known of it.
        low_if_uncovered, high_if_uncovered: the weighted mean if all of that had the worst, or the
            best, score; None without a scale.
        n_effective: how many questions drawn at random from the traffic would tell as much.
        design_effect: scored questions by that: weights and pages cost so much.
        strata: the topics, those with the most traffic first.
    """

    weighted: Metric
    plain: Metric
    uncovered: float
    low_if_uncovered: float | None
    high_if_uncovered: float | None
    n_effective: float | None
    design_effect: float | None
    strata: Sequence[Stratum]

    @property
    def joined(self) -> dict[str, str]:
        """Topics that are measured together with another one, and with which."""
        return {one.key: one.joined for one in self.strata if one.joined is not None}

    def as_json(self) -> dict[str, Any]:
        """Return it without the strata."""
        round_ = lambda value: None if value is None else settled(value)  # noqa: E731
        return {
            **self.weighted.to_json(),
            "plain": round_(self.plain.value),
            "uncovered_share": settled(self.uncovered),
            "low_if_uncovered": round_(self.low_if_uncovered),
            "high_if_uncovered": round_(self.high_if_uncovered),
            "n_effective": round_(self.n_effective),
            "design_effect": round_(self.design_effect),
            "joined_topics": self.joined,
        }


def poststratify(
    values: Sequence[float | None],
    strata: Sequence[str],
    clusters: Sequence[Hashable],
    traffic: Mapping[str, float],
    *,
    scale: Scale | None = None,
    nearest: Callable[[str, Sequence[str]], str] | None = None,
) -> Poststratified:
    """Return the mean of ``values`` weighted to the traffic's topics.

    With W the traffic's share of topic h among the covered ones, n its scored cases and ȳ their
    mean, the weighted mean is Σ W ȳ. Its variance is the jackknife's, pages left out one by one:
    Σ over pages c of (Σ over topics h of √((G−1)/G) · W/(n − m) · Σ (y − ȳ) over the topic's m
    cases of the page)², G the topic's pages (Yung and Rao 1996); with a page per case it is
    Σ W² s²/n (Cochran 1977, 5.6), given the questions that each topic got (Holt and Smith).
    The traffic is taken as it is, not as a sample.
    The 95 % interval is the mean ± t · √variance, or for yes and no Wilson's at the effective size,
    which is made smaller by (z/t)² (Korn and Graubard 1998), with as many degrees of freedom as
    there are pages by their weight, 1/Σ a² − 1, a a page's weight.

    Args:
        values: one per case; None is missing.
        strata: the topic of each case.
        clusters: its page.
        traffic: questions of users by topic, any unit.
        scale: least and greatest possible value.
        nearest: of a topic and others the one that is most like it: its cases are joined with
            those if they come from fewer than two pages; by default the first by key.

    Raises ValueError for unequal lengths, no traffic, or as `mean_metric`.
    """
    if not len(values) == len(strata) == len(clusters):
        raise ValueError(f"{len(values)} values, {len(strata)} strata, {len(clusters)} clusters")
    total = math.fsum(traffic.values())
    if total <= 0 or min(traffic.values()) < 0:
        raise ValueError("the traffic's topics need questions")
    keys = sorted({*traffic, *strata}, key=lambda key: (-traffic.get(key, 0), key))
    own = {
        key: [i for i, stratum in enumerate(strata) if stratum == key and _there(values[i])]
        for key in keys
    }
    joined = _joined(own, traffic, clusters, nearest or (lambda key, others: min(others)))
    groups: dict[str, list[int]] = {}
    weights: dict[str, float] = {}
    for key in keys:
        if own[key] and traffic.get(key, 0) > 0:
            into = joined.get(key, key)
            groups.setdefault(into, []).extend(own[key])
            weights[into] = weights.get(into, 0.0) + traffic[key] / total
    covered = math.fsum(weights.values())
    asked = [i for i, stratum in enumerate(strata) if traffic.get(stratum, 0) > 0]
    plain = mean_metric([values[i] for i in asked], [clusters[i] for i in asked], scale=scale)
    weighted, n_effective = _weighted(
        groups,
        {key: weight / covered for key, weight in weights.items()} if covered else {},
        values,
        clusters,
        len(asked),
        scale,
    )
    n, value = weighted.n_scored, weighted.value
    uncovered = max(0.0, 1.0 - covered)
    ends = scale if scale is not None and value is not None else (None, None)
    return Poststratified(
        weighted,
        plain,
        uncovered,
        None if ends[0] is None or value is None else covered * value + uncovered * ends[0],
        None if ends[1] is None or value is None else covered * value + uncovered * ends[1],
        n_effective,
        n / n_effective if n_effective else None,
        [
            Stratum(
                key,
                traffic.get(key, 0) / total,
                mean_metric(
                    [values[i] for i, stratum in enumerate(strata) if stratum == key],
                    [clusters[i] for i, stratum in enumerate(strata) if stratum == key],
                    scale=scale,
                ),
                joined.get(key),
            )
            for key in keys
        ],
    )


def _there(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _joined(
    own: Mapping[str, Sequence[int]],
    traffic: Mapping[str, float],
    clusters: Sequence[Hashable],
    nearest: Callable[[str, Sequence[str]], str],
) -> dict[str, str]:
    """Return which topics are measured with which other one; each is the end of its own chain."""
    there = [key for key, cases in own.items() if cases and traffic.get(key, 0) > 0]
    pages = {key: {clusters[i] for i in own[key]} for key in there}
    group = {key: key for key in there}
    while True:
        heads = sorted(set(group.values()))
        small = [
            head
            for head in heads
            if len(set().union(*(pages[k] for k in there if group[k] == head))) < LEAST_CLUSTERS
        ]
        if not small or len(heads) < 2:
            return {key: head for key, head in group.items() if head != key}
        into = nearest(small[0], [head for head in heads if head != small[0]])
        group = {key: into if head == small[0] else head for key, head in group.items()}


def _weighted(
    groups: Mapping[str, Sequence[int]],
    weights: Mapping[str, float],
    values: Sequence[float | None],
    clusters: Sequence[Hashable],
    n_expected: int,
    scale: Scale | None,
) -> tuple[Metric, float | None]:
    """Return the weighted mean and its effective number of cases."""
    n = sum(len(cases) for cases in groups.values())
    if not n:
        return Metric(None, 0, n_expected, scale=scale), None
    scores = {i: float(values[i] or 0.0) for cases in groups.values() for i in cases}
    means = {key: math.fsum(scores[i] for i in cases) / len(cases) for key, cases in groups.items()}
    value = math.fsum(weights[key] * means[key] for key in sorted(groups))
    shifts: dict[Hashable, list[float]] = {}
    held: dict[Hashable, list[float]] = {}
    spread = []
    for key, cases in groups.items():
        of_page = Counter(clusters[i] for i in cases)
        n_pages = len(of_page)
        small = math.sqrt((n_pages - 1) / n_pages)
        share = weights[key] / len(cases)
        for i in cases:
            # What the topic's mean would lose with the page, one part per case.
            rest = len(cases) - of_page[clusters[i]]
            without = small * weights[key] * (scores[i] - means[key]) / rest if rest else 0.0
            shifts.setdefault(clusters[i], []).append(without)
            held.setdefault(clusters[i], []).append(share)
            spread.append(share * (scores[i] - value) ** 2)
    n_clusters = len(held)
    variance = math.fsum(math.fsum(parts) ** 2 for parts in shifts.values())
    population = math.fsum(spread)
    by_weight = 1 / math.fsum(math.fsum(parts) ** 2 for parts in held.values())
    # As many questions of the traffic, drawn one by one, would be as sure.
    effective = min(population / variance, float(n)) if variance > 1e-15 else None
    low, high = _interval(value, variance, population, by_weight, n_clusters, n, scores, scale)
    return Metric(value, n, n_expected, low, high, scale=scale, n_clusters=n_clusters), effective


def _interval(
    value: float,
    variance: float,
    population: float,
    by_weight: float,
    n_clusters: int,
    n: int,
    scores: Mapping[int, float],
    scale: Scale | None,
) -> tuple[float | None, float | None]:
    from scipy.special import ndtri, stdtrit

    if n_clusters < 2:
        return None, None
    if variance <= 1e-15:
        # No topic has two pages that differ: as `mean_metric` does for pages that are all alike.
        if scale is None:
            return None, None
        unlike = 1 - (_ALPHA / 2) ** (1 / by_weight)
        return value - unlike * (value - scale[0]), value + unlike * (scale[1] - value)
    t = float(stdtrit(max(by_weight - 1, 1.0), 1 - _ALPHA / 2))
    if scale == (0.0, 1.0) and all(score in (0.0, 1.0) for score in scores.values()):
        z = float(ndtri(1 - _ALPHA / 2))
        size = min(value * (1 - value) / variance, float(n)) * (z / t) ** 2
        centre = (value + z * z / (2 * size)) / (1 + z * z / size)
        half = z * math.sqrt(value * (1 - value) / size + z * z / (4 * size * size))
        half /= 1 + z * z / size
        return max(min(centre - half, value), 0.0), min(max(centre + half, value), 1.0)
    half = t * math.sqrt(variance)
    low, high = value - half, value + half
    return (low, high) if scale is None else (max(low, scale[0]), min(high, scale[1]))
