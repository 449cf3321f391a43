"""Hooks that were received: each is acted upon once, however often it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_bench.store.eval_runs.tables import hook

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: ``waiting``: runs are still to be started; ``started``: all were; ``nothing``: there was no work.
Outcome = Literal["waiting", "started", "nothing"]


@dataclass(frozen=True)
class Received:
    """A hook that waits for its runs."""

    id: str
    route: str
    payload: Mapping[str, Any]
    trace_id: str | None


def receive(
    connection: Connection,
    route: str,
    message_id: str,
    payload: Mapping[str, Any],
    trace_id: str,
) -> bool:
    """Remember a hook; False: it had come before, and nothing follows from it.

    Args:
        connection: in whose transaction.
        route: its address, as ids are the senders' own.
        message_id: what the sender calls it.
        payload: what it says.
        trace_id: of the request.
    """
    values = {
        "id": f"{route} {message_id}",
        "route": route,
        "payload": dict(payload),
        "trace_id": trace_id,
        "outcome": "waiting",
    }
    query = insert(hook).values(**values).on_conflict_do_nothing().returning(hook.c.id)
    return connection.execute(query).first() is not None


def waiting(engine: Engine, limit: int = 50) -> Sequence[Received]:
    """Return the hooks from which something may follow still, oldest first."""
    query = (
        select(hook.c.id, hook.c.route, hook.c.payload, hook.c.trace_id)
        .where(hook.c.outcome == "waiting")
        .order_by(hook.c.received_at, hook.c.id)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [Received(*row) for row in connection.execute(query)]


_PRUNE = text("""
    delete from rag_bench.hook
    where outcome <> 'waiting' and received_at < clock_timestamp() - make_interval(days => :days)
""")


def prune(connection: Connection, days: int) -> int:
    """Forget hooks from which everything has followed, after so many days; return how many.

    One that is sent again then is refused by its time, as its signature is good for minutes.
    """
    return connection.execute(_PRUNE, {"days": days}).rowcount


def settle(engine: Engine, hook_id: str, outcome: Outcome, dagster_run_id: str | None) -> None:
    """Note what followed from a hook; the run is the last of its runs."""
    with engine.begin() as connection:
        connection.execute(
            update(hook)
            .where(hook.c.id == hook_id)
            .values(outcome=outcome, dagster_run_id=dagster_run_id)
        )
