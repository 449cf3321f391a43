"""Calibrations in the store: kept once, stale with a reason."""

import pytest
from labelled_world import JUDGE_KEY, METRIC, MODELS, LabelledWorld, labelled_world
from sqlalchemy import Engine

from rag_bench.store.labels.calibrating import calibrations
from rag_bench.store.labels.draws import draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.kept_calibrations import keep, kept_calibration, of_judge, stale
from rag_bench.store.labels.labelling import label_case

FIRST = next(iter(MODELS))


def _label(world: LabelledWorld, size: int, guideline: str, seed: int = 0) -> None:
    with world.engine.begin() as connection:
        kept = keep_guideline(connection, METRIC, guideline)
    made = draw(world.engine, world.answers[FIRST], METRIC, kept, size=size, seed=seed)
    with world.engine.begin() as connection:
        for case in made.cases:
            label_case(connection, made, case, world.truth[FIRST][case], "ann")


def test_a_calibration_is_kept_once_and_stale_when_labels_or_guideline_change(
    engine: Engine,
) -> None:
    world = labelled_world(engine, 200, [FIRST])
    assert of_judge(engine, JUDGE_KEY) == []
    assert stale(engine, [JUDGE_KEY]) == []
    _label(world, 120, "Solved?")
    [never] = stale(engine, [JUDGE_KEY])
    assert str(never) == f"{JUDGE_KEY}, {METRIC}: it was never kept"
    [found] = calibrations(engine, METRIC)
    kept = keep(engine, found)
    assert keep(engine, found).id == kept.id
    assert stale(engine, [JUDGE_KEY]) == []
    assert kept_calibration(engine, JUDGE_KEY, METRIC) is not None
    true = world.truth[FIRST]
    sensitivity = kept.metrics["calibration_sensitivity"]
    assert sensitivity["ci_low"] <= 0.95 <= sensitivity["ci_high"]
    assert sensitivity["n_scored"] == sum(
        true[case] >= 4 for case in found.labels.by_case[world.answers[FIRST]]
    )
    specificity = kept.metrics["calibration_specificity"]
    assert specificity["ci_low"] <= 0.6 <= specificity["ci_high"]
    assert kept.metrics["calibration_severity"]["value"] > 0, "a lenient judge"
    assert kept.inputs["by_language"].keys() == {"ru", "en"}
    _label(world, 20, "Solved for good?", seed=1)
    [changed] = stale(engine, [JUDGE_KEY])
    assert list(changed.reasons) == ["the guideline", "the labels"]
    assert "several guidelines" in of_judge(engine, JUDGE_KEY)[0].notes()[0]
    assert stale(engine, ["house/nobody"]) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [("prompts", "the judge's prompts"), ("rubric", "the rubric"), ("judge", "the judge")],
)
def test_every_input_has_a_word(name: str, word: str) -> None:
    from rag_bench.store.labels.calibrating import changes

    before = {"judge": 1, "prompts": 1, "rubric": 1, "guidelines": 1, "labels": 1}
    assert changes(before, before) == []
    assert changes(before, {**before, name: 2}) == [word]
