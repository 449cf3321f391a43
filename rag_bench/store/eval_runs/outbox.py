"""What Dagster is still to be told of the service's runs: which to start, which to record.

A row is *sent* once Dagster has what it is told; until then it is told again, under the same key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from rag_bench.store.eval_runs import queueing

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Seconds after which another attempt of a run is made whose Dagster run ended without it; doubled
#: each time, so that what fails at once does not fill Dagster's list.
PAUSE, MOST_DOUBLINGS = 5, 6


@dataclass(frozen=True)
class Launch:
    """An attempt of a run that Dagster is to execute, or has been given."""

    run_id: str
    attempt: int
    subject: str
    user_id: str
    trace_id: str

    @property
    def key(self) -> str:
        """The run key, by which Dagster starts an attempt once."""
        return f"{self.run_id}/{self.attempt}"


@dataclass(frozen=True)
class Silent:
    """A run that was given to Dagster and that nobody works on.

    Attributes:
        status: ``queued`` if it was never begun, else ``running``, with a claim that is over.
        dagster_run_id: of who began it.
        seconds: since its claim was over, or since Dagster had it.
    """

    run_id: str
    attempt: int
    status: str
    dagster_run_id: str | None
    seconds: float

    @property
    def key(self) -> str:
        """The run key of the attempt."""
        return f"{self.run_id}/{self.attempt}"


_CURRENT = "join rag_bench.eval_outbox o on o.run_id = r.id and o.attempt = r.attempt"
# Given to Dagster and not ended: each takes one of the places, and counts for its subject.
_GIVEN = f"""
    select r.id, r.subject from rag_bench.eval_run r {_CURRENT}
    where r.place = 'dagster' and r.status in ('queued', 'running')
      and o.sent_at is not null
"""
_GIVEN_NOW = text(f"select count(*) from ({_GIVEN}) g")
_NEXT = text(f"""
    with given as ({_GIVEN}), busy as (
        select subject, count(*) as n from (
            select id, subject from given union
            select id, subject from rag_bench.eval_run
            where status = 'running' and expires_at > clock_timestamp()
        ) b group by subject
    ), waiting as (
        select r.*, row_number() over (partition by r.subject order by r.id) as nth
        from rag_bench.eval_run r {_CURRENT} and o.sent_at is null
        where r.place = 'dagster' and r.status = 'queued'
          and (r.expires_at is null or r.expires_at < clock_timestamp())
    )
    select w.id, w.attempt, w.subject, w.user_id, w.trace_id
    from waiting w left join busy b on b.subject = w.subject
    where coalesce(b.n, 0) + w.nth <= :at_once
    order by coalesce(b.n, 0) + w.nth, w.id limit :places
""")
_SENT = text("""
    update rag_bench.eval_outbox set sent_at = clock_timestamp()
    where run_id || '/' || attempt = any(:keys) and sent_at is null
""")
_SILENT = text(f"""
    select * from (
        select r.id, r.attempt, r.status, r.dagster_run_id,
               extract(epoch from clock_timestamp() - case r.status when 'queued' then o.sent_at
                       else r.expires_at end)::float8 as seconds
        from rag_bench.eval_run r {_CURRENT} and o.sent_at is not null
        where r.place = 'dagster' and r.status in ('queued', 'running')
    ) found
    where seconds > case status when 'queued' then :pause * 2 ^ least(attempt, :most) else 0 end
    order by id limit :limit
""")
_AGAIN = text("""
    update rag_bench.eval_run set status = 'queued', holder = null, expires_at = null,
        version = version + 1
    where id = :run_id and attempt = :attempt
      and (status = 'queued' or status = 'running' and expires_at < clock_timestamp())
    returning id
""")
_UNRECORDED = text("""
    select r.id from rag_bench.eval_run r
    where r.status not in ('queued', 'running') and exists (
        select from rag_bench.eval_outbox o where o.run_id = r.id and o.sent_at is null)
    order by r.id limit :limit
