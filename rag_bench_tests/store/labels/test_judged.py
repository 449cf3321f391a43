"""Labels beside judges' scores: corrected scores of models whose truth is known."""

import numpy as np
import pytest
from labelled_world import JUDGE_KEY, METRIC, MODELS, SETTINGS, TIER, LabelledWorld, labelled_world
from sqlalchemy import Engine

from rag_bench.evaluation.people.corrected import ERRS_ALIKE
from rag_bench.store.database import make_engine
from rag_bench.store.labels.agreeing import standing
from rag_bench.store.labels.checked import checked_pairs, never_checked
from rag_bench.store.labels.draws import Draw, draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.judged import corrections, labelled, labelled_scores
from rag_bench.store.labels.labelling import label_case
from rag_bench.store.labels.labels import NewLabel, add_labels

NAMES = list(MODELS)


def _drawn(world: LabelledWorld, model: str, size: int, **more) -> Draw:
    with world.engine.begin() as connection:
        guideline = keep_guideline(connection, METRIC, "Solved or not?")
    return draw(world.engine, world.scores[model], METRIC, guideline, size=size, **more)


def _label_all(world: LabelledWorld, made: Draw, model: str, annotator: str = "ann") -> None:
    with world.engine.begin() as connection:
        for case in made.cases_of(annotator):
            label_case(connection, made, case, world.truth[model][case], annotator)


def test_without_labels_nothing_is_corrected(engine: Engine) -> None:
    world = labelled_world(engine, 40, NAMES[:1])
    found = corrections(engine, SETTINGS, TIER, METRIC)
    assert found.found[NAMES[0], JUDGE_KEY].reason == "no_labels"
    assert found.marked(JUDGE_KEY)
    assert never_checked(engine, [JUDGE_KEY, None, JUDGE_KEY]) == [JUDGE_KEY]
    assert world.true_mean(NAMES[0]) > 1


def test_corrected_scores_of_five_models_are_nearer_to_the_truth_than_raw_ones(
    engine: Engine,
) -> None:
    world = labelled_world(engine)
    for place, model in enumerate(NAMES):
        _label_all(world, _drawn(world, model, 100, seed=place), model)
    found = corrections(engine, SETTINGS, TIER, METRIC)
    raw_gaps, gaps = [], []
    for model in NAMES:
        one = found.found[model, JUDGE_KEY]
        assert one.method == "prediction_powered"
        assert (one.n_labels, one.marks) == (100, [])
        for raw, metric, true in (
            (one.raw_mean, one.mean, world.true_mean(model)),
            (one.raw_good, one.good, world.true_good(model)),
        ):
            assert metric is not None
            assert metric.ci_low <= true <= metric.ci_high
            raw_gaps.append(abs(raw.value - true))
            gaps.append(abs(metric.value - true))
    # The judge is lenient: the worse a model, the more it is flattered.
    assert np.mean(gaps) < np.mean(raw_gaps) / 2
    nearer = sum(gap < raw for gap, raw in zip(gaps, raw_gaps, strict=True))
    assert nearer >= 9, (gaps, raw_gaps)
    assert not found.marked(JUDGE_KEY)
    assert {one.judge for one in checked_pairs(engine)} == {JUDGE_KEY}


def test_labels_of_another_model_correct_the_share_and_carry_the_mark(engine: Engine) -> None:
    world = labelled_world(engine, 300, NAMES[:2])
    _label_all(world, _drawn(world, NAMES[0], 200), NAMES[0])
    other = corrections(engine, SETTINGS, TIER, METRIC).found[NAMES[1], JUDGE_KEY]
    assert other.method == "rogan_gladen"
    assert other.marks == [ERRS_ALIKE]
    assert other.mean is None
    assert other.good is not None
    assert other.good.ci_low <= world.true_good(NAMES[1]) <= other.good.ci_high
    # Thirty labels of its own, and the mark is gone.
    _label_all(world, _drawn(world, NAMES[1], 40, seed=2), NAMES[1])
    own = corrections(engine, SETTINGS, TIER, METRIC).found[NAMES[1], JUDGE_KEY]
    assert (own.method, own.marks) == ("prediction_powered", [])


