"""A judge against people: figures by hand, by groups, what is corrected how, and plans."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from rag_bench.evaluation.people.calibration import (
    LabelledScore,
    alike,
    by_group,
    calibration_metrics,
    confusion,
)
from rag_bench.evaluation.people.case_labels import resolved
from rag_bench.evaluation.people.corrected import (
    ERRS_ALIKE,
    ScoredCase,
    corrected_scores,
)
from rag_bench.evaluation.people.label_plan import labels_for, more_for_mean, more_for_rates
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.evaluation.people.rogan_gladen import Counts

RUBRIC = measure_of("rubric_e2e_quality")


def _row(label: float, score: float | None, n: int, **more) -> LabelledScore:
    given = {"generator": "one", "language": "ru", **more}
    return LabelledScore(cluster=n, label=label, score=score, **given)


#: Label, score: 4 good seen good, 1 good seen bad, 3 bad seen bad, 2 bad seen good, 1 not scored.
ROWS = [
    _row(label, score, n)
    for n, (label, score) in enumerate(
        [(5, 5), (5, 4), (4, 4), (4, 5), (5, 2), (1, 1), (2, 2), (3, 1), (2, 4), (1, 5), (5, None)]
    )
]


def test_the_figures_equal_counts_by_hand() -> None:
    found = calibration_metrics(ROWS, RUBRIC)
    assert confusion(ROWS) == Counts(4, 1, 3, 2)
    assert found["sensitivity"].value == pytest.approx(4 / 5)
    assert (found["sensitivity"].n_scored, found["sensitivity"].n_expected) == (5, 6)
    assert found["specificity"].value == pytest.approx(3 / 5)
    # Observed 7 of 10, by chance (5 * 6 + 5 * 4) / 100.
    assert found["kappa"].value == pytest.approx((0.7 - 0.5) / 0.5)
    assert found["severity"].value == pytest.approx((0 - 1 + 0 + 1 - 3 + 0 + 0 - 2 + 2 + 4) / 10)
    pairs = [(r.label, r.score) for r in ROWS if r.score is not None]
    assert found["spearman"].value == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    assert found["spearman"].ci_low < found["spearman"].value < found["spearman"].ci_high
    assert found["true_positive"].value == 4
    assert found["false_positive"].value == 2


def test_cases_in_dispute_are_in_no_confusion() -> None:
    rows = [*ROWS, _row(3.0, 5.0, 20, settled=False)]
    assert confusion(rows) == confusion(ROWS)
    assert calibration_metrics(rows, RUBRIC)["severity"].n_scored == 11


def test_without_labels_every_figure_is_empty() -> None:
    assert {metric.value for metric in calibration_metrics([], RUBRIC).values()} == {None}


def test_a_judge_that_errs_otherwise_on_one_model_is_found() -> None:
    rng = np.random.default_rng(1)

    def rows(name: str, sensitivity: float) -> list[LabelledScore]:
        return [
            _row(5, 5 if rng.random() < sensitivity else 2, n, generator=name) for n in range(80)
        ]

    assert alike(rows("a", 0.9) + rows("b", 0.5), lambda row: row.generator) < 0.01
    assert alike(rows("a", 0.9) + rows("b", 0.9), lambda row: row.generator) > 0.05
    assert alike(rows("a", 0.9), lambda row: row.generator) is None
    groups = by_group(rows("a", 0.9) + rows("b", 0.5), lambda row: row.generator, RUBRIC)
    assert list(groups) == ["a", "b"]
    assert groups["a"]["sensitivity"].value > groups["b"]["sensitivity"].value


def _evaluated(n: int, n_labels: int, *, seed: int = 0) -> tuple[list[ScoredCase], float, float]:
    """Answers of which a lenient judge calls too many good, true mean and share of good."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([1.0, 2.0, 4.0, 5.0], size=n, p=[0.2, 0.2, 0.3, 0.3])
    score = np.where((truth < 4) & (rng.random(n) < 0.5), 4.0, truth)
    cases = [
        ScoredCase(i, float(s), resolved([float(t)]) if i < n_labels else None)
        for i, (t, s) in enumerate(zip(truth, score, strict=True))
    ]
    return cases, float(truth.mean()), float((truth >= 4).mean())


