"""Callbacks: what is to be told to whom, each attempt, and what is due.

A row is written in the transaction that finishes a run, so none is forgotten and none tells of
what did not happen. Deliverers claim what is due, each row by one of them: a claim moves the row's
time on, so that a row whose deliverer died comes up again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert, select, text

from rag_bench.store.eval_runs.callback_payload import payload_of
from rag_bench.store.eval_runs.tables import callback, callback_attempt, eval_run

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Status = Literal["waiting", "delivered", "ended", "failed"]
STATUSES: tuple[Status, ...] = ("waiting", "delivered", "ended", "failed")
#: Rows that one look forgets at most.
MOST_PRUNED = 1000
#: Seconds that a claim stands: more than an attempt can take.
CLAIM_SECONDS = 60
#: One host's name and port, as a URL has them.
_HOST = "split_part(url, '/', 3)"


@dataclass(frozen=True)
class Claimed:
    """A callback that is this process's to deliver.

    Attributes:
        number: of this attempt, from 1.
        round_number: of this attempt since the callback was made or replayed, from 1.
    """

    id: str
    run_id: str | None
    trace_id: str | None
    url: str
    payload: Mapping[str, Any]
    number: int
    round_number: int


@dataclass(frozen=True)
class Attempt:
    """One attempt. ``error`` is in our words; None: it was taken."""

    at: datetime
    http_status: int | None
    error: str | None
    latency_ms: int


def enqueue(connection: Connection, run_id: str) -> str | None:
    """Note that a finished run is to be told, in the caller's transaction.

    Call it after the run's last values were written. Returns the callback's id; None: the run
    names no address.
    """
    row = connection.execute(select(eval_run).where(eval_run.c.id == run_id)).mappings().one()
    if not row["callback_url"]:
        return None
    made = f"cb_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"  # sorts by time
    payload = payload_of(dict(row))
    connection.execute(
        insert(callback).values(
            id=made,
            run_id=run_id,
            url=row["callback_url"],
            kind=payload["type"],
            payload=payload,
            status="waiting",
            due_at=text("now()"),
        )
    )
    return made


def host_of(url: str) -> str:
    """Return the host and port of an address, as the queries here see them."""
    parts = url.split("/", 3)
    return parts[2] if len(parts) > 2 else ""


_CLAIM = text(f"""
    update rag_bench.callback c
    set attempts = attempts + 1, round_attempts = round_attempts + 1,
        due_at = coalesce(cast(:now as timestamptz), clock_timestamp())
                 + make_interval(secs => {CLAIM_SECONDS})
    where id = (
        select id from rag_bench.callback
        where status = 'waiting'
          and due_at <= coalesce(cast(:now as timestamptz), clock_timestamp())
          and {_HOST} <> all(cast(:busy as text[]))
        order by due_at, id limit 1 for update skip locked)
    returning id, run_id, url, payload, attempts, round_attempts,
        (select trace_id from rag_bench.eval_run r where r.id = c.run_id) as trace_id
""")


def claim(
    engine: Engine, *, busy: Collection[str] = (), now: datetime | None = None
) -> Claimed | None:
    """Return a callback that is due and is now this process's for a minute; None: none is.

    Args:
        engine: of the database.
        busy: hosts, as they stand in addresses, that are not to be asked now.
        now: None: the database's time.
    """
    with engine.begin() as connection:
        row = connection.execute(_CLAIM, {"now": now, "busy": list(busy)}).one_or_none()
    if row is None:
        return None
    return Claimed(
        row.id, row.run_id, row.trace_id, row.url, row.payload, row.attempts, row.round_attempts
    )


_RECORD = text("""
    update rag_bench.callback
    set status = :status,
        due_at = coalesce(cast(:now as timestamptz), clock_timestamp())
                 + make_interval(secs => :wait)
    where id = :id and attempts = :number and status = 'waiting'
""")
_HOLD_OFF = text(f"""
    update rag_bench.callback
    set due_at = greatest(due_at, coalesce(cast(:now as timestamptz), clock_timestamp())
                                  + make_interval(secs => :wait))
    where status = 'waiting' and id <> :id and {_HOST} = :host