""")
_RECORDED = text("""
    update rag_bench.eval_outbox o set sent_at = clock_timestamp() from rag_bench.eval_run r
    where r.id = o.run_id and o.sent_at is null and o.run_id = any(:run_ids)
      and r.status not in ('queued', 'running')
""")
_NEWEST = text("""
    select min(id) from (select id from rag_bench.eval_run order by id desc limit :most) newest
""")
_TOO_OLD = text("""
    update rag_bench.eval_outbox o set sent_at = clock_timestamp() from rag_bench.eval_run r
    where r.id = o.run_id and o.sent_at is null and r.status not in ('queued', 'running')
      and r.id < (select min(id) from (
          select id from rag_bench.eval_run order by id desc limit :most) newest)
""")
_OPEN_AMONG = text("""
    select id from rag_bench.eval_run where id = any(:ids) and status in ('queued', 'running')
""")


def to_launch(connection: Connection, *, places: int, at_once: int) -> Sequence[Launch]:
    """Return the runs that Dagster is to be given now: fair over subjects, then the oldest.

    Args:
        connection: with a transaction.
        places: so many may be with Dagster at once.
        at_once: so many of one subject may be at work at once, wherever.
    """
    free = places - int(connection.execute(_GIVEN_NOW).scalar_one())
    if free <= 0:
        return []
    rows = connection.execute(_NEXT, {"at_once": at_once, "places": free})
    return [Launch(*row) for row in rows]


def mark_sent(connection: Connection, keys: Iterable[str]) -> None:
    """Note that Dagster has these attempts."""
    connection.execute(_SENT, {"keys": list(keys)})


def silent(connection: Connection, limit: int = 100) -> Sequence[Silent]:
    """Return the runs that Dagster has and nobody works on, oldest first."""
    given = {"pause": PAUSE, "most": MOST_DOUBLINGS, "limit": limit}
    return [Silent(*row) for row in connection.execute(_SILENT, given)]


def try_again(connection: Connection, lost: Silent) -> None:
    """Queue another attempt of a lost run, unless somebody works on it by now.

    One that was lost too often is given up.
    """
    found = {"run_id": lost.run_id, "attempt": lost.attempt}
    if not connection.execute(_AGAIN, found).first():
        return
    queueing.append_event(connection, lost.run_id, "interrupted")
    if queueing.interruptions(connection, lost.run_id) >= queueing.MOST_INTERRUPTIONS:
        queueing.give_up(connection, lost.run_id)
    else:
        queueing.next_attempt(connection, lost.run_id)


def unrecorded(connection: Connection, limit: int = 50) -> Sequence[str]:
    """Return runs that have ended and that Dagster has no record of, oldest first."""
    return list(connection.execute(_UNRECORDED, {"limit": limit}).scalars())


def pass_over_old_ones(connection: Connection, most: int) -> None:
    """Note that Dagster need not be told of runs that have ended and are not among the ``most``
    newest: where a service works faster than they are recorded, they would be listed no more.
    """
    connection.execute(_TOO_OLD, {"most": most})


def mark_recorded(connection: Connection, run_ids: Iterable[str]) -> None:
    """Note that Dagster has a record of how these runs ended."""
    connection.execute(_RECORDED, {"run_ids": list(run_ids)})


def oldest_listed(connection: Connection, most: int) -> str | None:
    """Return the first id of the ``most`` newest runs; None: there is no run."""
    found: str | None = connection.execute(_NEWEST, {"most": most}).scalar()
    return found


def old_ones(connection: Connection, run_ids: Sequence[str], most: int) -> list[str]:
    """Return those of ``run_ids`` that have ended and are not among the ``most`` newest runs."""
    newest = oldest_listed(connection, most)
    old = [run_id for run_id in run_ids if newest is not None and run_id < newest]
    still_open = set(connection.execute(_OPEN_AMONG, {"ids": old}).scalars()) if old else set()
    return [run_id for run_id in old if run_id not in still_open]
