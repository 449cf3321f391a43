"""What a person reads about a materialization."""

from __future__ import annotations

from typing import Any

import pytest

from rag_bench.assets.factories.describe import (
    bars,
    drawn,
    followed,
    heatmap,
    metrics_table,
    span,
    table,
    words_table,
)


def metric(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {
        "value": value, "ci_low": low, "ci_high": high, "scale": [0, 1], "n_scored": 3,
        "n_expected": 4, "low_if_missing": 0.1, "high_if_missing": 0.9,
    }  # fmt: skip


def test_a_table_keeps_its_rows_in_order_and_cuts_what_is_long() -> None:
    found = table(
        ["page", "n", "share"], [["a|b\nc", 2, 0.5], [None, 10, None], ["x" * 500, 1, 1.0]]
    )
    rows = [record.data for record in found.records]
    assert rows[0] == {"page": "a|b c", "n": 2, "share": "0.500"}
    assert rows[1] == {"page": "", "n": 10, "share": ""}
    assert len(str(rows[2]["page"])) == 160
    assert {column.name: column.type for column in found.schema.columns} == {
        "page": "string", "n": "int", "share": "string",
    }  # fmt: skip


def test_users_words_are_masked_before_they_are_cut() -> None:
    text = "Я Кузнецова Мария, " + "х" * 130 + " тел. +7 912 345-67-89"
    [row] = words_table(["question", "n"], [[text, 2]]).records
    assert row.data["n"] == 2
    assert "Кузнецова" not in str(row.data["question"])
    assert "+7" not in str(row.data["question"]), "nor the part of a number that has room"


def test_a_table_without_rows_still_names_its_columns() -> None:
    assert [column.name for column in table(["a", "b"], []).schema.columns] == ["a", "b"]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (metric(0.0), "●" + "·" * 24),
        (metric(1.0), "·" * 24 + "●"),
        (metric(0.5, 0.25, 0.75), "·" * 6 + "├─────●─────┤" + "·" * 6),
        (metric(1.0, 0.875, 1.0), "·" * 21 + "├──●"),
        (metric(None), ""),
        (None, ""),
    ],
)
def test_a_metric_is_drawn_on_its_scale(found: Any, line: str) -> None:
    assert drawn(found) == line


def test_a_metric_without_a_scale_is_not_drawn() -> None:
    assert drawn({**metric(3.0), "scale": None}) == ""
    assert drawn({**metric(3.0), "scale": None}, (1, 5)) == "·" * 12 + "●" + "·" * 12


def test_few_pages_are_said_beside_the_interval() -> None:
    few = {**metric(0.5, 0.25, 0.75), "n_clusters": 4}
    assert span(few).split() == ["0.250", "…", "0.750", "(<10", "pages:", "4)"]
    assert span({**few, "ci_low": None, "ci_high": None, "n_clusters": 1}) == "– (<10 pages: 1)"
    assert span({**few, "n_clusters": 10}).split() == ["0.250", "…", "0.750"]
    assert span(metric(0.5)) == span(None) == "–"


def test_bounds_are_shown_only_where_something_is_missing() -> None:
    whole = {**metric(0.5), "n_scored": 4}
    assert "if missing were worst/best" in names(metrics_table({"a": metric(0.5), "b": whole}))
    assert "if missing were worst/best" not in names(metrics_table({"b": whole}))


def names(found: Any) -> list[str]:
    return [column.name for column in found.schema.columns]


def test_counts_have_no_decimals_and_ids_are_no_numbers() -> None:
    plotted = bars("", ["2026-01", "2026-02"], [487.0, 0.0], [(None, None)] * 2, "questions")
    assert [text.get_text() for text in plotted.axes[0].texts] == ["487", "0"]
    scores = bars("", ["a"], [4.0], [(3.5, 4.5)], "rubric", (1, 5))
    assert [text.get_text() for text in scores.axes[0].texts] == ["4.00"]
    assert (followed("n_users", {"value": 487.0}), type(followed("n_users", {"value": 487.0}))) == (
        487,
        int,
    )
    assert type(followed("rubric_e2e_quality", {"value": 4.0, "scale": [1, 5]})) is float
    assert followed("avg_turns", {"value": 1.25}) == 1.25


def test_the_heatmap_keeps_what_is_missing_apart() -> None:
    figure = heatmap("by judge", ["a", "b"], ["x", "y"], [[4.0, None], [3.0, None]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["4.00", "–", "3.00", "–"]
    shades = figure.axes[0].images[0].get_array()
    assert (shades[0, 0], shades[1, 0]) == (1.0, 0.0)
    assert not heatmap("", ["a"], [], [[]]).axes[0].images
