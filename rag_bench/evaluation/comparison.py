"""Two runs on the same cases: is the difference more than chance, and what could be seen at all?"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric

Verdict = Literal["better", "worse", "cannot tell"]
Scores = Mapping[str, float | bool | None]
"""Scores by case id; None for a missing one."""

# Up to this many clusters all 2^G sign patterns are tried (at most 16,384).
_EXACT_CLUSTERS = 14
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class McNemar:
    """``only_first`` and ``only_second``: cases that just that run got right; two-sided p."""

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """A paired comparison, second run minus first, over the cases that both scored.

    ``difference`` carries the interval (bootstrap over clusters); its ``n_expected`` counts the
    cases of either run. ``p_value``: two-sided, None with no pair. ``method``: what made it.
    ``minimum_detectable``: the true difference that this many cases would show with the stated
    power; None when it cannot be known.
    """

    difference: Metric
    p_value: float | None
    method: str
    n_clusters: int
    minimum_detectable: float | None


def compare_paired(
    first: Mapping[str, float | bool | None],
    second: Mapping[str, float | bool | None],
    clusters: Mapping[str, Hashable],
    *,
    yes_no: bool = False,
    alpha: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
) -> Comparison:
    """Compare two runs case by case; both map case id to score, None for a missing one.

    ``clusters`` names each case's page. Scores: a sign-flip permutation over clusters. Yes/no
    (``yes_no``): exact McNemar when no two pairs share a cluster; otherwise the same sign-flip
    permutation, as McNemar takes every case for independent evidence.
    """
    cases = sorted(first.keys() | second.keys())
    differences = [_difference(first.get(case), second.get(case)) for case in cases]
    labels = [clusters[case] for case in cases]
    mean = mean_metric(differences, labels, seed=seed)
    paired = [(label, d) for label, d in zip(labels, differences, strict=True) if d is not None]
    n_clusters = len({label for label, _ in paired})
    if not paired:
        return Comparison(mean, None, "none", 0, None)
    deltas = [d for _, d in paired]
    paired_labels = [label for label, _ in paired]
    if yes_no and n_clusters == len(paired):
        p_value, method = exact_mcnemar_counts(deltas.count(-1.0), deltas.count(1.0)), "mcnemar"
    else:
        p_value = sign_flip_permutation(deltas, paired_labels, seed=seed)
        method = "sign_flip_permutation"
    detectable = minimum_detectable_difference(deltas, paired_labels, alpha=alpha, power=power)
    return Comparison(mean, p_value, method, n_clusters, detectable)


@dataclass(frozen=True)
class Contrast:
    """One run against the baseline of a family, by one measure of which more is better.

    ``p_adjusted``: Holm's over the whole family; 1 where nothing could be compared, or where all
    cases are of one cluster, which says nothing of how clusters differ. ``gained`` and ``lost``:
    the cases, by id, that score more, or less, than with the baseline.
    """

    name: str
    measure: str
    comparison: Comparison
    p_adjusted: float
    verdict: Verdict
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def compare_with_baseline(
    runs: Mapping[str, Mapping[str, Scores]],
    baseline: str,
    clusters: Mapping[str, Hashable],
    *,
    yes_no: Collection[str] = (),
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Contrast]:
    """Compare every run with one of them, by every measure, as one family of tests.

    ``runs``: by name, then by measure, scores by case; the measures are the baseline's. A run may
    differ by chance in any cell of such a table, so Holm's adjustment is over all its cells: the
    verdicts hold together with an error of at most ``alpha``. ``yes_no``: measures of noughts and
    ones. Contrasts come by run, then by measure, in the order given.

    Raises:
        KeyError: there is no such baseline, or a run lacks a measure of it.
    """
    cells = [
        (name, measure, compare_paired(
            scores, run[measure], clusters, yes_no=measure in yes_no, alpha=alpha, seed=seed
        ))
        for name, run in runs.items() if name != baseline
        for measure, scores in runs[baseline].items()
    ]  # fmt: skip
    adjusted = holm([_p_of_several_clusters(found) for _, _, found in cells])
    return [
        Contrast(
            name,
            measure,
            found,
            p,
            _verdict(found, p, alpha),
            *_changed(runs[baseline][measure], runs[name][measure]),
        )
        for (name, measure, found), p in zip(cells, adjusted, strict=True)
    ]


def _p_of_several_clusters(found: Comparison) -> float:
    return 1.0 if found.p_value is None or found.n_clusters < 2 else found.p_value


def _verdict(found: Comparison, p: float, alpha: float) -> Verdict:
    difference = found.difference.value
    if p >= alpha or not difference:
        return "cannot tell"
    return "better" if difference > 0 else "worse"


def _changed(first: Scores, second: Scores) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cases that score more in the second run, and those that score less."""
    # Scores have six decimals; a difference below is rounding.
    differences = {
        case: difference
        for case in sorted(first.keys() & second.keys())
        if (difference := _difference(first[case], second[case])) is not None
    }
    gained = tuple(case for case, difference in differences.items() if difference > 1e-9)
    lost = tuple(case for case, difference in differences.items() if difference < -1e-9)
    return gained, lost


