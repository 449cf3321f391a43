"""The bench's trial of itself as tables: promises and what was found, and which drops are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.self_test.simulation import POWER, PROMISE, TIER
from rag_bench.store import evaluations

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]

_PROMISES = ("what is promised", "in which world", "promised", "found", "± chance", "verdict")
_POWER = ("pages", "questions a page", "correlation", "discordant", "power", "± chance")


@dataclass(frozen=True)
class SelfTest:
    """What a self-test found: promises and power, a row each, as they were stored."""

    evaluation: StoredEvaluation
    promises: Sequence[Mapping[str, Any]]
    power: Sequence[Mapping[str, Any]]

    @property
    def broken(self) -> list[Mapping[str, Any]]:
        """Promises that do not hold and are not marked."""
        return [one for one in self.promises if not one["kept"]]

    @property
    def n_kept(self) -> int:
        """How many are kept."""
        return len(self.promises) - len(self.broken)


def newest_self_test(engine: Engine) -> SelfTest | None:
    """Return the newest one; None if there was none."""
    for address, _ in evaluations.settings_seen(engine, tier=TIER, kind="metrics"):
        found = evaluations.latest(engine, tier=TIER, kind="metrics", settings_hash=address)
        if found is not None:
            return read_self_test(engine, found)
    return None


def read_self_test(engine: Engine, found: StoredEvaluation) -> SelfTest:
    """Return a stored self-test with its rows."""
    cases = evaluations.cases_of(engine, found.id)

    def of(kind: str) -> list[Mapping[str, Any]]:
        rows = [case.scores for case in cases if case.case_id.startswith(f"{kind}: ")]
        return sorted(rows, key=lambda row: row["line"])

    return SelfTest(found, of(PROMISE), of(POWER))


def as_json(tried: SelfTest | None) -> dict[str, Any]:
    """Return what the report's file holds of it: ``self_test``, or nothing before the first."""
    if tried is None:
        return {}
    said = f"{tried.n_kept} of {len(tried.promises)} promises of the statistics are kept"
    tables = {"promises": promises_table(tried), "power": power_table(tried)}
    shown = {name: [list(columns), *map(list, rows)] for name, (columns, rows) in tables.items()}
    return {"self_test": {"kept": said, "evaluation_id": tried.evaluation.id, **shown}}


def promises_table(tried: SelfTest) -> Table:
    """Return columns and rows of what was promised and found."""
    return _PROMISES, [
        (
            one["what"],
            one["world"],
            _share(one["promised"]),
            _share(one["found"]),
            _share(one["error"]),
            one["verdict"] + (f" ({one['outside']})" if one["verdict"] == "marked" else ""),
        )
        for one in tried.promises
    ]


def power_table(tried: SelfTest) -> Table:
    """Return columns and rows of how often a true drop of 5 points is seen."""
    names = ("pages", "questions", "correlation", "discordant", "power", "error")
    return _POWER, [
        tuple(_share(one[n]) if isinstance(one[n], float) else one[n] for n in names)
        for one in tried.power
    ]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")
