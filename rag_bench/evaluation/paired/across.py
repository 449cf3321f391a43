"""A paired comparison of means of which one side was carried over a bridge between two judges.

The paired differences know nothing of the link's own error. It is added in squares: the link rests
on other draws of the judges than the side that crosses. It does not shrink with more questions.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rag_bench.evaluation.comparison import Comparison
from rag_bench.evaluation.paired.detectable import ALPHA, POWER


def widened(found: Comparison, error: float, *, alpha: float = ALPHA) -> Comparison:
    """Return a comparison with the link's standard error at the mean that crossed.

    Both ends of the interval move out by the root of the sum of squares; p is that of Student's t
    with a degree of freedom less than there are clusters, and never below the permutation's.
    ``found``: of scores that are on one scale already.
    """
    difference = found.difference
    value, low, high = difference.value, difference.ci_low, difference.ci_high
    made = replace(found, link_error=error)
    if value is None or low is None or high is None or found.n_clusters < 2:
        return made
    from scipy.special import ndtri, stdtr

    z = float(ndtri(1 - alpha / 2))
    wide = z * error
    below, above = math.hypot(value - low, wide), math.hypot(high - value, wide)
    total = math.hypot((high - low) / (2 * z), error)
    wald = 2 * float(stdtr(found.n_clusters - 1, -abs(value) / total)) if total > 0 else 0.0
    least = found.minimum_detectable
    if least is not None:
        least = math.hypot(least, link_detectable(error, alpha))
    return replace(
        made,
        difference=replace(difference, ci_low=value - below, ci_high=value + above),
        p_value=None if found.p_value is None else max(found.p_value, wald),
        p_exact=None if found.p_exact is None else max(found.p_exact, wald),
        minimum_detectable=least,
        method=f"{found.method}_across_a_bridge",
    )


def link_detectable(error: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return what could be shown if the link's error were the only one."""
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2) + ndtri(power)) * error