def test_labels_of_the_evaluated_cases_correct_mean_and_share() -> None:
    cases, truth, good = _evaluated(400, 100)
    found = corrected_scores(cases, RUBRIC)
    assert found.method == "prediction_powered"
    assert found.n_labels == 100
    assert found.marks == []
    assert found.mean is not None
    assert abs(found.mean.value - truth) < abs(found.raw_mean.value - truth)
    assert found.mean.ci_low <= truth <= found.mean.ci_high
    assert found.good is not None
    assert found.good.ci_low <= good <= found.good.ci_high
    assert found.as_json()["method"] == "prediction_powered"


def test_too_few_labels_correct_nothing_and_it_is_said() -> None:
    cases, *_ = _evaluated(400, 20)
    found = corrected_scores(cases, RUBRIC)
    assert (found.method, found.reason, found.n_labels) == (None, "too_few_labels", 20)
    assert found.mean is None
    assert found.raw_mean.value is not None
    none = corrected_scores([ScoredCase(1, 4.0)], RUBRIC)
    assert none.reason == "no_labels"
    assert corrected_scores([ScoredCase(1, None)], RUBRIC).reason == "no_scores"


def test_labels_of_other_models_correct_the_share_only_and_carry_the_mark() -> None:
    cases, _, good = _evaluated(400, 0)
    rng = np.random.default_rng(4)
    elsewhere = [
        _row(5, 5, n) if n % 2 else _row(1, 4 if rng.random() < 0.5 else 1, n) for n in range(100)
    ]
    found = corrected_scores(cases, RUBRIC, elsewhere)
    assert found.method == "rogan_gladen"
    assert found.marks == [ERRS_ALIKE]
    assert found.mean is None
    assert found.good is not None
    assert found.good.ci_low <= good <= found.good.ci_high
    assert found.raw_good.value > found.good.value
    assert found.transport is not None
    assert found.transport.verdict == "too_few"


def test_own_labels_that_speak_against_it_are_told() -> None:
    cases, *_ = _evaluated(400, 28)
    right = [_row(5, 5, n) if n % 2 else _row(1, 1, n) for n in range(200)]
    found = corrected_scores(cases, RUBRIC, right)
    assert found.method == "rogan_gladen"
    assert found.transport is not None
    assert found.transport.verdict == "differs"
    assert len(found.marks) == 2


def test_a_plan_says_what_more_labels_would_narrow_and_keeps_its_word() -> None:
    cases, *_ = _evaluated(800, 50)
    before = corrected_scores(cases, RUBRIC).estimate
    assert before is not None
    plan = more_for_mean(before, 100)
    assert plan.now == pytest.approx(before.width)
    assert plan.then < plan.now
    more, *_ = _evaluated(800, 150)
    after = corrected_scores(more, RUBRIC).estimate
    assert after is not None
    assert after.width == pytest.approx(plan.then, rel=0.25)
    need = labels_for(before, 0.15)
    assert need is not None
    assert more_for_mean(before, need - 50).then <= 0.3
    assert more_for_mean(before, need - 51).then > 0.3
    assert labels_for(before, 0.01) is None


def test_a_plan_of_rates_is_wilsons_at_the_counts_to_come() -> None:
    sensitivity, specificity = more_for_rates(Counts(45, 5, 15, 5), 70, 0.7)
    assert sensitivity.now == pytest.approx(0.1704, abs=2e-3)
    assert sensitivity.then < sensitivity.now
    assert not specificity.assumed
    first = more_for_rates(Counts(0, 0, 0, 0), 100, 0.5)
    assert [one.assumed for one in first] == [True, True]
    assert first[0].now is None