def exact_mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """Return the exact two-sided McNemar test of two runs' yes/no on the same cases.

    Raises ValueError for unequal lengths.
    """
    pairs = list(zip(first, second, strict=True))
    only_first = sum(bool(a) and not b for a, b in pairs)
    only_second = sum(bool(b) and not a for a, b in pairs)
    return McNemar(only_first, only_second, exact_mcnemar_counts(only_first, only_second))


def exact_mcnemar_counts(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p: the cases that differ fall either way like a fair coin."""
    n, least = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    # Whole-number division: 2**n may be too large for a float.
    return float(min(1.0, 2 * tail / 2**n))


def sign_flip_permutation(
    differences: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> float:
    """Return the two-sided p of "the mean difference is 0", flipping the sign of whole clusters.

    Under no effect a cluster's total is as likely to have either sign. All 2^G patterns are
    tried for up to 14 clusters; beyond that ``permutations`` random ones, where the observed one
    counts as one of them, so p is never 0 (Phipson and Smyth 2010).

    Raises ValueError for unequal lengths or no difference at all.
    """
    if not differences:
        raise ValueError("no pair to compare")
    sums: dict[Hashable, list[float]] = {}
    for label, difference in zip(clusters, differences, strict=True):
        sums.setdefault(label, []).append(float(difference))
    # Sorted, so that the order of the cases cannot move a random p.
    totals = np.array(sorted(math.fsum(group) for group in sums.values()))
    observed = abs(math.fsum(totals))
    # Sums of the same numbers in another order differ by rounding and still tie.
    threshold = observed - 1e-9 * max(1.0, float(np.abs(totals).sum()))
    n_clusters = len(totals)
    if n_clusters <= _EXACT_CLUSTERS:
        patterns = np.arange(2**n_clusters)[:, None] >> np.arange(n_clusters) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ totals) >= threshold))
    rng = np.random.default_rng(seed)
    extreme, step = 0, max(1, _BLOCK_CELLS // n_clusters)
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        signs = 1 - 2 * rng.integers(0, 2, size=(rows, n_clusters), dtype=np.int8)
        extreme += int((np.abs(signs @ totals) >= threshold).sum())
    return (extreme + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (family-wise error), in the order given."""
    p = _probabilities(p_values)
    order, n = np.argsort(p, kind="stable"), len(p)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate((n - np.arange(n)) * p[order]))
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return Benjamini and Hochberg's adjusted p-values (false discovery rate), in order."""
    p = _probabilities(p_values)
    order, n = np.argsort(p, kind="stable")[::-1], len(p)
    adjusted = np.empty(n)
    steps = n / np.arange(n, 0, -1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(steps * p[order]))
    return [float(value) for value in adjusted]


def minimum_detectable_difference(
    differences: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Return the true mean difference that a test at ``alpha`` would find with ``power``.

    (t_{1-alpha/2, G-1} + t_{power, G-1}) times the cluster-robust standard error of the mean of
    these differences (Miller 2024, "Adding Error Bars to Evals", section 5, with t for z).
    None with fewer than two clusters, or when all pairs agree and nothing is known of their
    spread.
    """
    if len(differences) != len(clusters):
        raise ValueError(f"{len(differences)} differences but {len(clusters)} cluster labels")
    error = clustered_standard_error(differences, clusters)
    if not error:
        return None
    from scipy.special import stdtrit

    freedom = len(set(clusters)) - 1
    return float((stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, power)) * error)


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


def _difference(first: float | bool | None, second: float | bool | None) -> float | None:
    if first is None or second is None or math.isnan(first) or math.isnan(second):
        return None
    return float(second) - float(first)


def _probabilities(p_values: Sequence[float]) -> np.ndarray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.size and not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a p-value lies between 0 and 1")
    return p
