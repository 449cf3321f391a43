"""What so many paired cases can show, and how many would show more: power, without promises."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.statistics import design_effect

ALPHA = 0.05
POWER = 0.8
# Where the search for a number of pages gives up: nobody asks so many.
_MOST_CLUSTERS = 1_000_000


@dataclass(frozen=True)
class Spread:
    """How paired differences scatter, as far as it decides what they can show.

    Attributes:
        mean_square: of the differences, as it would be without a true difference.
        step: typical size of a case's difference: one, if all that differ do by one.
        lattice: all differences have one size, as those of yes and no.
        deff: by how much the cases of a cluster are less evidence than as many alone; at least 1.
        n, n_clusters: pairs, and the clusters that they are of.
    """

    mean_square: float
    step: float
    lattice: bool
    deff: float
    n: int
    n_clusters: int


@dataclass(frozen=True)
class Needed:
    """How many questions, from how many pages, would decide; by as many questions a page."""

    questions: int
    pages: int


def spread_of(differences: Sequence[float], clusters: Sequence[Hashable]) -> Spread | None:
    """Return how differences scatter; None with fewer than two clusters or if all pairs agree.

    Raises ValueError for unequal lengths.
    """
    if len(differences) != len(clusters):
        raise ValueError(f"{len(differences)} differences but {len(clusters)} cluster labels")
    numbers = np.asarray(differences, dtype=np.float64)
    sizes = np.abs(numbers[numbers != 0])
    error = clustered_standard_error(differences, clusters)
    if error is None or not len(sizes):
        return None
    n = len(numbers)
    square, mean = float((numbers**2).mean()), float(numbers.mean())
    step = float((sizes**2).sum() / sizes.sum())
    # Of what was seen, the part that a true difference as large as the seen one added.
    without = square - step * abs(mean) / 2
    independent = float(numbers.var(ddof=1)) / n if n > 1 else 0.0
    return Spread(
        without,
        step,
        bool(np.ptp(sizes) <= 1e-9 * step),
        design_effect(independent, error**2),
        n,
        len(set(clusters)),
    )


def detectable(spread: Spread, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the true mean difference that a test at ``alpha`` would find with ``power``.

    The x that solves x = k * sqrt(deff * (d + max(0, s*x/2 - x^2)) / n) + s/n, k = t_{1-alpha/2,
    G-1} + t_{power, G-1}. d is the mean square of the differences if there were none in truth,
    s their typical size (for yes/no d is the share of pairs that differ, s is 1): a true difference
    makes cases differ that agreed, so its own spread is larger than what was seen without it. s/n
    stands where all differences have one size, which a test can only reach in steps. Simulated
    power: .77 to .84 from 40 clusters up, about .72 at eight.
    """
    return _detectable(spread, float(spread.n), spread.n_clusters, alpha, power)


def needed(
    spread: Spread, difference: float, *, alpha: float = ALPHA, power: float = POWER
) -> Needed | None:
    """Return how many questions and pages show a true ``difference`` with ``power``.

    The spread and the number of questions a page stay as they are. As the interval's lower end
    and the test rest on the same error, so many also show that two equal runs differ by no more
    than that. None if it is beyond any number that could be asked.

    Raises ValueError for a difference that is not positive.
    """
    if difference <= 0:
        raise ValueError(f"a difference to be seen is positive, not {difference}")
    a_page = spread.n / spread.n_clusters

    def shown_by(pages: int) -> bool:
        return _detectable(spread, pages * a_page, pages, alpha, power) <= difference

    high = 2
    while not shown_by(high):
        high *= 2
        if high > _MOST_CLUSTERS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown_by(middle) else (middle, high)
    return Needed(math.ceil(high * a_page - 1e-9), high)


def pairs_needed(
    variance: float, difference: float, *, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return (z_{1-alpha/2} + z_power)^2 * variance / difference^2, of independent questions.

    Miller 2024 ("Adding Error Bars to Evals", section 5): the variance is omega^2 + s_A^2 / K_A +
    s_B^2 / K_B, that of the questions' true differences and of either run's answers, asked K times
    each. It is what `needed` tends to for many pages of one question.
    """
    from scipy.special import ndtri

    return float((ndtri(1 - alpha / 2) + ndtri(power)) ** 2 * variance / difference**2)


def clusters_if_alike(margin: float, scale_width: float, alpha: float = ALPHA) -> int:
    """Return from how many clusters on, none of which differ, ``margin`` is ruled out.

    Where all clusters agree their share that would not is bounded by 1 - (alpha/2)^(1/G), and
    those may differ by the whole ``scale_width``.
    """
    share = min(margin / scale_width, 0.999)
    return math.floor(math.log(alpha / 2) / math.log1p(-share)) + 1


def clustered_standard_error(values: Sequence[float], clusters: Sequence[Hashable]) -> float | None:
    """Return the standard error of the mean when cases of a cluster are not independent.

    sqrt(G/(G-1) * sum of squared cluster totals of residuals) / n; with one case per cluster it
    is the usual s / sqrt(n). None with fewer than two clusters.
    """
    labels = list(dict.fromkeys(clusters))
    if len(labels) < 2:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    mean = numbers.mean()
    if np.ptp(numbers) == 0:
        return 0.0
    index = {label: position for position, label in enumerate(labels)}
    rows = np.array([index[label] for label in clusters])
    residuals = np.bincount(rows, weights=numbers - mean, minlength=len(labels))
    correction = len(labels) / (len(labels) - 1)
    return float(np.sqrt(correction * (residuals @ residuals)) / len(numbers))


def paired_rate_interval(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """Return Bonett and Price's adjusted 95 % Wald interval of a paired difference of rates.

    Second minus first, over ``n`` >= 1 independent pairs.
    """
    from scipy.special import ndtri

    lost, gained = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    middle = gained - lost
    half = float(ndtri(1 - ALPHA / 2)) * math.sqrt((gained + lost - middle**2) / (n + 2))
    return max(-1.0, middle - half), min(1.0, middle + half)


def _detectable(spread: Spread, n: float, clusters: int, alpha: float, power: float) -> float:
    from scipy.special import stdtrit

    k = float(stdtrit(clusters - 1, 1 - alpha / 2) + stdtrit(clusters - 1, power))
    least = spread.step / n if spread.lattice else 0.0
    # (x - least)^2 = share * (d + s*x/2 - x^2), of which the larger root.
    share = k * k * spread.deff / n
    b = 2 * least + share * spread.step / 2
    c = least**2 - share * spread.mean_square
    found = (b + math.sqrt(max(0.0, b * b - 4 * (1 + share) * c))) / (2 * (1 + share))
    # Half the typical size is more than half of all cases: that much makes them no more unlike.
    return found if found <= spread.step / 2 else least + math.sqrt(share * spread.mean_square)
