"""Scales of ratings are told from the ratings, or said to be uncertain."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.traffic.ratings import FIVE, NONE, SCALES, recognise

COUNTS = {
    "1-5": [
        {1: 7, 5: 10},
        {1: 1, 2: 1, 3: 1, 4: 1, 5: 1},
        {5: 3},
        {2: 4, 4.5: 1, 5: 2},
        {1: 500, 5: 500, 0: 3},
    ],
    "0-5": [{0: 40, 1: 1, 5: 60}],
    "1-10": [{1: 1, 7: 5, 10: 2}, {9: 3, 10: 1}],
    "0-10": [{0: 4, 8: 2, 10: 9}],
    "thumbs": [{1: 4, 0: 1, -1: 1}, {-1: 2, 1: 2}, {-1: 5}],
    "0-1": [{0: 3, 1: 5}, {0.25: 1, 0.9: 2}],
    "percent": [{0: 1, 80: 2, 100: 3}, {35: 1, 72.5: 1}],
    "unknown": [{1: 9}, {0: 2}, {1: 3, 2: 4}, {1: 1, 4: 9}, {1: 1, 7: 2}, {-3: 1, 3: 2}, {20: 1}],
    "none": [{}, {5: 0}],
}


@pytest.mark.parametrize(
    ("name", "counts"), [(name, c) for name, found in COUNTS.items() for c in found], ids=str
)
def test_recognised(name: str, counts: dict[float, int]) -> None:
    found = recognise(counts)
    assert found.name == name
    assert found.known == (name in SCALES)
    if name not in ("1-5",):
        assert found.note
    if name == "unknown":
        assert "RAG_BENCH_RATINGS" in found.note
        assert {found.satisfied(value) for value in counts} == {None}


@pytest.mark.parametrize(
    ("name", "satisfied", "not_satisfied", "no_rating"),
    [
        ("1-5", [5, 4.5], [1, 3, 4], [None, 0, 6, -1]),
        ("0-5", [5], [0, 4], [6]),
        ("1-10", [9, 10], [1, 5, 8], [0, 11]),
        ("0-10", [9, 10], [0, 8], [11]),
        ("thumbs", [1], [-1], [0, None, 2]),
        ("0-1", [1, 0.81], [0, 0.8, 0.5], [2]),
        ("percent", [81, 100], [0, 80], [101]),
    ],
)
def test_satisfied(
    name: str, satisfied: list[float], not_satisfied: list[float], no_rating: list[float | None]
) -> None:
    scale = SCALES[name]
    assert {scale.satisfied(value) for value in satisfied} == {True}
    assert {scale.satisfied(value) for value in not_satisfied} == {False}
    assert {scale.satisfied(value) for value in no_rating} == {None}
    assert {scale.rating(value) for value in no_rating} == {None}


def test_strays_are_said() -> None:
    found = recognise({1: 500, 5: 500, 0: 3})
    assert "3 ratings are not from 1 to 5" in found.note
    assert recognise({1: 1, 5: 1}) == FIVE
    assert FIVE.note == ""
    assert NONE.satisfied(5) is None
