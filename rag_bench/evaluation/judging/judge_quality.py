"""How good a benchmark judge is: its agreement with itself and with labels, and its biases.

Scores are whole numbers of a rubric from 1 to 5, None for a failed or unreadable reply. Nothing
is imputed: a pair with one score is no pair, and a measure without any is undefined.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rag_bench.evaluation.judging.classification import show_metrics
from rag_bench.evaluation.statistics import (
    CONFIDENCE,
    design_effect,
    expanded_percentiles,
    mean_metric,
    rate_interval,
    rate_metric,
    resampled_clusters,
    totals_by_cluster,
)
from rag_bench.evaluation.types import Metric, Scale

#: From this score on an answer is called good; the rubrics' 4 is "good but for a trifle".
GOOD_FROM = 4
#: Two scores this near agree; the forerunner's tolerance and its name, ``consistency_score``.
TOLERANCE = 0.5
VALUES = (1, 2, 3, 4, 5)
_UNIT: Scale = (0.0, 1.0)
_DIFFERENCE: Scale = (-4.0, 4.0)
_DISTANCE: Scale = (0.0, 4.0)

Score = float | None
#: Which of the two answers won, by its place; None for a failed or unreadable reply.
Place = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class Requirement:
    """A limit that a judge fails if even the better end of its interval is beyond it."""

    metrics: tuple[str, ...]
    limit: float
    is_least: bool
    meaning: str


#: What tier judge must not show of a judge if its scores are to order generation models. People's
#: labels go before constructed ones. 0.5 is the AUC of chance; a judge that misses every 20th
#: score, or changes its mind about every fourth answer, orders models by its own accidents.
REQUIREMENTS = (
    Requirement(("error_rate",), 0.05, False, "its replies often cannot be used"),
    Requirement(("label_auc", "constructed_auc"), 0.75, True, "it hardly tells good from bad"),
    Requirement(("decision_flip_rate",), 0.25, False, "it changes its mind about an answer"),
    Requirement(("score_collapse",), 0.95, False, "it gives nearly always the same score"),
)

LABEL_NAMES = ("sensitivity", "specificity", "balanced_accuracy", "kappa", "auc")


@dataclass(frozen=True)
class BothOrders:
    """A pair's two verdicts: with the better answer shown first, and with it shown second."""

    better_first: Place | None
    better_second: Place | None
    cluster: Hashable

    @property
    def complete(self) -> bool:
        """Whether both verdicts could be read."""
        return self.better_first is not None and self.better_second is not None