@pytest.fixture
def one_model(engine: Engine) -> LabelledWorld:
    return labelled_world(engine, 120, NAMES[:1])


def test_picked_cases_models_and_drafts_for_tuning_correct_nothing(
    one_model: LabelledWorld,
) -> None:
    world, model = one_model, NAMES[0]
    _label_all(world, _drawn(world, model, 50, purpose="tune"), model)
    with world.engine.begin() as connection:
        add_labels(
            connection,
            [NewLabel(world.answers[model], f"q{n:03}", METRIC, 5, "ann") for n in range(60)],
        )
    assert labelled(world.engine, METRIC).n == 0
    made = _drawn(world, model, 120)  # holds the cases of the draw for tuning
    with world.engine.begin() as connection:
        add_labels(
            connection,
            [
                NewLabel(world.answers[model], case, METRIC, 5, "house/other", "model")
                for case in made.cases
            ],
        )
    # Persons' labels of cases that are drawn now, and were not drawn for tuning.
    found = labelled(world.engine, METRIC)
    assert 0 < found.n < 60
    assert (
        corrections(world.engine, SETTINGS, TIER, METRIC).found[model, JUDGE_KEY].n_labels
        == found.n
    )


def test_two_annotators_differ_and_what_is_settled_is_followed(one_model: LabelledWorld) -> None:
    world, model = one_model, NAMES[0]
    made = _drawn(world, model, 40, annotators=["ann", "bob"])
    _label_all(world, made, model, "ann")
    wrong = set(made.cases[:4])
    with world.engine.begin() as connection:
        for case in made.cases:
            true = world.truth[model][case]
            label_case(connection, made, case, 3 if case in wrong else true, "bob")
    stands = standing(world.engine, made)
    differ = {case for case in wrong if world.truth[model][case] != 3}
    assert {one.case_id for one in stands.to_settle} == differ
    [pair] = stands.pairs.values()
    assert pair["agreement"].value == pytest.approx((40 - len(differ)) / 40)
    assert pair["kappa"].value < 1
    assert stands.alpha is not None
    assert stands.alpha.value == pytest.approx(pair["alpha"].value)
    before = corrections(world.engine, SETTINGS, TIER, METRIC).found[model, JUDGE_KEY]
    assert before.n_disputed == len(differ)
    with world.engine.begin() as connection:
        for case in differ:
            label_case(connection, made, case, world.truth[model][case], "lead", settles=True)
    after = corrections(world.engine, SETTINGS, TIER, METRIC).found[model, JUDGE_KEY]
    assert after.n_disputed == 0
    assert before.mean is not None
    assert after.mean is not None
    assert after.mean.value != pytest.approx(before.mean.value)
    settled = standing(world.engine, made)
    assert settled.to_settle == []
    assert len(settled.disputes) == len(differ)
    assert settled.as_json()["disputes"][0]["settled"] is not None


def test_calibration_rows_know_language_page_and_model(one_model: LabelledWorld) -> None:
    world, model = one_model, NAMES[0]
    _label_all(world, _drawn(world, model, 60), model)
    [rows] = labelled_scores(world.engine, labelled(world.engine, METRIC)).values()
    assert len(rows) == 60
    assert {row.language for row in rows} == {"ru", "en"}
    assert {row.generator for row in rows} == {model}
    assert all(str(row.cluster).startswith("https://") for row in rows)


def test_labels_are_found_again_from_another_connection(one_model: LabelledWorld) -> None:
    world, model = one_model, NAMES[0]
    made = _drawn(world, model, 30)
    _label_all(world, made, model)
    again = make_engine(world.engine.url.render_as_string(hide_password=False))
    assert labelled(again, METRIC).hash == labelled(world.engine, METRIC).hash
    with world.engine.begin() as connection:
        label_case(connection, made, made.cases[0], 3, "ann")
    assert labelled(again, METRIC).n == 30
    again.dispose()
