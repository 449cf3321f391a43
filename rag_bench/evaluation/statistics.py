"""Means and rates with what they rest on: counts, 95 % intervals, bounds for missing cases.

Questions of one page are not independent: means are bootstrapped over clusters (pages), rates
get Wilson's interval at the effective sample size. Everything is deterministic and does not
depend on the cases' order.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from rag_bench.evaluation.types import Metric, Scale, finite_or_none

CONFIDENCE = 0.95
_ALPHA = 1 - CONFIDENCE
#: A float32 cosine may pass 1 by rounding; a score of 6 on a scale to 5 may not.
SCALE_TOLERANCE = 1e-6
# How many cells of the resampling matrix are held at once (8 bytes each).
_BLOCK_CELLS = 1_000_000
# Draws of so many cells are kept for the next metric of as many clusters: 8 MB.
_KEPT_CELLS = 1_000_000


def mean_metric(
    values: Sequence[float | None],
    clusters: Sequence[Hashable],
    *,
    scale: Scale | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> Metric:
    """Return the mean of ``values`` with a 95 % cluster-bootstrap interval.

    ``values``: one per case; None and NaN are missing and count in ``n_expected`` only.
    ``clusters``: one label per case (its page); cases of a cluster are resampled together.
    ``scale``: the least and greatest possible value; gives the bounds for missing cases.

    The interval is the expanded percentile interval (Hesterberg 2015, "What Teachers Should Know
    About the Bootstrap", section 4.4) of the ratio (sum of scores / number of scores) over
    resampled clusters: plain percentiles are too narrow with few clusters. It is None when it
    cannot be known: with fewer than two scored clusters, or when all clusters have the same mean
    and the scale is unknown. All alike on a known scale, resampling sees no spread and would claim
    certainty; instead the share of unlike clusters is bounded as Clopper and Pearson do for zero
    events (1 - 0.025^(1/G) for G clusters), and those are put at either end of the scale.
    A mean of noughts and ones on the scale 0 to 1 is a rate, and gets a rate's interval, so that
    one number never carries two.

    Raises ValueError for unequal lengths, an infinite value or a value outside the scale.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values but {len(clusters)} cluster labels")
    scored = _scored(values, scale)
    n_expected, n_scored = len(values), len(scored)
    total = math.fsum(value for _, value in scored)
    low, high = _missing_bounds(total, n_scored, n_expected, scale)
    if n_scored == 0:
        return Metric(None, 0, n_expected, None, None, low, high, scale)
    value = total / n_scored
    if scale is not None:
        value = min(max(value, scale[0]), scale[1])
    sums, counts = _cluster_totals([(clusters[index], number) for index, number in scored])
    if scale == (0.0, 1.0) and all(number in (0.0, 1.0) for _, number in scored):
        ci_low, ci_high = _wilson_at_effective_size(round(total), n_scored, sums, counts)
    else:
        ci_low, ci_high = _mean_interval(value, sums, counts, scale, seed, resamples)
    return Metric(value, n_scored, n_expected, ci_low, ci_high, low, high, scale, len(sums))


def unlike_share(n_clusters: int) -> float:
    """Return what share of all clusters may be unlike those that were seen, where all were alike.

    Clopper and Pearson's upper bound for zero events of ``n_clusters`` >= 1, 97.5 % one-sided as
    the end of a 95 % interval; the "rule of three", 3 / n, is the same at 95 %.
    """
    return float(1 - (_ALPHA / 2) ** (1 / n_clusters))


def rate_metric(
    successes: Sequence[bool | None],
    *,
    clusters: Sequence[Hashable] | None = None,
) -> Metric:
    """Return the share of successes with Wilson's 95 % interval (no continuity correction).

    ``successes``: one per case; None (and NaN) is missing and counts in ``n_expected`` only.
    ``clusters``: optional label per case. With it the interval is taken at the effective sample
    size n / deff, where deff >= 1 is the ratio of the clustered to the independent variance of
    the rate (Kish), so that questions of one page do not count as independent evidence.

    Raises ValueError for unequal lengths or a value that is neither yes nor no.
    """
    if clusters is not None and len(clusters) != len(successes):
        raise ValueError(f"{len(successes)} values but {len(clusters)} cluster labels")
    scored = _scored([None if s is None else float(s) for s in successes], (0.0, 1.0))
    if any(value not in (0.0, 1.0) for _, value in scored):
        raise ValueError("a rate is made of yes and no (1 and 0) only")
    n_expected, n_scored = len(successes), len(scored)
    hits = sum(int(value) for _, value in scored)
    low, high = _missing_bounds(hits, n_scored, n_expected, (0.0, 1.0))
    if n_scored == 0:
        return Metric(None, 0, n_expected, None, None, low, high, (0.0, 1.0))
    interval, n_clusters = _rate_interval(
        [value for _, value in scored],
        None if clusters is None else [clusters[index] for index, _ in scored],
    )
    value = hits / n_scored
    return Metric(value, n_scored, n_expected, *interval, low, high, (0.0, 1.0), n_clusters)


def rate_interval(
    successes: Sequence[bool], clusters: Sequence[Hashable] | None = None
) -> tuple[float | None, float | None]:
    """Return the 95 % interval that ``rate_metric`` gives to yes and no without a missing case.

    Both ends are None for no case, and with fewer than two clusters.
    """
    if not successes:
        return None, None
    return _rate_interval([float(yes) for yes in successes], clusters)[0]


def design_effect(independent: float, clustered: float) -> float:
    """Return Kish's design effect of two variances of one estimate, at least 1.

    Pages that look more alike than chance would have it are chance as well: no interval is made
    narrower for them.
    """
    return max(1.0, clustered / independent) if independent > 0 else 1.0


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of ``successes`` out of ``n`` >= 1 trials."""
    return wilson_at(successes / n, n)


def quantile_metric(
    values: Sequence[float | None],
    q: float,
    *,
    scale: Scale | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Metric:
    """Return the ``q`` quantile (linear interpolation) of the values that are there.

    The interval is the distribution-free one between order statistics (binomial); None when the
    sample is too small to bound that quantile from both sides (p95 needs 72 values). ``clusters``:
    optional label per value; the order statistics are then those of the effective sample size of
    "is it below the quantile" (Woodruff 1952, "Confidence Intervals for Medians and Other Position
    Measures"), as of a rate.

    Raises ValueError for a quantile outside of 0 to 1, or unequal lengths.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q}")
    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"{len(values)} values but {len(clusters)} cluster labels")
    scored = _scored(values, scale)
    ordered = np.sort([value for _, value in scored])
    n = len(ordered)
    if n == 0:
        return Metric(None, 0, len(values), scale=scale)
    from scipy.special import bdtr  # scipy.stats has it, too, and takes half a second to import

    found = float(np.quantile(ordered, q))
    effective: float | None = n
    n_clusters = None
    if clusters is not None:
        below = [(clusters[index], float(value <= found)) for index, value in scored]
        sums, counts = _cluster_totals(below)
        n_clusters = len(sums)
        effective = _effective_size(round(float(sums.sum())), n, sums, counts)
    m = math.floor(effective or 0)
    # X_(l) <= quantile < X_(u) with probability >= 95 %; l and u count from 1, of m values.
    at_most = bdtr(np.arange(m), m, q)
    lower, upper = (int(np.searchsorted(at_most, p)) for p in (_ALPHA / 2, 1 - _ALPHA / 2))
    upper += 1
    known = lower >= 1 and upper <= m
    return Metric(
        value=found,
        n_scored=n,
        n_expected=len(values),
        ci_low=float(ordered[math.floor(lower * n / m) - 1]) if known else None,
        ci_high=float(ordered[min(math.ceil(upper * n / m), n) - 1]) if known else None,
        scale=scale,
        n_clusters=n_clusters,
    )


