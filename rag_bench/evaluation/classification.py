"""The production judge as a classifier: may this answer be shown to the user?

"Positive" is "show". precision = of the answers shown, the share that should be; 1 - precision
leaks. recall = of the good answers, the share not blocked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_bench.evaluation.statistics import (
    CONFIDENCE,
    mean_metric,
    quantile_metric,
    wilson_interval,
)
from rag_bench.evaluation.types import Metric

_UNIT = (0.0, 1.0)


def show_metrics(
    predicted: Sequence[bool | None],
    truth: Sequence[bool],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, Metric]:
    """Return accuracy, precision, recall, specificity and F1 for "show", and the counts.

    ``predicted``: the judge's verdict per labelled pair, None for a failed or unreadable reply.
    ``truth``: whether the answer should be shown.

    Every measure carries ``n_scored`` readable verdicts of ``n_expected`` pairs, and the bounds
    if the unreadable ones had all been wrong, or right. The denominators of the ratios are in
    the counts ``true_positives``, ``false_positives``, ``false_negatives``, ``true_negatives``;
    ``unreadable`` counts the rest. A ratio of 0/0 is None.

    Intervals, 95 %: Wilson for accuracy, precision, recall and specificity; for F1 the percentile
    bootstrap over pairs or, where it sees no spread (no error at all, or no hit), Wilson's for
    TP / (TP + FP + FN), of which F1 is a monotone function: 2J / (1 + J).

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

    def ratio(hits: int, of: int, worst: float | None, best: float | None) -> Metric:
        if of == 0:
            return Metric(None, n, n_expected, None, None, worst, best, _UNIT)
        low, high = wilson_interval(hits, of)
        return Metric(hits / of, n, n_expected, low, high, worst, best, _UNIT)

    f1_low, f1_high = _f1_interval(tp, fp, fn, tn, seed, resamples)
    positives, negatives = tp + fn + good, tn + fp + bad
    metrics = {
        "accuracy": ratio(
            tp + tn, n, _share(tp + tn, n_expected), _share(tp + tn + good + bad, n_expected)
        ),
        # Wrong: every unreadable bad answer shown; right: every unreadable good one.
        "precision": ratio(
            tp, tp + fp, _share(tp, tp + fp + bad), _share(tp + good, tp + fp + good)
        ),
        "recall": ratio(tp, tp + fn, _share(tp, positives), _share(tp + good, positives)),
        "specificity": ratio(tn, tn + fp, _share(tn, negatives), _share(tn + bad, negatives)),
        "f1_score": Metric(
            f1_of(tp, fp, fn),
            n,
            n_expected,
            f1_low,
            f1_high,
            f1_of(tp, fp + bad, fn + good),
            f1_of(tp + good, fp, fn),
            _UNIT,
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


def latency_metrics(latencies_ms: Sequence[float | None], *, seed: int = 0) -> dict[str, Metric]:
    """Return ``avg_latency_ms``, ``p50_latency_ms`` and ``p95_latency_ms`` of the calls.

    ``latencies_ms``: of the provider's own call, without waits, retries and queueing; None where
    no call came back. Raises ValueError for a negative latency.
    """
    if any(latency is not None and latency < 0 for latency in latencies_ms):
        raise ValueError("a latency cannot be negative")
    return {
        "avg_latency_ms": mean_metric(latencies_ms, range(len(latencies_ms)), seed=seed),
        "p50_latency_ms": quantile_metric(latencies_ms, 0.50),
        "p95_latency_ms": quantile_metric(latencies_ms, 0.95),
    }


def f1_of(tp: int, fp: int, fn: int) -> float | None:
    """Return 2 TP / (2 TP + FP + FN), None when there is no positive of either kind."""
    return _share(2 * tp, 2 * tp + fp + fn)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1_interval(
    tp: int, fp: int, fn: int, tn: int, seed: int, resamples: int
) -> tuple[float | None, float | None]:
    value = f1_of(tp, fp, fn)
    if value is None:
        return None, None
    n = tp + fp + fn + tn
    # Pairs of one cell are alike, so drawing cell counts is the same as drawing pairs.
    drawn = np.random.default_rng(seed).multinomial(
        n, np.array([tp, fp, fn, tn]) / n, size=resamples
    )
    whole = 2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2]
    defined = whole > 0
    f1 = 2 * drawn[defined, 0] / whole[defined]
    if len(f1) == 0 or np.ptp(f1) == 0:
        low, high = wilson_interval(tp, tp + fp + fn)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(f1, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)
