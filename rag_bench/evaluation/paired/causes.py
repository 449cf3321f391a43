"""A change split among its causes, when every combination of old and new was measured."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

from rag_bench.evaluation.paired.p_values import holm, sign_flips
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric

Corner = frozenset[str]
"""The causes that are as in the second run; all others are as in the first."""
#: With more there are too many corners to measure: 2 for each.
MOST_CAUSES = 4


@dataclass(frozen=True)
class Share:
    """What one cause did; ``metric``: its mean part of the change with a clustered interval.

    ``p_adjusted``: of "it did nothing", Holm over the causes; None with fewer than two clusters.
    """

    cause: str
    metric: Metric
    p_adjusted: float | None


def corners(causes: Collection[str]) -> list[Corner]:
    """Return all combinations, from none to all of the causes.

    Raises ValueError for more than `MOST_CAUSES`.
    """
    if len(causes) > MOST_CAUSES:
        raise ValueError(f"{len(causes)} causes have {2 ** len(causes)} combinations")
    ordered = sorted(causes)
    return [frozenset(c) for n in range(len(ordered) + 1) for c in combinations(ordered, n)]


def shares(
    scores: Mapping[Corner, Mapping[str, float]],
    causes: Sequence[str],
    clusters: Mapping[str, Hashable],
    *,
    seed: int = 0,
) -> list[Share]:
    """Return each cause's part of the change, case by case, over the cases that all corners have.

    The Shapley value of each case's score, with the corners as coalitions (Shapley 1953): the mean,
    over all orders in which the causes may have come, of what a cause changed when it came. With
    two causes it is the mean of the two orders. The parts of a case add up to its whole change, so
    their means do; intervals and tests are those of paired differences, clustered by page.

    Args:
        scores: by corner, then by case.
        causes: what differs.
        clusters: a page for each case.
        seed: of the bootstrap.

    Raises:
        KeyError: a corner is missing.
    """
    every = corners(causes)
    cases = sorted(set.intersection(*(set(scores[corner]) for corner in every)))
    labels = [clusters[case] for case in cases]
    n = len(causes)
    found: list[tuple[str, Metric, float | None]] = []
    for cause in causes:
        parts = [0.0] * len(cases)
        for corner in every:
            if cause in corner:
                continue
            weight = factorial(len(corner)) * factorial(n - len(corner) - 1) / factorial(n)
            before, after = scores[corner], scores[corner | {cause}]
            for place, case in enumerate(cases):
                parts[place] += weight * (after[case] - before[case])
        metric = mean_metric(parts, labels, seed=seed)
        tested = len(set(labels)) > 1
        p = sign_flips(parts, labels, seed=seed).mid if tested else None
        found.append((cause, metric, p))
    tested_ps = [p for _, _, p in found if p is not None]
    adjusted = iter(holm(tested_ps))
    return [
        Share(cause, metric, None if p is None else next(adjusted)) for cause, metric, p in found
    ]