def cluster_bootstrap_means(
    sums: np.ndarray, counts: np.ndarray, *, seed: int, resamples: int
) -> np.ndarray:
    """Resample clusters with replacement and return ``resamples`` means of their cases.

    ``sums`` and ``counts`` have one entry per cluster (total score and number of scored cases,
    at least one); a resampled mean is the ratio of the resampled totals.
    """
    n_clusters = len(sums)
    if resamples * n_clusters <= _KEPT_CELLS:
        times = _times_drawn(n_clusters, seed, resamples)
        found: np.ndarray = (times @ sums) / (times @ counts)
        return found
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _BLOCK_CELLS // n_clusters)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = rng.integers(0, n_clusters, size=(stop - start, n_clusters))
        means[start:stop] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


@lru_cache(maxsize=4)
def _times_drawn(n_clusters: int, seed: int, resamples: int) -> np.ndarray:
    """Return how often each cluster is in each resample, (resamples, clusters), read-only.

    Kept, as a bench asks for the same draws at every metric of the same pages.
    """
    drawn = np.random.default_rng(seed).integers(0, n_clusters, size=(resamples, n_clusters))
    flat = drawn + n_clusters * np.arange(resamples)[:, None]
    times = np.bincount(flat.ravel(), minlength=resamples * n_clusters).astype(np.float64)
    times.flags.writeable = False
    return times.reshape(resamples, n_clusters)


