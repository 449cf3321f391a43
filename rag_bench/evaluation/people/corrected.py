"""Scores corrected by labels, by the method that fits where the labels come from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rag_bench.evaluation.metric_spec import UNIT
from rag_bench.evaluation.people.calibration import LabelledScore, confusion
from rag_bench.evaluation.people.case_labels import CaseLabel
from rag_bench.evaluation.people.measures import Measure
from rag_bench.evaluation.people.prediction_powered import FEWEST, Corrected, corrected_mean
from rag_bench.evaluation.people.rogan_gladen import (
    FEWEST_OF_A_KIND,
    TransportCheck,
    corrected_share,
    transport_check,
)
from rag_bench.evaluation.statistics import effective_size, mean_metric, rate_metric
from rag_bench.evaluation.types import Metric

Method = Literal["prediction_powered", "rogan_gladen"]
Reason = Literal["no_labels", "too_few_labels", "no_better_than_chance", "no_scores"]

#: The mark of scores that are corrected by labels of other answers.
ERRS_ALIKE = "assumes the judge errs alike on this model"


@dataclass(frozen=True)
class ScoredCase:
    """One evaluated answer: the judge's score, and people's label if it was drawn and labelled."""

    cluster: Hashable
    score: float | None
    label: CaseLabel | None = None


@dataclass(frozen=True)
class Correction:
    """A judge's scores of one model in the light of labels.

    Attributes:
        raw_mean, raw_good: What the judge says: mean, share of good answers.
        mean, good: Corrected; None where nothing can be said. Points are not cut to the scale.
        method: By which; None: not corrected.
        reason: Why not.
        n_labels: That the correction rests on.
        n_disputed: Of them, cases on which two people differ still; their mean counts.
        transport: Whether labels of this model speak against labels of others.
        estimate: The mean's parts, for planning; of prediction-powered inference only.
    """

    raw_mean: Metric
    raw_good: Metric
    mean: Metric | None
    good: Metric | None
    method: Method | None
    reason: Reason | None
    n_labels: int
    n_disputed: int = 0
    transport: TransportCheck | None = None
    estimate: Corrected | None = None

    @property
    def marks(self) -> list[str]:
        """What must stand beside the corrected score."""
        if self.method != "rogan_gladen":
            return []
        found = [ERRS_ALIKE]
        if self.transport is not None and self.transport.verdict == "differs":
            found.append("labels of this model say that it does not")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        check = self.transport
        return {
            "method": self.method,
            "reason": self.reason,
            "marks": self.marks,
            "n_labels": self.n_labels,
            "n_disputed": self.n_disputed,
            "raw_mean": self.raw_mean.to_json(),
            "raw_good": self.raw_good.to_json(),
            "mean": None if self.mean is None else self.mean.to_json(),
            "good": None if self.good is None else self.good.to_json(),
            "weight": None if self.estimate is None else round(self.estimate.weight, 6),
            "transport": None
            if check is None
            else {"verdict": check.verdict, "n_labels": check.n_labels, "p_value": check.p_value},
        }


def corrected_scores(
    cases: Sequence[ScoredCase], measure: Measure, elsewhere: Sequence[LabelledScore] = ()
) -> Correction:
    """Correct a judge's scores of one model.

    Labels of its own drawn cases, if there are `FEWEST`: prediction-powered inference, of the mean
    and of the share of good answers. Else labels of other models' answers, if there are
    `FEWEST_OF_A_KIND` good and as many bad ones: Rogan and Gladen, of the share only, as what a
    judge does to a mean is not known from elsewhere. Else nothing.

    Args:
        cases: All evaluated answers of the model.
        measure: What was scored and labelled.
        elsewhere: Labelled answers of others that the same judge scored by the same prompt.
    """
    good_from = measure.good_from
    clusters = [case.cluster for case in cases]
    scores = [case.score for case in cases]
    decided = [None if score is None else score >= good_from for score in scores]
    raw = (
        mean_metric(scores, clusters, scale=measure.scale),
        rate_metric(decided, clusters=clusters),
    )
    mine = [case for case in cases if case.label is not None and case.score is not None]
    disputed = sum(not case.label.settled for case in mine if case.label)
    if not any(score is not None for score in scores):
        return Correction(*raw, None, None, None, "no_scores", len(mine), disputed)
    if len(mine) >= FEWEST:
        return _prediction_powered(cases, measure, raw, len(mine), disputed)
    return _from_elsewhere(cases, measure, raw, mine, elsewhere)


def _prediction_powered(
    cases: Sequence[ScoredCase],
    measure: Measure,
    raw: tuple[Metric, Metric],
    n_labels: int,
    disputed: int,
) -> Correction:
    clusters = [case.cluster for case in cases]
    mean = corrected_mean(
        [case.label.value if case.label else None for case in cases],
        [case.score for case in cases],
        scale=measure.scale,
        step=measure.step,
        clusters=clusters,
    )
    good = corrected_mean(
        [case.label.good if case.label else None for case in cases],
        [None if case.score is None else float(case.score >= measure.good_from) for case in cases],
        scale=UNIT,
        step=1.0,
        clusters=clusters,
    )
    return Correction(
        *raw,
        _metric(mean, raw[0], measure.scale),
        _metric(good, raw[1], UNIT),
        "prediction_powered",
        None,
        n_labels,
        disputed,
        estimate=mean,
    )


def _metric(found: Corrected | None, raw: Metric, scale: tuple[float, float]) -> Metric | None:
    if found is None:
        return None
    return Metric(
        found.value,
        found.n_cases,
        raw.n_expected,
        found.ci_low,
        found.ci_high,
        scale=scale,
        n_clusters=raw.n_clusters,
    )


def _from_elsewhere(
    cases: Sequence[ScoredCase],
    measure: Measure,
    raw: tuple[Metric, Metric],
    mine: Sequence[ScoredCase],
    elsewhere: Sequence[LabelledScore],
) -> Correction:
    there = confusion(elsewhere, measure.good_from)
    n = there.n_good + there.n_bad
    if not n and not mine:
        return Correction(*raw, None, None, None, "no_labels", 0)
    if min(there.n_good, there.n_bad) < FEWEST_OF_A_KIND:
        return Correction(*raw, None, None, None, "too_few_labels", max(n, len(mine)))
    here = confusion(
        [
            LabelledScore("", "", case.cluster, case.label.value, case.score, case.label.settled)
            for case in mine
            if case.label
        ],
        measure.good_from,
    )
    check = transport_check(there, here)
    scored = [case for case in cases if case.score is not None]
    decided = [(case.score or 0.0) >= measure.good_from for case in scored]
    n_effective = effective_size(decided, [case.cluster for case in scored])
    found = corrected_share(
        sum(decided) / len(decided),
        there.specificity or 0.0,
        there.sensitivity or 0.0,
        # Of one page nobody knows how pages differ: it counts as one case.
        1.0 if n_effective is None else n_effective,
        there.n_bad,
        there.n_good,
    )
    if found is None:
        return Correction(*raw, None, None, None, "no_better_than_chance", n, transport=check)
    good = Metric(
        found.value,
        raw[1].n_scored,
        raw[1].n_expected,
        found.ci_low,
        found.ci_high,
        scale=UNIT,
        n_clusters=raw[1].n_clusters,
    )
    return Correction(*raw, None, good, "rogan_gladen", None, n, transport=check)
