"""What more labels would narrow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rag_bench.evaluation.people.prediction_powered import Corrected
from rag_bench.evaluation.people.rogan_gladen import Counts
from rag_bench.evaluation.statistics import CONFIDENCE, wilson_at

#: Where nothing is labelled yet, plans take judges to be right in so many cases of both kinds.
ASSUMED = 0.85


@dataclass(frozen=True)
class Narrowing:
    """The width of a 95 % interval now and with more labels.

    ``now`` is None where there is no interval yet; ``assumed``: nothing is labelled, so it rests on
    a judge that is right in 85 % of cases.
    """

    what: str
    now: float | None
    then: float
    assumed: bool = False


def more_for_rates(counts: Counts, n_more: int, share_good: float) -> list[Narrowing]:
    """Return what ``n_more`` labels of drawn cases would do to sensitivity and specificity.

    Args:
        counts: Labelled so far.
        n_more: Labels to come.
        share_good: Of the cases to be drawn, by the labels or else by the judge.
    """
    found = []
    for what, rate, n, part in (
        ("sensitivity", counts.sensitivity, counts.n_good, share_good),
        ("specificity", counts.specificity, counts.n_bad, 1 - share_good),
    ):
        then = n + n_more * part
        assumed = rate is None
        value = ASSUMED if rate is None else rate
        now = None if assumed else _wilson_width(value, n)
        found.append(Narrowing(what, now, _wilson_width(value, max(then, 1.0)), assumed))
    return found


def more_for_mean(estimate: Corrected, n_more: int) -> Narrowing:
    """Return what ``n_more`` labels of the same draw's evaluation would do to a corrected mean."""
    n_labels = min(estimate.n_labels + n_more, estimate.n_cases)
    return Narrowing("corrected_mean", estimate.width, _width(estimate, n_labels))


def labels_for(estimate: Corrected, half_width: float) -> int | None:
    """Return how many labels in all give a corrected mean to +- ``half_width``.

    None where all cases labelled would not: then more questions are needed.
    """
    low, high = 2, estimate.n_cases
    if _width(estimate, high) > 2 * half_width:
        return None
    while low < high:
        middle = (low + high) // 2
        if _width(estimate, middle) <= 2 * half_width:
            high = middle
        else:
            low = middle + 1
    return low


def _width(estimate: Corrected, n_labels: int) -> float:
    from scipy.special import stdtrit

    rest = estimate.n_cases - n_labels
    variance = estimate.spread_labels / (n_labels + 4)
    if rest > 0:
        variance += estimate.weight**2 * estimate.spread_judge / rest
    quantile = float(stdtrit(n_labels - 1, (1 + CONFIDENCE) / 2))
    return 2 * quantile * math.sqrt(variance * estimate.effect)


def _wilson_width(rate: float, n: float) -> float:
    low, high = wilson_at(rate, n)
    return high - low