def resampled_clusters(n_clusters: int, *, seed: int, resamples: int) -> np.ndarray:
    """Return how often each cluster is drawn in each of ``resamples`` bootstrap samples.

    Int, shape (resamples, n_clusters), read-only; times a table of totals per cluster it
    gives those of the resampled data.
    """
    if resamples * n_clusters <= _KEPT_CELLS:
        return _kept_resamples(n_clusters, seed, resamples)
    return _resampled(n_clusters, seed, resamples)


def _resampled(n_clusters: int, seed: int, resamples: int) -> np.ndarray:
    chances = np.full(n_clusters, 1 / n_clusters)
    drawn = np.random.default_rng(seed).multinomial(n_clusters, chances, size=resamples)
    drawn.flags.writeable = False
    return drawn


_kept_resamples = lru_cache(maxsize=4)(_resampled)


def totals_by_cluster(
    labels: Sequence[Hashable], rows: Sequence[Sequence[float]] | np.ndarray
) -> np.ndarray:
    """Return the sums of ``rows`` per label, shape (clusters, columns), in an order of their own.

    Sorted, so that the order of the cases cannot change what is resampled from them.
    """
    sums: dict[Hashable, np.ndarray] = {}
    for label, row in zip(labels, rows, strict=True):
        sums[label] = sums.get(label, 0) + np.asarray(row, dtype=np.float64)
    return np.array(sorted(map(tuple, sums.values())))


def expanded_percentiles(n_clusters: int) -> tuple[float, float]:
    """Return the quantile levels of the expanded 95 % percentile interval for G >= 2 clusters.

    Phi(-sqrt(G/(G-1)) t_{0.975, G-1}) below, and its mirror above; 0.025 and 0.975 in the limit.
    """
    from scipy.special import ndtr, stdtrit

    widening = math.sqrt(n_clusters / (n_clusters - 1))
    tail = float(ndtr(-widening * stdtrit(n_clusters - 1, 1 - _ALPHA / 2)))
    return tail, 1 - tail


def _scored(values: Sequence[float | None], scale: Scale | None) -> list[tuple[int, float]]:
    """Return (position, value) of the values that are there, checked and cut to the scale."""
    scored: list[tuple[int, float]] = []
    for index, value in enumerate(values):
        if value is None or math.isnan(value):
            continue
        number = float(value)
        if math.isinf(number):
            raise ValueError(f"value {index} is infinite")
        if scale is not None:
            if not scale[0] - SCALE_TOLERANCE <= number <= scale[1] + SCALE_TOLERANCE:
                raise ValueError(f"value {index} ({number}) is outside the scale {scale}")
            number = min(max(number, scale[0]), scale[1])
        scored.append((index, number))
    return scored


