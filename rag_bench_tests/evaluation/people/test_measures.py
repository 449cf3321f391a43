"""What people can label: scales, words for values, guidelines, and who decides what is good."""

import pytest

from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.evaluation.people.calibration import LabelledScore, calibration_metrics, confusion
from rag_bench.evaluation.people.case_labels import resolved
from rag_bench.evaluation.people.corrected import ScoredCase, corrected_scores
from rag_bench.evaluation.people.guidelines import judge_guideline, label_fault, labelled_metrics
from rag_bench.evaluation.people.measures import GATE_METRIC, measure_of, measures
from rag_bench.evaluation.people.rogan_gladen import Counts
from rag_bench.evaluation.rubrics import RUBRICS

FAITHFUL = measure_of("ragas_faithfulness")


def test_rubrics_ragas_and_verdicts_can_be_labelled() -> None:
    judged = {*RAGAS_ANSWER_NAMES, *RAGAS_CONTEXT_NAMES} - {"ragas_semantic_similarity"}
    rubrics = {rubric.metric.name for rubric in RUBRICS.values()}
    assert set(labelled_metrics()) == rubrics | judged | {GATE_METRIC}
    for metric in labelled_metrics():
        assert judge_guideline(metric)
        assert label_fault(metric, measure_of(metric).values[0]) is None
    assert label_fault("bleu", None) is not None
    assert label_fault("e2e_quality", 4) == (
        "the metric is called rubric_e2e_quality, not e2e_quality"
    )


@pytest.mark.parametrize(
    ("metric", "values", "good_from", "step"),
    [
        ("rubric_e2e_quality", (1, 2, 3, 4, 5), 4.0, 1.0),
        ("ragas_context_recall", (0, 0.25, 0.5, 0.75, 1), 0.75, 0.25),
        (GATE_METRIC, (0, 1), 0.75, 1.0),
    ],
)
def test_good_is_from_three_quarters_of_the_scale_on(
    metric: str, values: tuple[float, ...], good_from: float, step: float
) -> None:
    measure = measure_of(metric)
    assert (measure.values, measure.good_from, measure.step) == (values, good_from, step)
    assert measure.nearest(0.0) == values[0]
    assert measure.nearest(1.0) == values[-1]


def test_a_rubric_goes_by_its_own_name_and_contexts_are_read_without_the_answer() -> None:
    assert measure_of("faithfulness").metric == "rubric_faithfulness"
    assert measure_of("context_recall").metric == "ragas_context_recall"
    for name in RAGAS_CONTEXT_NAMES:
        assert "answer" not in measures()[name].reads
        assert measures()[name].needs_reference


#: Label, score: at 0.75 two good seen good, one good seen bad, one bad seen bad, one bad seen good.
ROWS = [
    LabelledScore("m", "ru", n, label, score)
    for n, (label, score) in enumerate(
        [(1.0, 0.9), (0.75, 0.8), (0.75, 2 / 3), (0.25, 1 / 3), (0.5, 1.0)]
    )
]


def test_the_figures_of_shares_equal_counts_by_hand() -> None:
    found = calibration_metrics(ROWS, FAITHFUL)
    assert confusion(ROWS, FAITHFUL.good_from) == Counts(2, 1, 1, 1)
    assert found["sensitivity"].value == pytest.approx(2 / 3)
    assert found["specificity"].value == pytest.approx(1 / 2)
    gaps = [0.9 - 1, 0.8 - 0.75, 2 / 3 - 0.75, 1 / 3 - 0.25, 1 - 0.5]
    assert found["severity"].value == pytest.approx(sum(gaps) / 5)
    assert found["severity"].scale == (-1.0, 1.0)
    # Scores count as the nearest grade: 1 and 1, .75 twice, .75 and .75, .25 twice, .5 and 1.
    # Squared distances, observed: 0 + 0 + 0 + 0 + .25; by chance, of all pairs of both sides:
    labels, grades = [1.0, 0.75, 0.75, 0.25, 0.5], [1.0, 0.75, 0.75, 0.25, 1.0]
    chance = sum((a - b) ** 2 for a in labels for b in grades) / 5
    assert found["kappa_quadratic"].value == pytest.approx(1 - 0.25 / chance)


def test_shares_are_corrected_on_their_own_scale() -> None:
    cases = [
        ScoredCase(n, 0.9, resolved([0.75 if n % 2 else 0.25], None, FAITHFUL.good_from))
        if n < 40
        else ScoredCase(n, 0.9)
        for n in range(200)
    ]
    found = corrected_scores(cases, FAITHFUL)
    assert found.method == "prediction_powered"
    assert found.raw_mean.value == pytest.approx(0.9)
    assert found.raw_good.value == 1.0
    assert found.mean is not None
    assert found.mean.value == pytest.approx(0.5, abs=0.05)
    assert found.mean.scale == (0.0, 1.0)
    assert found.good is not None
    assert found.good.value == pytest.approx(0.5, abs=0.05)