""")


def record(
    engine: Engine,
    claimed: Claimed,
    attempt: Attempt,
    status: Status,
    *,
    wait: float | None = None,
    hold_off: float | None = None,
    now: datetime | None = None,
) -> None:
    """Write what came of an attempt.

    A callback that another process has claimed since keeps its state; the attempt is logged all
    the same.

    Args:
        engine: of the database.
        claimed: what `claim` gave.
        attempt: what came of it.
        status: of the callback from now on.
        wait: seconds until the next attempt, if there is to be one.
        hold_off: seconds for which nothing else is to be sent to the host.
        now: None: the database's time.
    """
    with engine.begin() as connection:
        connection.execute(
            insert(callback_attempt).values(
                callback_id=claimed.id,
                number=claimed.number,
                at=attempt.at,
                http_status=attempt.http_status,
                error=attempt.error,
                latency_ms=attempt.latency_ms,
            )
        )
        said = {"id": claimed.id, "number": claimed.number, "status": status, "wait": wait}
        connection.execute(_RECORD, {**said, "now": now})
        if hold_off is not None:
            host = host_of(claimed.url)
            held = {"id": claimed.id, "host": host, "wait": hold_off, "now": now}
            connection.execute(_HOLD_OFF, held)


# One that is tried within a minute may be on its way just now, and is not sent twice at once.
_REPLAY = text(f"""
    update rag_bench.callback
    set due_at = case
            when status = 'waiting'
                and due_at <= clock_timestamp() + make_interval(secs => {CLAIM_SECONDS})
            then due_at else clock_timestamp() end,
        status = 'waiting', round_attempts = 0
    where id = :id
""")


def replay(connection: Connection, callback_id: str) -> bool:
    """Make a callback due now, with the whole schedule before it; False: there is none.

    It keeps its id, by which a receiver knows that it had it before.
    """
    return bool(connection.execute(_REPLAY, {"id": callback_id}).rowcount)


# Ids begin with the milliseconds of their making, so the index of the key finds old ones.
_PRUNE = text(f"""
    delete from rag_bench.callback where id in (
        select c.id from rag_bench.callback c
        where c.status <> 'waiting' and c.id < 'cb_' || lpad(to_hex((
                extract(epoch from clock_timestamp() - make_interval(days => :days)) * 1000
            )::bigint), 12, '0')
          and not exists (
            select from rag_bench.callback_attempt a where a.callback_id = c.id
              and a.at > clock_timestamp() - make_interval(days => :days))
        order by c.id limit {MOST_PRUNED} for update skip locked)
""")


def prune(connection: Connection, days: int) -> int:
    """Forget callbacks that were made, and tried last, more than ``days`` days ago, with the log
    of their attempts; return how many, `MOST_PRUNED` at most. Those that wait still are kept,
    and so are all runs.
    """
    return connection.execute(_PRUNE, {"days": days}).rowcount


def listed(
    engine: Engine,
    *,
    run_id: str | None = None,
    status: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Mapping[str, Any]]:
    """Return callbacks, newest first, each with its attempts, oldest first.

    Args:
        engine: of the database.
        run_id: of this run only.
        status: in this state only.
        before: only those before this id.
        limit: at most so many.
    """
    query = select(callback).order_by(callback.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(callback.c.run_id == run_id)
    if status is not None:
        query = query.where(callback.c.status == status)
    if before is not None:
        query = query.where(callback.c.id < before)
    with engine.connect() as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
        ids = [row["id"] for row in found]
        attempts = connection.execute(
            select(callback_attempt)
            .where(callback_attempt.c.callback_id.in_(ids))
            .order_by(callback_attempt.c.callback_id, callback_attempt.c.number)
        ).mappings()
        by_id: dict[str, list[dict[str, Any]]] = {one: [] for one in ids}
        for row in attempts:
            by_id[row["callback_id"]].append(
                {name: value for name, value in row.items() if name != "callback_id"}
            )
    return [{**row, "log": by_id[row["id"]]} for row in found]
