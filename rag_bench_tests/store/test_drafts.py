"""Drafts: put in once, taken out again, published as the dataset of exactly these cases."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.store.datasets import ASKER, GIVEN_ANSWER, DatasetInfo, Item, items_of, save_dataset
from rag_bench.store.drafts import drafts

URL = "https://help.example.org/stipendiya"
ITEMS = [
    Item("q1", "Когда стипендия?", "25-го числа", ("c1",), (URL,), {"language": "ru"}),
    Item("q2", "Где деканат?", None, (), (URL,), {GIVEN_ANSWER: "Там.", ASKER: 7}),
    Item("q3", "  когда   СТИПЕНДИЯ? ", "каждый месяц"),
]


@pytest.fixture
def gold(engine: Engine) -> DatasetInfo:
    return save_dataset(engine, "gold", "manual", ITEMS)


def add(engine: Engine, name: str, dataset: DatasetInfo, case: str) -> drafts.Added:
    with engine.begin() as connection:
        return drafts.add_case(connection, name, dataset.id, case, "anna")


def test_a_case_is_in_once_and_a_repeated_question_is_told(
    engine: Engine, gold: DatasetInfo
) -> None:
    assert add(engine, " hard ", gold, "q1") == drafts.Added("added", "hard", "q1", 1)
    assert add(engine, "hard", gold, "q1") == drafts.Added("there", "hard", "q1", 1)
    # The same question by the one folding of texts, whatever its reference says.
    assert add(engine, "hard", gold, "q3") == drafts.Added("duplicate", "hard", "q1", 1)
    assert add(engine, "hard", gold, "q2") == drafts.Added("added", "hard", "q2", 2)
    with engine.connect() as connection:
        found = drafts.items_of(connection, "hard")
        assert [one.item.item_id for one in found] == ["q1", "q2"]
        assert found[0].item == ITEMS[0]
        # An answer that somebody gave is no part of a question, nor who asked.
        assert found[1].item.details == {}
        assert {one.added_by for one in found} == {"anna"}
        assert drafts.drafts_with(connection, gold.id, "q1") == [("hard", "q1")]
        assert drafts.drafts_with(connection, gold.id, "q3") == []


def test_two_datasets_may_have_one_id_for_different_questions(
    engine: Engine, gold: DatasetInfo
) -> None:
    other = save_dataset(engine, "other", "manual", [Item("q1", "Как снять справку?")])
    add(engine, "hard", gold, "q1")
    added = add(engine, "hard", other, "q1")
    assert (added.outcome, added.item_id) == ("added", f"q1-{other.id[:8]}")


def test_what_is_published_is_addressed_by_its_cases_and_undone_by_taking_out(
    engine: Engine, gold: DatasetInfo
) -> None:
    add(engine, "hard", gold, "q1")
    first = drafts.publish(engine, "hard")
    assert first.new
    assert (first.dataset.kind, first.dataset.n_items) == ("questions", 1)
    assert items_of(engine, first.dataset.id) == ITEMS[:1]
    assert drafts.publish(engine, "hard") == drafts.Published(first.dataset, False)
    add(engine, "hard", gold, "q2")
    second = drafts.publish(engine, "hard")
    assert second.dataset.id != first.dataset.id
    with engine.begin() as connection:
        assert drafts.remove_item(connection, "hard", "q2")
        assert not drafts.remove_item(connection, "hard", "q2"), "what is gone stays so"
    again = drafts.publish(engine, "hard")
    assert again == drafts.Published(first.dataset, False)
    with engine.begin() as connection:
        assert drafts.get_draft(connection, "hard").published_id == first.dataset.id
        assert drafts.drop(connection, "hard").n_items == 1
        assert drafts.all_drafts(connection) == []
    assert items_of(engine, second.dataset.id), "what was published stays"


@pytest.mark.parametrize("name", ["", " ", "-x", "a/b", "a\x00b", "x" * 101, "имя\nещё"])
def test_a_name_that_cannot_be_one(engine: Engine, gold: DatasetInfo, name: str) -> None:
    with pytest.raises(RagBenchError, match="A draft's name has 1 to 100 letters"):
        add(engine, name, gold, "q1")
    with engine.connect() as connection:
        assert drafts.all_drafts(connection) == []


def test_what_is_not_there_is_said_and_nothing_is_begun(engine: Engine, gold: DatasetInfo) -> None:
    pairs = save_dataset(
        engine, "pairs", "show_hide", [Item("p", "?", details={"ground_truth_show": True})]
    )
    with pytest.raises(drafts.NoCaseError, match="no such case"):
        add(engine, "hard", gold, "q9")
    with pytest.raises(drafts.NoCaseError, match="labelled pairs"):
        add(engine, "hard", pairs, "p")
    with engine.connect() as connection, pytest.raises(drafts.NoDraftError, match="no draft"):
        drafts.items_of(connection, "hard")
    add(engine, "hard", gold, "q1")
    with engine.begin() as connection:
        drafts.remove_item(connection, "hard", "q1")
    with pytest.raises(RagBenchError, match="is empty"):
        drafts.publish(engine, "hard")
