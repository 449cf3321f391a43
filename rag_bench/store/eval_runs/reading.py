"""Runs as they are read: one, pages of many, their cases and events; rows by their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select, text

from rag_bench.store.eval_runs.tables import eval_event, eval_run, eval_run_case

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, CursorResult

#: States of a run that is not at its end; `complete` brings one back from the others.
OPEN = ("queued", "running")
ENDED = ("succeeded", "partial", "failed", "cancelled")
STATUSES = (*OPEN, *ENDED)

#: Metrics that stand at the case itself; all others are in its ``metrics``.
AT_THE_CASE = ("faithfulness", "answer_relevancy", "context_precision", "context_recall")

# A comparison names cases, so it may be long; of a page of runs nobody reads it.
_LISTED = [column for column in eval_run.c if column.name != "comparison"]
_CASE = [column for column in eval_run_case.c if column.name != "run_id"]

_NEWS = text("""
    select e.id, e.run_id, e.kind, e.data, e.at
    from unnest(cast(:ids as text[]), cast(:afters as bigint[])) as w(run_id, after)
    join rag_bench.eval_event e on e.run_id = w.run_id and e.id > w.after
    order by e.id limit :limit
""")

_SECONDS = text("""
    select avg(seconds) from (
        select extract(epoch from finished_at - started_at)::float8 / n_cases as seconds
        from rag_bench.eval_run
        where config @> cast(:config as jsonb) and n_cases >= 5 and n_calls = 0
            and status in ('succeeded', 'partial') and attempt <= 1
            and finished_at > clock_timestamp() - interval '30 days'
        order by id desc limit 5) as lately
""")


@dataclass(frozen=True)
class RunFilter:
    """Which runs; None and nothing: all.

    Attributes:
        model: key of a generation or judge model.
        since: not before this.
        until: before this.
        flag: that the run has: one of its cases does, or, of a regression, all of them together.
        labels: names and values that the run has all of.
    """

    status: str | None = None
    user_id: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    flag: str | None = None
    labels: tuple[tuple[str, str], ...] = ()

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row must be."""
        run = eval_run.c
        found: list[ColumnElement[bool]] = []
        if self.status is not None:
            found.append(run.status == self.status)
        if self.user_id is not None:
            found.append(run.user_id == self.user_id)
        if self.model is not None:
            names = ("generation_model", "judge_model")
            found.append(or_(*(run.config[name].astext == self.model for name in names)))
        if self.since is not None:
            found.append(run.created_at >= self.since)
        if self.until is not None:
            found.append(run.created_at < self.until)
        if self.flag is not None:
            found.append(run.flags.contains([self.flag]))
        # One by one: of a name that is given twice both values must be there, so there is none.
        found += [run.labels.contains({name: value}) for name, value in self.labels]
        return found


@dataclass(frozen=True)
class CaseFilter:
    """Which cases of a run.

    Attributes:
        below: a metric and the value that it is less than.
        noted: those with an error or a flag.
    """

    errored: bool | None = None
    flagged: bool | None = None
    below: tuple[str, float] | None = None
    noted: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row must be."""
        row = eval_run_case.c
        found: list[ColumnElement[bool]] = []
        if self.errored is not None:
            found.append(row.errored == self.errored)
        if self.flagged is not None:
            found.append(row.flagged == self.flagged)
        if self.noted:
            found.append(or_(row.errored, row.flagged))
        if self.below is not None:
            name, most = self.below
            value = row.result[name] if name in AT_THE_CASE else row.result["metrics"][name]
            number = case((func.jsonb_typeof(value) == "number", value.as_float()), else_=None)
            found.append(number < most)
        return found


def get(connection: Connection, run_id: str) -> Mapping[str, Any] | None:
    """Return a run's row; None: there is none of this id."""
    query = select(eval_run).where(eval_run.c.id == run_id)
    row = connection.execute(query).one_or_none()
    return row._asdict() if row else None


def runs(
    connection: Connection, wanted: RunFilter, *, before: str | None, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Return runs, newest first, from behind the id ``before``.

    Ids sort by time, so runs that begin meanwhile move no page.
    """
    query = select(*_LISTED).where(*wanted.conditions()).order_by(eval_run.c.id.desc())
    if before is not None:
        query = query.where(eval_run.c.id < before)
    return _rows(connection.execute(query.limit(limit)))


def cases(
    connection: Connection, run_id: str, wanted: CaseFilter, *, after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Return cases of a run in their order, from behind the position ``after``."""
    row = eval_run_case.c
    query = (
        select(*_CASE)
        .where(row.run_id == run_id, row.position > after, *wanted.conditions())
        .order_by(row.position)
        .limit(limit)
    )
    return _rows(connection.execute(query))


def events(
    connection: Connection, run_id: str, *, after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Return events of a run in their order, from behind the id ``after``."""
    event = eval_event.c
    query = (
        select(eval_event).where(event.run_id == run_id, event.id > after).order_by(event.id)
    ).limit(limit)
    return _rows(connection.execute(query))


def news(
    connection: Connection, afters: Mapping[str, int], *, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Return events of many runs at once, of each from behind its id, in their order."""
    given = {"ids": list(afters), "afters": list(afters.values()), "limit": limit}
    return _rows(connection.execute(_NEWS, given))


def ended(connection: Connection, run_ids: Iterable[str]) -> set[str]:
    """Return which of these runs are at their end; one that is gone is, too."""
    ids = list(run_ids)
    query = select(eval_run.c.id).where(eval_run.c.id.in_(ids), eval_run.c.status.in_(OPEN))
    return set(ids) - set(connection.execute(query).scalars())


def own_seconds_per_case(connection: Connection, config: Mapping[str, Any]) -> float | None:
    """Return the seconds that a case took beside its calls: in the last runs of the same models and
    measures that had to send none; None: there was none.
    """
    same = ("generation_model", "judge_model", "eval_types", "metrics")
    given = {name: config[name] for name in same}
    found = connection.execute(_SECONDS, {"config": json.dumps(given)}).scalar()
    return None if found is None else float(found)


def _rows(result: CursorResult[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in result]