def failed_requirements(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return, in words, what a judge fails of ``REQUIREMENTS``.

    ``metrics`` are tier judge's, as stored. Only what is shown to be beyond its limit fails, by the
    interval where there is one; what was not measured fails nothing.
    """
    failed = []
    for required in REQUIREMENTS:
        known = (metrics.get(name, {}) for name in required.metrics)
        found = next((m for m in known if m.get("value") is not None), None)
        if found is None:
            continue
        end = found.get("ci_high" if required.is_least else "ci_low")
        value = found["value"] if end is None else end
        if value < required.limit if required.is_least else value > required.limit:
            name = next(n for n in required.metrics if metrics.get(n) is found)
            word = "at least" if required.is_least else "at most"
            measured = f"{name} {found['value']:.2f}, {word} {required.limit:g} is needed"
            failed.append(f"{required.meaning}: {measured}")
    return failed


def overall(scores: Sequence[Score]) -> Score:
    """Return the least of an answer's rubric scores; None when one of them is missing.

    An answer is good only if it is good by every rubric, so the worst one is its score.
    """
    there = [score for score in scores if score is not None]
    return min(there) if there and len(there) == len(scores) else None


def repeat_metrics(
    first: Sequence[Sequence[Score]],
    second: Sequence[Sequence[Score]],
    clusters: Sequence[Hashable],
) -> dict[str, Metric]:
    """Return how a judge agrees with itself; per triple, each rubric's score at two repeats.

    ``consistency_score``: share of triples whose `overall` scores differ by at most 0.5.
    ``decision_flip_rate``: share of triples called good once and bad once (threshold 4).
    ``repeat_exact_agreement``, ``repeat_mean_abs_difference``: over single rubric scores.
    Only what has both scores counts; raises ValueError for unequal lengths.
    """
    before, after = [overall(s) for s in first], [overall(s) for s in second]
    gaps = [_minus(a, b) for a, b in zip(after, before, strict=True)]
    flips = [
        None if a is None or b is None else (a >= GOOD_FROM) != (b >= GOOD_FROM)
        for a, b in zip(before, after, strict=True)
    ]
    single: list[Score] = []
    of_single: list[Hashable] = []
    for one, two, cluster in zip(first, second, clusters, strict=True):
        single += [_minus(b, a) for a, b in zip(one, two, strict=True)]
        of_single += [cluster] * len(one)
    near = [None if gap is None else abs(gap) <= TOLERANCE for gap in gaps]
    same = [None if gap is None else gap == 0 for gap in single]
    return {
        "consistency_score": rate_metric(near, clusters=clusters),
        "decision_flip_rate": rate_metric(flips, clusters=clusters),
        "repeat_exact_agreement": rate_metric(same, clusters=of_single),
        "repeat_mean_abs_difference": mean_metric(
            [None if gap is None else abs(gap) for gap in single], of_single, scale=_DISTANCE
        ),
    }


def distribution_metrics(
    scores: Sequence[Score], clusters: Sequence[Hashable] | None = None
) -> dict[str, Metric]:
    """Return how the scores spread over 1 to 5, each answer and rubric scored once.

    ``clusters``: what each score shares with others (its page); None: nothing.

    ``score_share_1`` to ``score_share_5``: shares. ``score_collapse``: the share of the most
    frequent score (1 for a judge that always says the same). ``score_entropy``: Shannon's, over
    ln 5, 0 to 1. ``score_std``: divided by the number of scores. ``score_distinct``: how many of
    the five values occur. The last three describe the set itself and have no interval.
    """
    there = [score for score in scores if score is not None]
    counts = Counter(there)
    if strange := set(counts) - set(VALUES):
        raise ValueError(f"a score is a whole number from 1 to 5, not {sorted(strange)[0]}")
    n, n_expected = len(there), len(scores)

    def shares_of(value: float) -> Metric:
        return rate_metric([None if s is None else s == value for s in scores], clusters=clusters)

    metrics = {f"score_share_{value}": shares_of(value) for value in VALUES}
    most = max(sorted(counts), key=lambda value: counts[value], default=float(VALUES[0]))
    metrics["score_collapse"] = shares_of(most)
    shares = [count / n for count in counts.values()]
    entropy = -math.fsum(share * math.log(share) for share in shares) / math.log(len(VALUES))

    def summary(value: float, scale: Scale | None) -> Metric:
        return Metric(value if n else None, n, n_expected, scale=scale)

    metrics["score_entropy"] = summary(abs(entropy), _UNIT)
    metrics["score_std"] = summary(float(np.std(there)) if n else 0.0, (0.0, 2.0))
    metrics["score_distinct"] = summary(float(len(counts)), (1.0, 5.0))
    return metrics


def order_metrics(pairs: Sequence[BothOrders]) -> dict[str, Metric]:
    """Return what the order of two answers does to the verdict.

    ``position_consistency``: share of pairs with the same winner (or tie) in both orders.
    ``first_position_rate``: of the decided verdicts, the share for the answer shown first; 0.5 is
    unbiased. Only pairs with both verdicts count there, else the better answer's place would.
    ``tie_rate``: share of verdicts that are ties.
    """
    clusters = [pair.cluster for pair in pairs]
    mirrored = {"first": "second", "second": "first", "tie": "tie"}
    same = [
        pair.better_first == mirrored[pair.better_second]
        if pair.better_first is not None and pair.better_second is not None
        else None
        for pair in pairs
    ]
    to_first: list[bool | None] = []
    of_verdict: list[Hashable] = []
    ties: list[bool | None] = []
    for pair in pairs:
        for verdict in (pair.better_first, pair.better_second):
            ties.append(None if verdict is None else verdict == "tie")
            if not pair.complete or verdict != "tie":
                to_first.append(verdict == "first" if pair.complete else None)
                of_verdict.append(pair.cluster)
    return {
        "position_consistency": rate_metric(same, clusters=clusters),
        "first_position_rate": rate_metric(to_first, clusters=of_verdict),
        "tie_rate": rate_metric(ties, clusters=[c for c in clusters for _ in range(2)]),
    }


def preference_accuracy(pairs: Sequence[BothOrders]) -> Metric:
    """Return the share of pairs whose better answer won in both orders: a tie is no win."""
    won = [
        pair.better_first == "first" and pair.better_second == "second" if pair.complete else None
        for pair in pairs
    ]
    return rate_metric(won, clusters=[pair.cluster for pair in pairs])


def sensitivity_metrics(
    name: str, plain: Sequence[Score], changed: Sequence[Score], clusters: Sequence[Hashable]
) -> dict[str, Metric]:
    """Return the mean difference changed - plain over the same answers, signed and absolute.

    ``<name>_sensitivity`` is 0 for a judge that does not care. ``<name>_sensitivity_abs`` holds
    the judge's own noise as well: compare it with ``repeat_mean_abs_difference``.
    """
    gaps = [_minus(b, a) for a, b in zip(plain, changed, strict=True)]
    sizes = [None if gap is None else abs(gap) for gap in gaps]
    return {
        f"{name}_sensitivity": mean_metric(gaps, clusters, scale=_DIFFERENCE),
        f"{name}_sensitivity_abs": mean_metric(sizes, clusters, scale=_DISTANCE),
    }


def label_metrics(
    prefix: str,
    scores: Sequence[Score],
    good: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> dict[str, Metric]:
    """Return a judge's agreement with labels, "good" being a score of at least 4.

    ``<prefix>_sensitivity``: of the good answers, the share called good; ``_specificity``: of the
    bad ones, the share called bad (Wilson, bounds for missing ones). ``_balanced_accuracy``: their
    mean (MOVER interval from the two). ``_kappa``: Cohen's. ``_auc``: the probability that a good
    answer gets a higher score than a bad one, ties half (Mann-Whitney), without a threshold.
    What a kind of label is missing for is None. ``clusters``: what each answer shares with others
    (its page); without it every answer counts as independent. Raises ValueError for unequal
    lengths.
    """
    decided = [None if score is None else score >= GOOD_FROM for score in scores]
    shown = show_metrics(decided, good, clusters=clusters, resamples=1)
    labels = None if clusters is None else list(clusters)
    sensitivity = _of_kind(shown["recall"], scores, good, labels, True)
    specificity = _of_kind(shown["specificity"], scores, good, labels, False)
    values = (
        sensitivity,
        specificity,
        _balanced(sensitivity, specificity),
        _kappa_metric(decided, good, labels, seed),
        _auc_metric(scores, good, labels),
    )
    return {f"{prefix}_{name}": value for name, value in zip(LABEL_NAMES, values, strict=True)}


def kappa_of(tp: float, fp: float, fn: float, tn: float) -> float | None:
    """Return Cohen's kappa of a 2 x 2 table; None where chance alone explains all or nothing is."""
    n = tp + fp + fn + tn
    if n == 0:
        return None
    observed = (tp + tn) / n
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    return (observed - chance) / (1 - chance) if chance < 1 else None


def auc_of(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Return the share of (good, bad) pairs in which the good one is higher, ties half."""
    if not good or not bad:
        return None
    wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    return wins / (len(good) * len(bad))


def auc_interval(auc: float, n_good: float, n_bad: float) -> tuple[float, float]:
    """Return the 95 % interval of an AUC: Newcombe (2006, Statistics in Medicine 25:559), method 5.

    A score interval: the values t with |auc - t| <= z sqrt(V(t)), V being Hanley and McNeil's
    variance with both sample sizes in its inner terms replaced by their mean. Unlike a bootstrap
    it stays open at an AUC of 0 or 1. Counts divided by a design effect need not be whole.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri(1 - (1 - CONFIDENCE) / 2))
    more = (n_good + n_bad) / 2 - 1

    def beyond(t: float) -> float:
        inner = 1 + more * ((1 - t) / (2 - t) + t / (1 + t))
        return (auc - t) ** 2 - z**2 * t * (1 - t) * inner / (n_good * n_bad)

    # At an AUC of 0 or 1 that end is a root itself, and the interval's; the other lies inside.
    edge = 1e-9
    low = brentq(beyond, 0.0, min(auc, 1 - edge)) if auc > 0 else 0.0
    high = brentq(beyond, max(auc, edge), 1.0) if auc < 1 else 1.0
    return float(low), float(high)


def _minus(a: Score, b: Score) -> float | None:
    return None if a is None or b is None else float(a) - float(b)


def _of_kind(
    metric: Metric,
    scores: Sequence[Score],
    good: Sequence[bool],
    clusters: Sequence[Hashable] | None,
    kind: bool,
) -> Metric:
    """Return a ratio over one kind of label with the counts of that kind."""
    places = [index for index, label in enumerate(good) if bool(label) is kind]
    mine = [scores[index] for index in places]
    there = [index for index in places if scores[index] is not None]
    n_scored = len(there)
    return Metric(
        metric.value,
        n_scored,
        len(mine),
        metric.ci_low,
        metric.ci_high,
        metric.low_if_missing,
        metric.high_if_missing,
        _UNIT,
        None if clusters is None else len({clusters[index] for index in there}),
    )


def _balanced(sensitivity: Metric, specificity: Metric) -> Metric:
    """Return the mean of both with MOVER limits (Zou and Donner 2008) from their own intervals."""
    n_scored = sensitivity.n_scored + specificity.n_scored
    n_expected = sensitivity.n_expected + specificity.n_expected

    def mean(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else (a + b) / 2

    low = mean(sensitivity.low_if_missing, specificity.low_if_missing)
    high = mean(sensitivity.high_if_missing, specificity.high_if_missing)
    value = mean(sensitivity.value, specificity.value)
    if value is None:
        return Metric(None, n_scored, n_expected, None, None, low, high, _UNIT)
    n_clusters = _fewer(sensitivity.n_clusters, specificity.n_clusters)
    if sensitivity.ci_low is None or specificity.ci_low is None:
        # One page says nothing about how pages differ.
        return Metric(value, n_scored, n_expected, None, None, low, high, _UNIT, n_clusters)
    both = (sensitivity, specificity)
    down = math.hypot(*(m.value - m.ci_low for m in both)) / 2  # type: ignore[operator]
    up = math.hypot(*(m.ci_high - m.value for m in both)) / 2  # type: ignore[operator]
    return Metric(
        value, n_scored, n_expected, value - down, value + up, low, high, _UNIT, n_clusters
    )


def _fewer(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else min(a, b)


def _kappa_metric(
    decided: Sequence[bool | None],
    good: Sequence[bool],
    clusters: Sequence[Hashable] | None,
    seed: int,
    resamples: int = 2000,
) -> Metric:
    """Return kappa with a bootstrap over clusters (expanded percentiles), or over answers.

    Without a single error (or hit) resampling sees no spread; then Wilson's limits of the
    agreement are put in its place, chance agreement as observed.
    """
    read = [index for index, d in enumerate(decided) if d is not None]
    pairs = [(bool(decided[index]), bool(good[index])) for index in read]
    labels = None if clusters is None else [clusters[index] for index in read]
    cells = Counter(pairs)
    tp, fp, fn, tn = (
        cells[key] for key in ((True, True), (True, False), (False, True), (False, False))
    )
    n, scale = len(pairs), (-1.0, 1.0)
    value = kappa_of(tp, fp, fn, tn)
    n_clusters = None if labels is None else len(set(labels))
    if value is None:
        return Metric(None, n, len(good), scale=scale, n_clusters=n_clusters)
    tail = (1 - CONFIDENCE) / 2
    levels = (tail, 1 - tail)
    if labels is None:
        drawn = np.random.default_rng(seed).multinomial(
            n, np.array([tp, fp, fn, tn]) / n, size=resamples
        )
    else:
        kinds = ((True, True), (True, False), (False, True), (False, False))
        totals = totals_by_cluster(labels, [[pair == kind for kind in kinds] for pair in pairs])
        if len(totals) < 2:
            return Metric(value, n, len(good), scale=scale, n_clusters=n_clusters)
        levels = expanded_percentiles(len(totals))
        drawn = resampled_clusters(len(totals), seed=seed, resamples=resamples) @ totals
    found = [kappa for row in drawn.tolist() if (kappa := kappa_of(*row)) is not None]
    if not found or max(found) - min(found) == 0:
        chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
        ends = rate_interval([d == g for d, g in pairs], labels)
        low, high = (max(((end or 0.0) - chance) / (1 - chance), -1.0) for end in ends)
    else:
        low, high = (float(end) for end in np.quantile(found, levels))
    return Metric(
        value,
        n,
        len(good),
        min(low, value),
        max(high, value),
        scale=scale,
        n_clusters=n_clusters,
    )


def auc_design_effect(
    good: Sequence[float],
    bad: Sequence[float],
    of_good: Sequence[Hashable],
    of_bad: Sequence[Hashable],
) -> float:
    """Return how much answers that share a cluster widen the variance of an AUC, at least 1.

    The ratio of Obuchowski's variance for clustered data (1997, Biometrics 53:567) to DeLong's,
    both from the same structural components: each good answer's share of bad ones that it beats,
    and each bad one's of good ones that beat it.
    """
    auc = auc_of(good, bad)
    if auc is None or len(good) < 2 or len(bad) < 2:
        return 1.0
    beats = np.array([[(g > b) + (g == b) / 2 for b in bad] for g in good])
    ends = (
        (beats.mean(axis=1) - auc, of_good),
        (beats.mean(axis=0) - auc, of_bad),
    )
    independent = clustered = 0.0
    together: dict[Hashable, float] = {}
    for components, labels in ends:
        n = len(components)
        independent += float(components @ components) / (n * (n - 1))
        for label, component in zip(labels, components, strict=True):
            together[label] = together.get(label, 0.0) + float(component) / n
    n_clusters = len(together)
    if n_clusters < 2:
        return 1.0
    clustered = math.fsum(total**2 for total in together.values())
    return design_effect(independent, clustered * n_clusters / (n_clusters - 1))


def _auc_metric(
    scores: Sequence[Score], good: Sequence[bool], clusters: Sequence[Hashable] | None
) -> Metric:
    there = [index for index, score in enumerate(scores) if score is not None]
    places = [[i for i in there if bool(good[i]) is kind] for kind in (True, False)]
    of_good, of_bad = ([float(scores[i] or 0.0) for i in place] for place in places)
    value = auc_of(of_good, of_bad)
    n_clusters = None if clusters is None else len({clusters[index] for index in there})
    if value is None or n_clusters == 1:
        return Metric(value, len(there), len(scores), scale=_UNIT, n_clusters=n_clusters)
    effect = 1.0
    if clusters is not None:
        labels = [[clusters[i] for i in place] for place in places]
        effect = auc_design_effect(of_good, of_bad, *labels)
        if value in (0.0, 1.0):
            # No spread to estimate it from: the clusters are the evidence.
            effect = max(len(of_good) / len(set(labels[0])), len(of_bad) / len(set(labels[1])))
    low, high = auc_interval(value, len(of_good) / effect, len(of_bad) / effect)
    return Metric(value, len(there), len(scores), low, high, scale=_UNIT, n_clusters=n_clusters)
