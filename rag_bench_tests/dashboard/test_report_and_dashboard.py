"""The report's page and the dashboard show the same figures: read from the HTML of both."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from dashboard_pages import Shown, shown
from report_content import NOW, SETTINGS
from small_world import World

from rag_bench.reporting import report
from rag_bench.reporting.beside_board import beside_board
from rag_bench.reporting.leaderboard import build
from rag_bench.settings import Settings

pytestmark = pytest.mark.timeout(600)
#: A report shows three decimals; the dashboard's cells hold the value as it is stored.
SHOWN = 0.5001e-3


class _Tables(HTMLParser):
    """Tables that have an id, as rows of texts; the first row are the headings."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._name = str(dict(attrs).get("id") or "")
            self.found[self._name] = []
        elif tag == "tr":
            self.found[self._name].append([])
        elif tag in ("td", "th"):
            self.found[self._name][-1].append("")

    def handle_data(self, data: str) -> None:
        if self._name in self.found and self.found[self._name] and self.found[self._name][-1]:
            self.found[self._name][-1][-1] += data


@pytest.fixture(scope="module")
def written(populated: World) -> dict[str, list[list[str]]]:
    """The tables of a report that was made of the store as the asset makes it."""
    board = build(populated.engine)
    made = report.content(board, SETTINGS, "encoder", NOW)
    made |= beside_board(populated.engine, Settings(), board)
    reader = _Tables()
    reader.feed(report.render("report.html.j2", made, board))
    return {name: rows[1:] for name, rows in reader.found.items() if name}


def page(world: World, tab: str) -> Shown:
    return shown(world.engine, f"?tab={tab}")


def first_number(said: str) -> float | None:
    """Return the number that a cell begins with; None for a dash or an empty cell."""
    found = re.match(r"\s*(-?[\d,\u202f]+(?:\.\d+)?)", said)
    return float(re.sub("[,\u202f]", "", found[1])) if found else None


def equal(said: str, stored: str) -> None:
    mine = first_number(said)
    if mine is None:
        assert stored in ("", "–"), (said, stored)
        return
    assert mine == pytest.approx(float(stored), abs=SHOWN), (said, stored)


def cells(rows: list[dict[str, str]]) -> list[list[str]]:
    return [list(row.values()) for row in rows]


def test_models_stand_in_one_order_with_one_score_by_each_judge(
    populated: World, written: dict[str, Any]
) -> None:
    theirs = cells(page(populated, "models").tables["models"])
    mine = written["by-judge"]
    assert [row[0] for row in mine] == [row[1] for row in theirs]
    n_judges = len(mine[0]) - 1
    assert n_judges > 1
    for row, other in zip(mine, theirs, strict=True):
        for said, stored in zip(row[1:], other[2 : 2 + n_judges], strict=True):
            equal(said, stored)
    assert [row[1].split()[0] for row in written["leaderboard"]] == [row[1] for row in theirs]


def test_judges_agree_alike(populated: World, written: dict[str, Any]) -> None:
    theirs = cells(page(populated, "judges").tables["agreement"])
    assert len(written["agreement"]) == len(theirs) > 0
    for row, other in zip(written["agreement"], theirs, strict=True):
        assert row[:2] == other[:2]
        for said, stored in zip(row[2:], other[2:], strict=True):
            equal(said, stored)


def test_production_judges_are_measured_alike(populated: World, written: dict[str, Any]) -> None:
    theirs = cells(page(populated, "gates").tables["gates"])
    assert len(written["gates"]) == len(theirs) > 0
    for row, other in zip(written["gates"], theirs, strict=True):
        assert row[1].split()[0] == other[1]
        for said, stored in zip(row[2:6], other[2:6], strict=True):
            equal(said, stored)


@pytest.mark.parametrize(
    ("mine", "tab", "theirs"),
    [
        ("users-utilization", "utilization", "utilization"),
        ("users-topics", "topics", "topic-metrics"),
        ("users-domain", "domain", "domain-metrics"),
    ],
)
def test_what_users_ask_is_measured_alike(
    populated: World, written: dict[str, Any], mine: str, tab: str, theirs: str
) -> None:
    stored = {row[0]: row[1] for row in cells(page(populated, tab).tables[theirs])}
    assert {row[0] for row in written[mine]} == set(stored)
    for name, said, *_ in written[mine]:
        equal(said, stored[name])


def test_what_became_of_topics_is_told_alike(populated: World, written: dict[str, Any]) -> None:
    theirs = page(populated, "topics").tables["topic-changes"]
    mine = [row for row in written["topic-changes"] if len(row) > 1]
    assert sorted((row[1], int(row[2])) for row in mine) == sorted(
        (row["topic"], int(row["questions"])) for row in theirs
    )


def test_who_rates_is_told_alike(populated: World, written: dict[str, Any]) -> None:
    tables = page(populated, "domain").tables
    theirs = {row[0]: row for row in cells(tables["rated-against-others"])}
    assert len(written["rated-against-others"]) == len(theirs) > 2
    for name, rated, _, _, others, _, _, difference, _ in written["rated-against-others"]:
        for said, stored in zip((rated, others, difference), theirs[name][1:4], strict=True):
            equal(said, stored)
    groups = cells(tables["rated-by-group"])
    assert len(written["rated-by-group"]) == len(groups) > 0
    for row, other in zip(written["rated-by-group"], groups, strict=True):
        assert row[:2] == other[:2]
        for said, stored in zip(row[2:5], other[2:5], strict=True):
            equal(said, stored)
