"""Context precision and recall by identity, against cases worked by hand."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.metrics.context_ids import NAMES, id_based_context


@pytest.mark.parametrize(
    ("given", "reference", "precision", "recall"),
    [
        (["a", "b", "c"], ["a"], 1 / 3, 1.0),
        (["a", "b", "c"], ["c", "d"], 1 / 3, 1 / 2),
        (["b", "a"], ["a", "b"], 1.0, 1.0),
        (["x", "y"], ["a", "b", "c"], 0.0, 0.0),
        (["a", "a", "b"], ["a", "a"], 1 / 2, 1.0),  # an id counts once
        (["справка-1", "справка-2", "справка-3", "x"], ["справка-2", "x", "y", "z"], 0.5, 0.5),
        ([], ["a"], None, 0.0),  # nothing given: no precision, and nothing was found
    ],
)
def test_worked_by_hand(given, reference, precision, recall):
    found = id_based_context(given, reference)
    assert list(found) == list(NAMES)
    assert found["id_based_context_precision"] == precision
    assert found["id_based_context_recall"] == recall


@pytest.mark.parametrize(("given", "reference"), [(None, ["a"]), (["a"], []), (None, [])])
def test_without_retrieval_or_reference_there_is_neither(given, reference):
    assert set(id_based_context(given, reference).values()) == {None}


def test_the_order_does_not_matter():
    assert id_based_context(["a", "b", "c"], ["c"]) == id_based_context(["c", "b", "a"], ["c"])
