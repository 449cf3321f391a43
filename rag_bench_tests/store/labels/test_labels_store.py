"""Guidelines, draws and labels in the store: what is kept, what is refused, what is drawn."""

from datetime import UTC, datetime

import pytest
from labelled_world import METRIC, MODELS, LabelledWorld, labelled_world
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from rag_bench.store.labels.draws import DrawError, draw, draws, get_draw
from rag_bench.store.labels.guidelines import (
    Guideline,
    get_guideline,
    guidelines,
    keep_guideline,
)
from rag_bench.store.labels.labelling import case_to_label, label_case, progress
from rag_bench.store.labels.labels import (
    LabelError,
    NewLabel,
    add_labels,
    current_labels,
    label_history,
)

FIRST = next(iter(MODELS))


@pytest.fixture
def world(engine: Engine) -> LabelledWorld:
    return labelled_world(engine, 60, [FIRST])


@pytest.fixture
def guideline(world: LabelledWorld) -> Guideline:
    with world.engine.begin() as connection:
        return keep_guideline(connection, "house", "Solved or not?")


def test_a_changed_guideline_is_a_new_version_and_an_equal_one_is_not(engine: Engine) -> None:
    with engine.begin() as connection:
        first = keep_guideline(connection, "house", "One.")
        assert keep_guideline(connection, "house", " One.\n") == first
        second = keep_guideline(connection, "house", "Two.")
    assert (first.version, second.version) == (1, 2)
    assert get_guideline(engine, "house") == second
    assert get_guideline(engine, "house", 1) == first
    assert [one.version for one in guidelines(engine)] == [2, 1]
    with engine.begin() as connection, pytest.raises(ValueError, match="name and a text"):
        keep_guideline(connection, "house", " ")


def test_a_draw_follows_from_its_seed_and_a_larger_one_holds_the_smaller(
    world: LabelledWorld, guideline: Guideline
) -> None:
    answers = world.answers[FIRST]
    small = draw(world.engine, answers, METRIC, guideline, size=20, seed=7)
    large = draw(world.engine, world.scores[FIRST], METRIC, guideline, size=500, seed=7)
    other = draw(world.engine, answers, METRIC, guideline, size=20, seed=8)
    assert large.evaluation_id == answers, "scores are resolved to the answers that they score"
    assert (small.size, large.size, large.n_cases) == (20, 60, 60)
    assert set(small.cases) < set(large.cases)
    assert set(other.cases) != set(small.cases)
    assert get_draw(world.engine, small.id) == small
    assert [one.id for one in draws(world.engine)] == [other.id, large.id, small.id]


def test_every_case_is_as_likely_as_another(world: LabelledWorld, guideline: Guideline) -> None:
    counts: dict[str, int] = {}
    for seed in range(120):
        for case in draw(
            world.engine, world.answers[FIRST], METRIC, guideline, size=20, seed=seed
        ).cases:
            counts[case] = counts.get(case, 0) + 1
    # 120 draws of a third: 40 each, of standard deviation 5.2.
    assert len(counts) == 60
    assert max(abs(n - 40) for n in counts.values()) < 5 * 5.2


def test_annotators_share_a_part_and_each_has_an_order_of_their_own(
    world: LabelledWorld, guideline: Guideline
) -> None:
    made = draw(
        world.engine,
        world.answers[FIRST],
        METRIC,
        guideline,
        size=40,
        annotators=["ann", "bob"],
        n_shared=20,
    )
    ann, bob = made.cases_of("ann"), made.cases_of("bob")
    assert set(ann) & set(bob) == set(made.cases[:20])
    assert set(ann) | set(bob) == set(made.cases)
    assert len(ann) == len(bob) == 30
    shared = set(made.cases[:20])
    assert [c for c in ann if c in shared] != [c for c in bob if c in shared]
    assert made.cases_of("eve") == []
    with pytest.raises(DrawError, match="labelled by ann, bob, not by 'eve'"):
        progress(world.engine, made, "eve")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, "at least one case"),
        ({"size": 5, "annotators": ["a", "a"]}, "named once"),
        ({"size": 5, "annotators": ["a", "b"], "n_shared": 6}, "cannot be labelled by all"),
    ],
)
def test_a_draw_that_cannot_be_is_refused(
    world: LabelledWorld, guideline: Guideline, given, message: str
) -> None:
    with pytest.raises(DrawError, match=message):
        draw(world.engine, world.answers[FIRST], METRIC, guideline, **given)
    with pytest.raises(DrawError, match="There is no evaluation 999"):
        draw(world.engine, 999, METRIC, guideline, size=5)
    assert draws(world.engine) == []


