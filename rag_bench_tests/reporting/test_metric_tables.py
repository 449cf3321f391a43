"""The tables of docs/metrics.md are those that the metrics' entries give."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_bench.evaluation.catalogue import CATALOGUE, families
from rag_bench.evaluation.metric_spec import UNIT, Need, Shown, Target, entries
from rag_bench.reporting.metric_tables import (
    all_tables,
    families_on,
    filled,
    main,
    table_of,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "metrics.md", DOCS / "analytics.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_has_the_tables_that_the_entries_give(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert filled(page) == page, (
        f"write the tables anew: python -m rag_bench.reporting.metric_tables docs/{path.name}"
    )


def test_every_family_has_its_table_once() -> None:
    found = [name for path in PAGES for name in families_on(path.read_text(encoding="utf-8"))]
    assert sorted(found) == families()


def test_every_entry_says_what_it_is_and_stands_in_a_table() -> None:
    tables = all_tables()
    for name, metric in CATALOGUE.items():
        assert metric.formula, name
        assert metric.formula in tables
    assert tables.count("`rouge1_f` ↑, `rouge2_f` ↑ |") == 1


def test_a_table_of_hand_made_entries() -> None:
    metrics = (
        *entries(["a@1", "a@5", "b@1", "b@5"], ["2"], "rate", UNIT, True, "yes or no"),
        *entries(
            ["c"],
            ["2"],
            "mean",
            None,
            False,
            "length",
            needs=[Need.in_scope, Need.reference],
            shown={"c": Shown("2", "words", 5)},
            targets={"c": Target("2", 20.0, "brevity", 5)},
        ),
    )
    assert table_of(metrics).splitlines() == [
        "| name | what it is | kind | scale | needs | shown, target |",
        "| --- | --- | --- | --- | --- | --- |",
        "| `a@k` ↑, `b@k` ↑ (k = 1, 5) | yes or no | rate | 0 to 1 |  |  |",
        "| `c` ↓ | length | mean |  | a reference answer | column “words” (tier 2); at most 20 "
        "(tier 2, brevity) |",
    ]
    both = (*metrics, *entries(["d"], ["3"], "mean", None, None, "other"))
    assert table_of(both).splitlines()[0].startswith("| name | tier | what it is |")


def test_only_what_is_between_the_marks_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- metrics: cached_answers -->\n| old |\n<!-- end of metrics -->\nafter\n",
        encoding="utf-8",
    )
    main([str(page)])
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert "| old |" not in lines
    assert any(line.startswith("| `cached_answer_rate` |") for line in lines)
    with pytest.raises(KeyError, match="no_such"):
        filled("<!-- metrics: no_such -->\n<!-- end of metrics -->")
