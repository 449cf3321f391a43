"""The audit: who did what, when, from where, and how it ended. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, select

from rag_bench.store.access.tables import audit

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Outcome = Literal["ok", "refused", "failed"]


@dataclass(frozen=True)
class Action:
    """One thing that was done or refused. ``user_id`` is None where nobody was known."""

    action: str
    outcome: Outcome
    trace_id: str
    user_id: str | None = None
    key_id: str | None = None
    code: str | None = None
    status: int | None = None
    run_id: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class Recorded(Action):
    """An action as it is stored."""

    id: int = 0
    at: datetime | None = None


def record(connection: Connection, action: Action) -> None:
    """Append one action, in the caller's transaction."""
    connection.execute(insert(audit).values(**asdict(action)))


def actions(
    engine: Engine,
    *,
    user_id: str | None = None,
    run_id: str | None = None,
    trace_id: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> Sequence[Recorded]:
    """Return the newest actions that fit, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    wanted: dict[str, Any] = {
        "user_id": user_id,
        "run_id": run_id,
        "trace_id": trace_id,
        "outcome": outcome,
    }
    for name, value in wanted.items():
        if value is not None:
            query = query.where(audit.c[name] == value)
    if since is not None:
        query = query.where(audit.c.at >= since)
    with engine.connect() as connection:
        return [Recorded(**row) for row in connection.execute(query).mappings()]