def test_what_an_annotator_sees_names_no_model_and_no_verdict(
    world: LabelledWorld, guideline: Guideline
) -> None:
    made = draw(world.engine, world.answers[FIRST], METRIC, guideline, size=5)
    seen = case_to_label(world.engine, made, made.cases[0])
    assert seen.answer.startswith("Ответ 0")
    assert seen.reference, "the rubric reads it"
    assert not seen.contexts, "the rubric does not read them"
    assert FIRST not in str(seen)
    with pytest.raises(DrawError, match="not in draw"):
        case_to_label(world.engine, made, "nowhere")
    with world.engine.begin() as connection:
        connection.execute(text("delete from rag_bench.evaluation_case"))
    with pytest.raises(DrawError, match="not in this store any more"):
        case_to_label(world.engine, made, made.cases[0])


def test_a_later_label_supersedes_and_history_stays(
    world: LabelledWorld, guideline: Guideline
) -> None:
    made = draw(world.engine, world.answers[FIRST], METRIC, guideline, size=10, annotators=["ann"])
    case, other = made.cases[:2]
    with world.engine.begin() as connection:
        label_case(connection, made, case, 2, "ann")
        label_case(connection, made, case, 4, "ann", note=" on second thoughts ")
        label_case(connection, made, other, 1, "ann")
        label_case(connection, made, other, None, "ann")
    [now] = current_labels(world.engine, metric=METRIC)
    assert (now.value, now.note, now.guideline_version) == (4, "on second thoughts", 1)
    assert [one.value for one in label_history(world.engine)] == [2, 4, 1, None]
    done = progress(world.engine, made, "ann")
    assert done.n_done == 1
    assert done.next_after(case) != case
    assert done.next_after(None) in made.cases


def test_rows_of_labels_cannot_be_changed(world: LabelledWorld, guideline: Guideline) -> None:
    made = draw(world.engine, world.answers[FIRST], METRIC, guideline, size=5)
    with world.engine.begin() as connection:
        label_case(connection, made, made.cases[0], 2, "ann")
    for statement in ("update rag_bench.label set value = 5", "delete from rag_bench.label"):
        with pytest.raises(DatabaseError, match="only appended to"), world.engine.begin() as c:
            c.execute(text(statement))


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"evaluation_id": 999}, "evaluation_id"),
        ({"case_id": "nowhere"}, "case_id"),
        ({"metric": "bleu"}, "metric"),
        ({"value": 6}, "value"),
        ({"value": 2.5}, "value"),
        ({"annotator": " "}, "annotator"),
        ({"annotator_kind": "user"}, "annotator_kind"),
        ({"annotator_kind": "model", "settles": True}, "settles"),
        ({"settles": True, "value": None}, "value"),
        ({"guideline": "none", "guideline_version": 3}, "guideline"),
        ({"note": "a\x00b"}, "note"),
    ],
)
def test_a_label_that_cannot_be_is_refused_and_says_where(
    world: LabelledWorld, changes, column: str
) -> None:
    good = {
        "evaluation_id": world.answers[FIRST],
        "case_id": "q001",
        "metric": METRIC,
        "value": 3,
        "annotator": "ann",
    }
    bad = NewLabel(**{**good, **changes})
    with pytest.raises(LabelError) as caught, world.engine.begin() as connection:
        add_labels(connection, [NewLabel(**good), bad])
    assert (caught.value.index, caught.value.column) == (1, column)
    assert label_history(world.engine) == [], "nothing of a bad list is stored"


def test_an_equal_label_is_stored_once(world: LabelledWorld) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    one = NewLabel(world.answers[FIRST], "q001", METRIC, 3, "ann", at=at)
    with world.engine.begin() as connection:
        assert add_labels(connection, [one, one]) == 1
    with world.engine.begin() as connection:
        assert add_labels(connection, [one]) == 0
