"""Rogan and Gladen's correction of a share, for labels that come from elsewhere.

theta = (p + q0 - 1) / (q0 + q1 - 1), p the judge's share of good answers, q1 its sensitivity, q0
its specificity (Rogan and Gladen 1978, American Journal of Epidemiology 107:71). The interval is of
Lee and others (2511.21140): add-one counts and a shift that corrects for the ratio. It holds only
if the judge errs alike on the answers that were labelled and on those that are corrected; whether
recent labels speak against that is `transport_check`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.statistics import CONFIDENCE

#: Labelled good and labelled bad answers that a correction needs of each.
FEWEST_OF_A_KIND = 15
#: Fewer labels of the corrected model than this say nothing of whether the judge errs alike on it.
FEWEST_TO_CHECK = 10

Transport = Literal["too_few", "no_difference", "differs"]


@dataclass(frozen=True)
class Counts:
    """What a judge said of labelled answers."""

    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int

    @property
    def n_good(self) -> int:
        """Answers that people call good."""
        return self.true_positive + self.false_negative

    @property
    def n_bad(self) -> int:
        """Answers that people call bad."""
        return self.true_negative + self.false_positive

    @property
    def sensitivity(self) -> float | None:
        """Of the good ones, the share that the judge calls good."""
        return self.true_positive / self.n_good if self.n_good else None

    @property
    def specificity(self) -> float | None:
        """Of the bad ones, the share that the judge calls bad."""
        return self.true_negative / self.n_bad if self.n_bad else None


@dataclass(frozen=True)
class CorrectedShare:
    """A corrected share of good answers; the point is not cut to 0 to 1, its interval is."""

    value: float
    ci_low: float
    ci_high: float


def corrected_share(
    share: float, specificity: float, sensitivity: float, n: float, n_bad: float, n_good: float
) -> CorrectedShare | None:
    """Return the corrected share; None for a judge that is no better than chance.

    Args:
        share: Of the answers that the judge calls good.
        specificity: Of labelled bad answers, the share called bad.
        sensitivity: Of labelled good answers, the share called good.
        n: Answers that ``share`` is of, divided by their design effect.
        n_bad: Labelled bad answers.
        n_good: Labelled good answers.
    """
    from scipy.special import ndtri

    if specificity + sensitivity - 1 <= 0:
        return None
    value = (share + specificity - 1) / (specificity + sensitivity - 1)
    z = float(ndtri((1 + CONFIDENCE) / 2))
    p = (n * share + z * z / 2) / (n + z * z)
    q0 = (n_bad * specificity + 1) / (n_bad + 2)
    q1 = (n_good * sensitivity + 1) / (n_good + 2)
    slope = q0 + q1 - 1
    if slope <= 0:
        return None
    theta = (p + q0 - 1) / slope
    of_bad, of_good = q0 * (1 - q0) / (n_bad + 2), q1 * (1 - q1) / (n_good + 2)
    shift = 2 * z * z * (theta * of_good - (1 - theta) * of_bad)
    spread = p * (1 - p) / (n + z * z) + (1 - theta) ** 2 * of_bad + theta**2 * of_good
    half = z * math.sqrt(spread) / slope
    low, high = theta + shift - half, theta + shift + half
    return CorrectedShare(value, min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0))


@dataclass(frozen=True)
class TransportCheck:
    """Whether labels of the corrected model speak against errors carried over from others.

    ``p_value``: the smaller of two exact tests (sensitivity, specificity), times two; None with too
    few labels. "No difference" is no proof: with few labels only a large one would show.
    """

    verdict: Transport
    n_labels: int
    p_value: float | None = None


def transport_check(elsewhere: Counts, here: Counts, alpha: float = 0.05) -> TransportCheck:
    """Compare a judge's errors on labelled answers of others with those on the model's own."""
    n = here.n_good + here.n_bad
    if n < FEWEST_TO_CHECK:
        return TransportCheck("too_few", n)
    from scipy.stats import fisher_exact

    tables = [
        [
            [elsewhere.true_positive, elsewhere.false_negative],
            [here.true_positive, here.false_negative],
        ],
        [
            [elsewhere.true_negative, elsewhere.false_positive],
            [here.true_negative, here.false_positive],
        ],
    ]
    p_value = min(1.0, 2 * min(float(fisher_exact(table).pvalue) for table in tables))
    return TransportCheck("differs" if p_value < alpha else "no_difference", n, p_value)
