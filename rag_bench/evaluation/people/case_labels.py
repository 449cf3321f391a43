"""What people say of one case, when several said something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag_bench.evaluation.metrics.judges.judge_scores import GOOD_FROM


@dataclass(frozen=True)
class CaseLabel:
    """People's word on a case.

    Attributes:
        value: On the measure's scale; of annotators that differ the mean.
        good: 1 if it is good, else 0; of annotators that differ the share who say so.
        settled: Whether they say one thing, or somebody settled it.
        n: Annotators.
    """

    value: float
    good: float
    settled: bool
    n: int


def resolved(
    values: Sequence[float], settled: float | None = None, good_from: float = GOOD_FROM
) -> CaseLabel | None:
    """Return one label of a case's labels; None where there is none.

    A settled value replaces the others. Without one annotators who differ are all heard: to leave
    such cases out would leave out the hard ones. From ``good_from`` on a label is good.
    """
    if settled is not None:
        return CaseLabel(settled, float(settled >= good_from), True, max(1, len(values)))
    if not values:
        return None
    good = sum(value >= good_from for value in values) / len(values)
    alike = len(set(values)) == 1
    return CaseLabel(math.fsum(values) / len(values), good, alike, len(values))
