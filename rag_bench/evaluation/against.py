"""Models against one baseline on the same cases, all at once: what is more than chance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

from rag_bench.evaluation.comparison import Comparison, compare_paired
from rag_bench.evaluation.paired.p_values import holm
from rag_bench.evaluation.ranking import ALPHA, Judge
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Scale

Scores = Mapping[str, float]
"""By case; one without a score is absent."""


@dataclass(frozen=True)
class Against:
    """One model against the baseline, by one measure and judge.

    Attributes:
        metric, judge, model: what was compared; no judge: the measure needs none.
        baseline_mean, model_mean: over the cases that both have a score of.
        comparison: model minus baseline, paired, clustered.
        p_adjusted: Holm's over all models and judges of the measure; None without a pair.
    """

    metric: str
    judge: Judge
    model: str
    baseline_mean: float | None
    model_mean: float | None
    comparison: Comparison
    p_adjusted: float | None

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``cannot be told apart``, or ``no pair``."""
        difference = self.comparison.difference.value
        if self.p_adjusted is None or difference is None:
            return "no pair"
        if self.p_adjusted >= ALPHA or not difference:
            return "cannot be told apart"
        return "better" if difference > 0 else "worse"


def against(
    metric: str,
    scores: Mapping[tuple[str, Judge], Scores],
    baseline: str,
    clusters: Mapping[str, Hashable],
    *,
    scale: Scale | None = None,
    yes_no: bool = False,
) -> list[Against]:
    """Compare every model with the baseline, by each judge that scored both.

    Args:
        metric: the measure's name.
        scores: by model and judge, the baseline's among them.
        baseline: a model's key.
        clusters: each case's page or user.
        scale: of the measure.
        yes_no: every score is 0 or 1.
    """
    found = []
    for (model, judge), mine in sorted(scores.items(), key=lambda kv: (kv[0][1] or "", kv[0][0])):
        theirs = scores.get((baseline, judge))
        if model == baseline or theirs is None:
            continue
        comparison = compare_paired(theirs, mine, clusters, yes_no=yes_no)
        paired = sorted(mine.keys() & theirs.keys())
        before, now = (
            mean_metric([side[case] for case in paired], paired, scale=scale, resamples=1).value
            for side in (theirs, mine)
        )
        found.append(Against(metric, judge, model, before, now, comparison, None))
    tested = [number for number, one in enumerate(found) if one.comparison.p_value is not None]
    p_values = [found[number].comparison.p_value or 0.0 for number in tested]
    for number, p_adjusted in zip(tested, holm(p_values), strict=True):
        found[number] = replace(found[number], p_adjusted=p_adjusted)
    return found
