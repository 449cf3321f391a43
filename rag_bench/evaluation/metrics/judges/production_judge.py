"""The production judge as a classifier: may this answer be shown to the user?

"Positive" is "show". precision = of the answers shown, the share that should be; 1 - precision
leaks. recall = of the good answers, the share not blocked.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

import numpy as np

from rag_bench.evaluation.metric_spec import UNIT, MetricSpec, Shown, Target, entries
from rag_bench.evaluation.statistics import (
    CONFIDENCE,
    expanded_percentiles,
    rate_interval,
    resampled_clusters,
    totals_by_cluster,
)
from rag_bench.evaluation.types import Metric

_TIER = "judge_pipeline"


def _ratio(
    name: str, formula: str, place: int | None, shown: Shown | None = None
) -> tuple[MetricSpec, ...]:
    target = {} if place is None else {name: Target(_TIER, 0.85, "show or hide", place)}
    columns = {} if shown is None else {name: shown}
    return entries((name,), (_TIER,), "summary", UNIT, True, formula, shown=columns, targets=target)


METRICS = (
    *_ratio("accuracy", "(TP + TN) / readable", 150),
    *_ratio(
        "precision",
        "TP / (TP + FP); 1 - precision is the share of bad answers among those shown",
        160,
    ),
    *_ratio("recall", "TP / (TP + FN): the share of good answers that are shown", 170),
    *_ratio("specificity", "TN / (TN + FP): the share of bad answers that are hidden", None),
    *_ratio("f1_score", "2 TP / (2 TP + FP + FN)", 180, Shown(_TIER, "show F1", 70)),
    *entries(
        ("true_positives", "true_negatives"),
        (_TIER,),
        "count",
        None,
        True,
        "counts over all pairs",
    ),
    *entries(
        ("false_positives", "false_negatives", "unreadable"),
        (_TIER,),
        "count",
        None,
        False,
        "counts over all pairs",
    ),
)
# (verdict, label): the four cells of the table.
_TP, _FP, _FN, _TN = (True, True), (True, False), (False, True), (False, False)
_ALL = frozenset({_TP, _FP, _FN, _TN})


def show_metrics(
    predicted: Sequence[bool | None],
    truth: Sequence[bool],
    *,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, Metric]:
    """Return accuracy, precision, recall, specificity and F1 for "show", and the counts.

    ``predicted``: the judge's verdict per labelled pair, None for a failed or unreadable reply.
    ``truth``: whether the answer should be shown.
    ``clusters``: what each pair shares with others (its page); without it every pair counts as
    independent.

    Every measure carries ``n_scored`` readable verdicts of ``n_expected`` pairs, and the bounds
    if the unreadable ones had all been wrong, or right. The denominators of the ratios are in
    the counts ``true_positives``, ``false_positives``, ``false_negatives``, ``true_negatives``;
    ``unreadable`` counts the rest. A ratio of 0/0 is None.

    Intervals, 95 %: Wilson for accuracy, precision, recall and specificity, at the effective size
    of their own denominators; for F1 the bootstrap over clusters (expanded percentiles; plain
    ones over pairs without clusters) or, where it sees no spread (no error at all, or no hit),
    Wilson's for TP / (TP + FP + FN), of which F1 is a monotone function: 2J / (1 + J).

    Raises ValueError for unequal lengths or a truth that is not True or False.
    """
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} verdicts but {len(truth)} labels")
    if any(label not in (True, False) for label in truth):
        raise ValueError("every pair needs a label, show or hide")
    pairs = list(zip(predicted, truth, strict=True))
    tp = sum(p is not None and bool(p) and bool(t) for p, t in pairs)
    fp = sum(p is not None and bool(p) and not t for p, t in pairs)
    fn = sum(p is not None and not p and bool(t) for p, t in pairs)
    tn = sum(p is not None and not p and not t for p, t in pairs)
    good = sum(p is None and bool(t) for p, t in pairs)  # unreadable, should be shown
    bad = sum(p is None and not t for p, t in pairs)  # unreadable, should be hidden
    n, n_expected = tp + fp + fn + tn, len(pairs)
    labels = list(clusters) if clusters is not None else None
    if labels is not None and len(labels) != len(pairs):
        raise ValueError(f"{len(pairs)} pairs but {len(labels)} cluster labels")
    read = [index for index, (p, _) in enumerate(pairs) if p is not None]
    cells = [(bool(pairs[index][0]), bool(pairs[index][1])) for index in read]
    of_read = None if labels is None else [labels[index] for index in read]
    n_clusters = None if of_read is None else len(set(of_read))

    def ratio(
        hits: int,
        of: int,
        worst: float | None,
        best: float | None,
        among: Collection[tuple[bool, bool]],
    ) -> Metric:
        if of == 0:
            return Metric(None, n, n_expected, None, None, worst, best, UNIT, n_clusters)
        low, high = _interval_among(among, cells, of_read)
        return Metric(hits / of, n, n_expected, low, high, worst, best, UNIT, n_clusters)

    f1_low, f1_high = _f1_interval(cells, of_read, seed, resamples)
    positives, negatives = tp + fn + good, tn + fp + bad
    metrics = {
        "accuracy": ratio(
            tp + tn,
            n,
            _share(tp + tn, n_expected),
            _share(tp + tn + good + bad, n_expected),
            _ALL,
        ),
        # Wrong: every unreadable bad answer shown; right: every unreadable good one.
        "precision": ratio(
            tp, tp + fp, _share(tp, tp + fp + bad), _share(tp + good, tp + fp + good), {_TP, _FP}
        ),
        "recall": ratio(
            tp, tp + fn, _share(tp, positives), _share(tp + good, positives), {_TP, _FN}
        ),
        "specificity": ratio(
            tn, tn + fp, _share(tn, negatives), _share(tn + bad, negatives), {_TN, _FP}
        ),
        "f1_score": Metric(
            f1_of(tp, fp, fn),
            n,
            n_expected,
            f1_low,
            f1_high,
            f1_of(tp, fp + bad, fn + good),
            f1_of(tp + good, fp, fn),
            UNIT,
            n_clusters,
        ),
    }
    counts = {
        "true_positives": tp,
        "false_positives": fp,
        "false_negatives": fn,
        "true_negatives": tn,
        "unreadable": good + bad,
    }
    # A count is known even when every reply was unreadable, so it rests on all pairs.
    metrics |= {
        name: Metric(float(count) if n_expected else None, n_expected, n_expected)
        for name, count in counts.items()
    }
    return metrics


def f1_of(tp: int, fp: int, fn: int) -> float | None:
    """Return 2 TP / (2 TP + FP + FN), None when there is no positive of either kind."""
    return _share(2 * tp, 2 * tp + fp + fn)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _interval_among(
    among: Collection[tuple[bool, bool]],
    cells: Sequence[tuple[bool, bool]],
    clusters: Sequence[Hashable] | None,
) -> tuple[float | None, float | None]:
    """Return the interval of the share of right verdicts among the pairs of some cells."""
    chosen = [index for index, cell in enumerate(cells) if cell in among]
    right = [cells[index][0] == cells[index][1] for index in chosen]
    return rate_interval(right, None if clusters is None else [clusters[i] for i in chosen])


def _f1_interval(
    cells: Sequence[tuple[bool, bool]],
    clusters: Sequence[Hashable] | None,
    seed: int,
    resamples: int,
) -> tuple[float | None, float | None]:
    tp, fp, fn, tn = (cells.count(cell) for cell in (_TP, _FP, _FN, _TN))
    value = f1_of(tp, fp, fn)
    if value is None:
        return None, None
    tail = (1 - CONFIDENCE) / 2
    levels = (tail, 1 - tail)
    if clusters is None:
        # Pairs of one cell are alike, so drawing cell counts is the same as drawing pairs.
        n = len(cells)
        drawn = np.random.default_rng(seed).multinomial(
            n, np.array([tp, fp, fn, tn]) / n, size=resamples
        )
    else:
        totals = totals_by_cluster(
            clusters, [[cell == kind for kind in (_TP, _FP, _FN, _TN)] for cell in cells]
        )
        if len(totals) < 2:
            return None, None
        levels = expanded_percentiles(len(totals))
        drawn = resampled_clusters(len(totals), seed=seed, resamples=resamples) @ totals
    whole = 2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2]
    defined = whole > 0
    f1 = 2 * drawn[defined, 0] / whole[defined]
    if len(f1) == 0 or np.ptp(f1) == 0:
        # F1 is a monotone function of J = TP / (TP + FP + FN).
        ends = _interval_among({_TP, _FP, _FN}, cells, clusters)
        low, high = (None if j is None else 2 * j / (1 + j) for j in ends)
        return low, high
    low, high = (float(end) for end in np.quantile(f1, levels))
    return min(low, value), max(high, value)
