"""A benchmark judge against labels: people's, and those that hold by construction."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from rag_bench.evaluation.metric_spec import COSINE, UNIT, entries
from rag_bench.evaluation.metrics.judges.judge_scores import GOOD_FROM, Score
from rag_bench.evaluation.metrics.judges.production_judge import show_metrics
from rag_bench.evaluation.people.count_tables import kappas
from rag_bench.evaluation.rubrics import SCALE
from rag_bench.evaluation.statistics import (
    CONFIDENCE,
    design_effect,
    expanded_percentiles,
    rate_interval,
    resampled_clusters,
    totals_by_cluster,
)
from rag_bench.evaluation.types import Metric

LABEL_NAMES = ("sensitivity", "specificity", "balanced_accuracy", "kappa", "auc")
_FORMULAS = {
    "sensitivity": "of the answers that people call good, the share that the judge calls good",
    "specificity": "of the answers that people call bad, the share that the judge calls bad",
    "balanced_accuracy": "mean of the two; MOVER limits from their Wilson intervals",
    "kappa": "Cohen's kappa of judge and people at the threshold; bootstrap over answers. 0 is "
    "chance (its least value is -1)",
    "auc": "probability that a good answer gets a higher overall score than a bad one, ties half "
    "(Mann-Whitney): needs no threshold, so a severe judge that ranks well shows here. Newcombe's "
    "score interval (2006, method 5)",
}
_CONSTRUCTED = (
    "the same five against the constructed labels. A judge that is not near 1 here cannot be used; "
    "one that is, is not thereby good"
)
METRICS = tuple(
    entry
    for prefix in ("label", "constructed")
    for name in LABEL_NAMES
    for entry in entries(
        (f"{prefix}_{name}",),
        ("judge",),
        "summary",
        COSINE if name == "kappa" else UNIT,
        True,
        _FORMULAS[name] if prefix == "label" else _CONSTRUCTED,
    )
) + entries(
    ("n_label_answers", "n_constructed_answers"),
    ("judge",),
    "count",
    None,
    None,
    "answers of each kind",
)

# Asset `judge_calibration`: by one rubric, on labels of drawn answers.
CALIBRATION_TIER = "judge_calibration"
#: Before the names of `rag_bench.evaluation.people.calibration`.
CALIBRATION_PREFIX = "calibration_"
_RATES = {
    "sensitivity": "of the answers that people call good (4 or 5), the share that the judge calls "
    "good; Wilson at the effective size",
    "specificity": "of the answers that people call bad, the share that the judge calls bad",
    "balanced_accuracy": "mean of the two; MOVER limits from their Wilson intervals",
    "auc": "probability that an answer that people call good gets a higher score than a bad one, "
    "ties half",
}
_AGREEMENT = {
    "kappa": "Cohen's kappa of judge and people at 4; bootstrap over pages",
    "kappa_quadratic": "Cohen's kappa of the grades, disagreements weighted by the square of their "
    "distance; bootstrap over pages",
    "spearman": "rank correlation of the judge's grades with people's; bootstrap over pages",
}
_COUNTS = {
    "true_positive": "answers that people and judge call good",
    "false_negative": "answers that people call good and the judge bad",
    "true_negative": "answers that both call bad",
    "false_positive": "answers that people call bad and the judge good",
}
METRICS += tuple(
    entry
    for scale, formulas in ((UNIT, _RATES), (COSINE, _AGREEMENT))
    for name, formula in formulas.items()
    for entry in entries(
        (f"{CALIBRATION_PREFIX}{name}",), (CALIBRATION_TIER,), "summary", scale, True, formula
    )
)
METRICS += entries(
    (f"{CALIBRATION_PREFIX}severity",),
    (CALIBRATION_TIER,),
    "mean",
    (SCALE[0] - SCALE[1], SCALE[1] - SCALE[0]),
    None,
    "mean of judge's minus people's grade; below 0 the judge is stricter than people",
)
METRICS += tuple(
    entry
    for name, formula in _COUNTS.items()
    for entry in entries(
        (f"{CALIBRATION_PREFIX}{name}",), (CALIBRATION_TIER,), "count", None, None, formula
    )
)


def label_metrics(
    prefix: str,
    scores: Sequence[Score],
    good: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    good_from: float = GOOD_FROM,
) -> dict[str, Metric]:
    """Return a judge's agreement with labels, "good" being a score of at least ``good_from``.

    ``<prefix>_sensitivity``: of the good answers, the share called good; ``_specificity``: of the
    bad ones, the share called bad (Wilson, bounds for missing ones). ``_balanced_accuracy``: their
    mean (MOVER interval from the two). ``_kappa``: Cohen's. ``_auc``: the probability that a good
    answer gets a higher score than a bad one, ties half (Mann-Whitney), without a threshold.
    What a kind of label is missing for is None. ``clusters``: what each answer shares with others
    (its page); without it every answer counts as independent. Raises ValueError for unequal
    lengths.
    """
    decided = [None if score is None else score >= good_from for score in scores]
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
    return float(_beats(good, bad).mean())


def _beats(good: Sequence[float], bad: Sequence[float]) -> np.ndarray:
    """Return, good by bad, 1 where the good one is higher, half where both are the same."""
    apart = np.subtract.outer(np.asarray(good, float), np.asarray(bad, float))
    return (apart > 0) + (apart == 0) / 2


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
        UNIT,
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
        return Metric(None, n_scored, n_expected, None, None, low, high, UNIT)
    n_clusters = _fewer(sensitivity.n_clusters, specificity.n_clusters)
    if sensitivity.ci_low is None or specificity.ci_low is None:
        # One page says nothing about how pages differ.
        return Metric(value, n_scored, n_expected, None, None, low, high, UNIT, n_clusters)
    both = (sensitivity, specificity)
    down = math.hypot(*(m.value - m.ci_low for m in both)) / 2  # type: ignore[operator]
    up = math.hypot(*(m.ci_high - m.value for m in both)) / 2  # type: ignore[operator]
    return Metric(
        value, n_scored, n_expected, value - down, value + up, low, high, UNIT, n_clusters
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
    found = kappas(drawn.reshape(-1, 2, 2).astype(np.float64), np.array([1.0, 0.0]), "none")
    found = found[~np.isnan(found)]
    if not len(found) or np.ptp(found) == 0:
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
    beats = _beats(good, bad)
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
        return Metric(value, len(there), len(scores), scale=UNIT, n_clusters=n_clusters)
    effect = 1.0
    if clusters is not None:
        labels = [[clusters[i] for i in place] for place in places]
        effect = auc_design_effect(of_good, of_bad, *labels)
        if value in (0.0, 1.0):
            # No spread to estimate it from: the clusters are the evidence.
            effect = max(len(of_good) / len(set(labels[0])), len(of_bad) / len(set(labels[1])))
    low, high = auc_interval(value, len(of_good) / effect, len(of_bad) / effect)
    return Metric(value, len(there), len(scores), low, high, scale=UNIT, n_clusters=n_clusters)