def _missing_bounds(
    total: float, n_scored: int, n_expected: int, scale: Scale | None
) -> tuple[float | None, float | None]:
    """Return the mean if every missing case had the scale's minimum, and its maximum."""
    if scale is None or n_expected == 0:
        return None, None
    missing = n_expected - n_scored
    return (
        finite_or_none((total + missing * scale[0]) / n_expected),
        finite_or_none((total + missing * scale[1]) / n_expected),
    )


def _cluster_totals(scored: Sequence[tuple[Hashable, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Return each cluster's total and number of cases, in an order that the input's cannot change.

    ``fsum`` is exact, so a cluster's total does not depend on the order of its cases either.
    """
    members: dict[Hashable, list[float]] = {}
    for label, value in scored:
        members.setdefault(label, []).append(value)
    totals = sorted((math.fsum(group), len(group)) for group in members.values())
    return np.array([t for t, _ in totals], float), np.array([n for _, n in totals], float)


def _mean_interval(
    value: float,
    sums: np.ndarray,
    counts: np.ndarray,
    scale: Scale | None,
    seed: int,
    resamples: int,
) -> tuple[float | None, float | None]:
    n_clusters = len(sums)
    if n_clusters < 2:
        return None, None
    cluster_means = sums / counts
    if np.ptp(cluster_means) <= 1e-12 * max(1.0, abs(value)):
        if scale is None:
            return None, None
        unlike = unlike_share(n_clusters)
        return value - unlike * (value - scale[0]), value + unlike * (scale[1] - value)
    means = cluster_bootstrap_means(sums, counts, seed=seed, resamples=resamples)
    ends = np.quantile(means, expanded_percentiles(n_clusters))
    return min(float(ends[0]), value), max(float(ends[1]), value)


def _rate_interval(
    values: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[tuple[float | None, float | None], int | None]:
    """Return the interval of a rate and how many clusters it rests on."""
    hits = round(math.fsum(values))
    if clusters is None:
        return wilson_interval(hits, len(values)), None
    sums, counts = _cluster_totals(list(zip(clusters, values, strict=True)))
    return _wilson_at_effective_size(hits, len(values), sums, counts), len(sums)


def effective_size(successes: Sequence[bool], clusters: Sequence[Hashable]) -> float | None:
    """Return the number of independent cases that a rate's interval stands for.

    None with fewer than two clusters: one page says nothing about how pages differ.
    """
    values = [float(yes) for yes in successes]
    sums, counts = _cluster_totals(list(zip(clusters, values, strict=True)))
    return _effective_size(round(math.fsum(values)), len(values), sums, counts)


def _wilson_at_effective_size(
    hits: int, n: int, sums: np.ndarray, counts: np.ndarray
) -> tuple[float | None, float | None]:
    """Return Wilson's interval at n / deff, deff from the linearised between-cluster variance."""
    effective = _effective_size(hits, n, sums, counts)
    return (None, None) if effective is None else wilson_at(hits / n, effective)


def _effective_size(hits: int, n: int, sums: np.ndarray, counts: np.ndarray) -> float | None:
    n_clusters = len(sums)
    if n_clusters < 2:
        # One page says nothing about how pages differ.
        return None
    rate = hits / n
    independent = rate * (1 - rate) / n
    if independent == 0:
        # No spread to estimate deff from: the clusters are the evidence.
        return float(n_clusters)
    residuals = sums - rate * counts
    clustered = n_clusters / (n_clusters - 1) * float(residuals @ residuals) / n**2
    return n / design_effect(independent, clustered)


def wilson_at(rate: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval for a sample size that need not be whole."""
    from scipy.special import ndtri

    z2 = float(ndtri(1 - _ALPHA / 2)) ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate)
