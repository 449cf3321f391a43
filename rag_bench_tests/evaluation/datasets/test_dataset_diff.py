"""Two versions of a dataset: what is new, gone and changed; numbers and spelling decide nothing."""

from __future__ import annotations

from typing import Any

from rag_bench.evaluation.datasets.diff import diff_items
from rag_bench.store.datasets import Item


def item(item_id: str, question: str, **more: Any) -> Item:
    return Item(item_id, question, **more)


def test_equal_versions_have_no_difference_whatever_their_items_are_called() -> None:
    before = [item("1", "Где стипендия?"), item("2", "Как сдать отчёт?")]
    after = [item("7", "как  сдать отчет?"), item("8", "Где стипендия?")]
    found = diff_items(before, after)
    # The wording of one question differs to the letter, which is said.
    assert [change.fields["question"] for change in found.changed] == [
        ("Как сдать отчёт?", "как  сдать отчет?")
    ]
    assert (found.n_same, found.n_renamed, found.added, found.removed) == (1, 2, [], [])
    assert diff_items(before, before).empty


def test_what_changed_is_told_by_field() -> None:
    before = [item("1", "q", reference_answer="a", chunk_hashes=("x", "y"))]
    after = [item("1", "q", reference_answer="b", chunk_hashes=("y", "x"))]
    [change] = diff_items(before, after).changed
    assert dict(change.fields) == {"reference_answer": ("a", "b")}


def test_a_reworded_question_keeps_its_id_and_others_are_new_or_gone() -> None:
    before = [item("1", "alpha"), item("2", "beta"), item("3", "gamma")]
    after = [item("1", "alpha, reworded"), item("3", "gamma"), item("4", "delta")]
    found = diff_items(before, after)
    assert [(c.before, c.after) for c in found.changed] == [("1", "1")]
    assert [one.item_id for one in found.added] == ["4"]
    assert [one.item_id for one in found.removed] == ["2"]
    assert found.as_json()["same"] == 1


def test_a_question_that_stands_twice_is_paired_twice() -> None:
    before = [item("1", "same"), item("2", "same")]
    after = [item("2", "same"), item("1", "same"), item("3", "same")]
    found = diff_items(before, after)
    assert [one.item_id for one in found.added] == ["3"]
    assert (found.n_same, found.n_renamed) == (2, 0)
