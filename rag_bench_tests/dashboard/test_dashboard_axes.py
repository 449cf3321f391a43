"""Plots of one value, equal values and none: no axis invents a range, no empty one is drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.axes import span_of


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
