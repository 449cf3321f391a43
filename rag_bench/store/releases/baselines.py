"""Baselines: what is held to be good, pinned by somebody for a reason; a history, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from rag_bench.store.releases.tables import baseline
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@dataclass(frozen=True)
class Baseline:
    """One row of the history.

    Attributes:
        side: ``settings:…``, ``model:…@…`` or ``evaluation:…``; None: unpinned.
        newest_evaluation: what was measured later, under whatever settings, is no part of it.
        who: None where nobody said.
    """

    id: int
    side: str | None
    newest_evaluation: int
    who: str | None
    why: str
    created_at: datetime


def current_baseline(engine: Engine) -> Baseline | None:
    """Return what is pinned now; None: nothing is."""
    with engine.connect() as connection:
        return current_in(connection)


def current_in(connection: Connection) -> Baseline | None:
    """As `current_baseline`, within a transaction."""
    query = select(baseline).order_by(baseline.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None or row["side"] is None else Baseline(**row)


def history(engine: Engine, *, limit: int | None = None) -> list[Baseline]:
    """Return what was pinned and unpinned, the newest first."""
    query = select(baseline).order_by(baseline.c.id.desc()).limit(limit)
    with engine.connect() as connection:
        return [Baseline(**row) for row in connection.execute(query).mappings()]


def append(engine: Engine, side: str | None, *, who: str | None, why: str) -> Baseline:
    """Pin a side, or with None unpin; bounded by the newest evaluation that there is."""
    with engine.begin() as connection:
        return append_in(connection, side, who=who, why=why)


def append_in(connection: Connection, side: str | None, *, who: str | None, why: str) -> Baseline:
    """As `append`, within a transaction."""
    newest = select(func.coalesce(func.max(evaluation.c.id), 0)).scalar_subquery()
    made = (
        insert(baseline)
        .values(side=side, newest_evaluation=newest, who=who, why=why)
        .returning(baseline)
    )
    return Baseline(**connection.execute(made).mappings().one())
