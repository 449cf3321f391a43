"""Planted faults as a table: what was planted, at which size, what found it, and what showed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.reporting.self_test.statistics import Table
from rag_bench.store import evaluations

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation

#: Of the evaluation that a trial is stored as.
TIER = "self_test_planted_faults"
NOT_FOUND, NO_ALARM, FALSE_ALARM = "not found", "nothing, rightly", "false alarm"
COLUMNS = ("name", "planted", "size", "found by", "what showed it")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class PlantedFaults:
    """A trial: its rows in their order, as they were stored."""

    evaluation: StoredEvaluation
    rows: Sequence[Row]

    @property
    def planted(self) -> list[Row]:
        """Rows of faults; the others are controls."""
        return [row for row in self.rows if not row["control"]]

    @property
    def not_found(self) -> list[Row]:
        """Faults that no check found."""
        return [row for row in self.planted if not row["found"]]

    @property
    def false_alarms(self) -> list[Row]:
        """Controls that some check cried at."""
        return [row for row in self.rows if row["control"] and row["found"]]

    @property
    def in_words(self) -> str:
        """How many were found, in a sentence."""
        n, lost, alarms = len(self.planted), len(self.not_found), len(self.false_alarms)
        controls = len(self.rows) - n
        return (
            f"{n - lost} of {n} planted faults were found; {alarms} of {controls} controls, where "
            "nothing was planted, raised a false alarm"
        )


def newest_planted(engine: Engine) -> PlantedFaults | None:
    """Return the newest trial; None if there was none."""
    for address, _ in evaluations.settings_seen(engine, tier=TIER, kind="metrics"):
        found = evaluations.latest(engine, tier=TIER, kind="metrics", settings_hash=address)
        if found is not None:
            return read_planted(engine, found)
    return None


def read_planted(engine: Engine, found: StoredEvaluation) -> PlantedFaults:
    """Return a stored trial with its rows."""
    rows = [case.scores for case in evaluations.cases_of(engine, found.id)]
    return PlantedFaults(found, sorted(rows, key=lambda row: row["line"]))


def name_of(row: Row) -> str:
    """Return what was planted, and how large, in words."""
    return f"{row['words']}, {row['size']}"


def planted_table(tried: PlantedFaults) -> Table:
    """Return columns and rows."""
    return COLUMNS, [
        (row["fault"], row["words"], row["size"], _found_by(row), _shown(row)) for row in tried.rows
    ]


def as_json(tried: PlantedFaults | None) -> dict[str, Any]:
    """Return what the report's file holds of it: ``planted_faults``; before the first nothing."""
    if tried is None:
        return {}
    columns, rows = planted_table(tried)
    return {
        "planted_faults": {
            "found": tried.in_words,
            "evaluation_id": tried.evaluation.id,
            "table": [list(columns), *map(list, rows)],
            "rows": list(tried.rows),
        }
    }


def _found_by(row: Row) -> str:
    checks = list(dict.fromkeys(one["check"] for one in row["found"]))
    if row["control"]:
        return f"{FALSE_ALARM}: {'; '.join(checks)}" if checks else NO_ALARM
    return "; ".join(checks) or NOT_FOUND


def _shown(row: Row) -> str:
    """Return the figure that showed it: of a comparison if one did, else what the first said."""
    figures = [one["figure"] for one in row["found"] if one["figure"]]
    if figures:
        return in_figures(figures[0])
    if row["found"]:
        return _short(row["found"][0]["said"])
    return f"no alarm; told: {', '.join(row['told'])}" if row["told"] else ""


def in_figures(figure: Mapping[str, Any]) -> str:
    """Return a comparison's metric with its difference, interval and number of cases."""
    low, high = figure["ci_low"], figure["ci_high"]
    between = "" if low is None or high is None else f" [{_number(low)}, {_number(high)}]"
    return (
        f"{figure['metric']} {_number(figure['a'])} to {_number(figure['b'])}: "
        f"{_number(figure['difference'], sign=True)}{between}, n {figure['n']}"
    )


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "?"
    return f"{value:+.3f}" if sign else f"{value:.3f}"


_MOST = 160


def _short(said: str) -> str:
    first = " ".join(said.split())
    return first if len(first) <= _MOST else first[: _MOST - 1] + "…"
