"""Plots of one value, equal values and none: no axis invents a range, no empty one is drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.axes import span_of, without_leaps
from rag_bench.dashboard.tabs.utilization import in_classes


def metric(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "ci_low": low, "ci_high": high}


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ([0, 0.0, None], (0.0, 1.0)),
        ([0.002], (0.0, 0.004)),
        ([35.0, 35.0], (0.0, 70.0)),
        ([-2.0], (-4.0, 0.0)),
        ([1.0, 2.0], None),
        ([None, float("nan")], None),
        (["a", "b"], None),
        ([], None),
    ],
)
def test_an_axis_of_equal_values_begins_at_zero(
    values: list[Any], span: tuple[float, float] | None
) -> None:
    assert span_of(values) == span


def test_costs_that_are_all_zero_are_not_drawn_below_it() -> None:
    made = figures.points({"front": [(0.0, 4.0, "a")], "rest": [(0.0, 3.0, "b")]}, "USD", "score")
    assert made is not None
    assert made.layout["xaxis"]["range"] == [0.0, 1.0]
    assert "range" not in made.layout["yaxis"]


def test_every_kind_of_plot_with_one_value_equal_values_and_none() -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    one = [
        figures.bars(["a"], {"j": [metric(0.0)]}, "F1"),
        figures.points({"g": [(0.0, 0.0, "a")]}, "x", "y"),
        figures.columns(["a", "b"], {"s": [0, 0]}, "x", "y"),
        figures.columns(["a", "b"], {"s": [0, 0]}, "x", "y", lying=True),
        figures.lines({"s": [(at, 0.0)]}, "x", "y"),
    ]
    sides = ["x", "x", "y", "x", "y"]
    for figure, side in zip(one, sides, strict=True):
        assert figure is not None
        assert figure.layout[f"{side}axis"]["range"] == [0.0, 1.0]
    alone = one[-1]
    assert alone is not None
    assert alone.layout["xaxis"]["type"] == "category", "of one time no milliseconds are shown"
    month = figures.lines({"s": [("2026-01", 1.0)], "t": [("2026-01", 2.0)]}, "x", "y")
    assert month is not None
    assert month.layout["xaxis"]["type"] == "category"
    intervals = figures.bars(["a"], {"j": [metric(3.0, 2.0, 4.0)]}, "F1")
    assert intervals is not None
    assert "range" not in intervals.layout["xaxis"], "an interval has a width"
    scaled = figures.bars(["a"], {"j": [metric(3.0)]}, "score", (1.0, 5.0))
    assert scaled is not None
    assert scaled.layout["xaxis"]["range"] == [1.0, 5.0]
    none = [
        figures.bars(["a"], {"j": [None]}, "F1"),
        figures.bars(["a"], {"j": [metric(None)]}, "F1"),
        figures.points({"g": [(None, 1.0, "a")]}, "x", "y"),
        figures.points({}, "x", "y"),
        figures.columns(["a"], {"s": [None]}, "x", "y"),
        figures.columns([], {"s": []}, "x", "y"),
        figures.lines({"s": [(at, None)]}, "x", "y"),
        figures.heat(["a"], ["b"], [[None]], [[""]]),
    ]
    assert none == [None] * len(none), "axes without a point look like a measured zero"


def test_a_line_does_not_lead_over_months_without_a_value() -> None:
    found = without_leaps([("2025-11", 1.0), ("2026-02", 2.0)])
    assert found == [("2025-11", 1.0), ("2025-12", None), ("2026-01", None), ("2026-02", 2.0)]
    numbers = [(1, 1.0), (5, 2.0)]
    assert without_leaps(numbers) == numbers


def test_what_was_measured_at_once_has_no_axis_of_seconds() -> None:
    made = figures.lines(
        {"a": [("2026-01-05T10:00:00", 1.0)], "b": [("2026-01-05T10:00:03", 2.0)]}, "at", "y"
    )
    assert made is not None
    assert made.layout["xaxis"]["range"] == ["2026-01-05T09:55:00", "2026-01-05T10:05:03"]
    apart = figures.lines(
        {"a": [("2026-01-05T10:00:00", 1.0), ("2026-01-06T10:00:00", 1.5)]}, "at", "y"
    )
    assert apart is not None
    assert "range" not in apart.layout["xaxis"]


def test_series_look_different_where_there_are_more_of_them_than_colours() -> None:
    names = [f"m{n}" for n in range(20)]
    made = figures.lines({name: [(1, 1.0), (2, 2.0)] for name in names}, "x", "y")
    assert made is not None
    looks = {(one["line"]["color"], one["marker"]["symbol"]) for one in made.data}
    assert len(looks) == len(names)


def test_names_of_points_stand_towards_the_middle() -> None:
    made = figures.points(
        {"g": [(0.0, 1.0, "left"), (5.0, 2.0, "middle"), (10.0, 3.0, "right")]}, "x", "y"
    )
    assert made is not None
    assert made.data[0]["textposition"] == ["top right", "top center", "top left"]


def test_what_stands_at_points_may_be_shorter_than_their_names() -> None:
    groups = {"gap": [(0.0, 1.0, "a long name")], "rest": [(1.0, 2.0, "b")]}
    made = figures.points(groups, "x", "y", labels={"a long name": "1"})
    assert made is not None
    assert [one["mode"] for one in made.data] == ["markers+text", "markers"]
    assert [one["text"] for one in made.data] == [["1"], [""]]
    assert [one["hovertext"] for one in made.data] == [["a long name"], ["b"]]


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        ([], []),
        ([(0, 4)], [("0", 4)]),
        ([(3, 2), (0, 1)], [("0", 1), ("1", 0), ("2", 0), ("3–5", 2)]),
        (
            [(162, 1), (51, 2), (50, 3), (6, 4), (1, 5)],
            [
                *(("0", 0), ("1", 5), ("2", 0), ("3–5", 0), ("6–10", 4)),
                *(("11–20", 0), ("21–50", 3), ("51–100", 2), ("101–200", 1)),
            ],
        ),
    ],
)
def test_how_often_chunks_are_found_is_told_by_classes_that_grow(
    counts: list[tuple[int, int]], classes: list[tuple[str, int]]
) -> None:
    assert in_classes(counts) == classes
