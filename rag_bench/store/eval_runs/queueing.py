"""Who executes which run: the queue of the service's runs, in the table `eval_run` itself.

A run that waits or whose executor fell silent is *claimed*: the row gets a holder and a time until
when that stands, and the holder renews it while it works. Fair: the subject with the fewest runs at
work comes first, then the oldest run. Times are the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, insert, text

from rag_bench.errors import RagBenchError
from rag_bench.store.eval_runs import callbacks
from rag_bench.store.eval_runs.tables import eval_event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: Seconds for which a claim stands without a renewal.
LEASE = 15.0
#: A run whose executor was lost so often, since somebody last asked for it, is given up.
MOST_INTERRUPTIONS = 10
#: Event kinds that end a run; more may follow when it is completed later.
ENDINGS = ("finished", "cancelled")

Place = Literal["service", "dagster"]


class EndedError(RagBenchError):
    """A run that cannot be cancelled, as it has ended; ``status`` says how."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"Run {run_id} has ended: {status}.")
        self.status = status


@dataclass(frozen=True)
class Claimed:
    """A run that the caller may execute now.

    Attributes:
        attempt: how often it was queued so far; 1 the first time.
        resumed: its executor before was lost.
    """

    run_id: str
    subject: str
    attempt: int
    resumed: bool
    trace_id: str
    user_id: str


@dataclass(frozen=True)
class Renewal:
    """What a holder learns when it renews: whether the run is its own still, and is wanted."""

    held: bool
    cancel_requested: bool


# One claims at a time, so that nobody counts runs at work while another adds one.
_ONE_CLAIMS = text("select pg_advisory_xact_lock(hashtextextended('rag_bench eval_run claim', 0))")
#: Runs at work by subject, wherever they are.
BUSY = """
    select subject, count(*) as n from rag_bench.eval_run
    where status = 'running' and expires_at > clock_timestamp() group by subject
"""
_NEXT = text(f"""
    with busy as ({BUSY})
    select r.id, r.status, r.subject, r.attempt, r.trace_id, r.user_id from rag_bench.eval_run r
    left join busy b on b.subject = r.subject
    where r.status in ('queued', 'running') and r.place = 'service'
      and (r.expires_at is null or r.expires_at < clock_timestamp())
      and coalesce(b.n, 0) < :at_once and not r.id = any(cast(:own as text[]))
    order by coalesce(b.n, 0), r.id limit 1 for update of r skip locked
""")
_THIS = text("""
    select id, status, subject, attempt, trace_id, user_id from rag_bench.eval_run
    where id = :run_id and status in ('queued', 'running')
      and (status = 'queued' or expires_at is null or expires_at < clock_timestamp())
    for update skip locked
""")
_TAKE = text("""
    update rag_bench.eval_run set status = 'running', holder = :holder,
        expires_at = clock_timestamp() + make_interval(secs => :seconds),
        started_at = coalesce(started_at, clock_timestamp()), dagster_run_id = :dagster_run_id,
        version = version + 1
    where id = :run_id
""")
_INTERRUPTIONS = text("""
    select count(*) from rag_bench.eval_event
    where run_id = :run_id and kind = 'interrupted' and id > coalesce(
        (select max(id) from rag_bench.eval_event where run_id = :run_id and kind = 'queued'), 0)
""")
_RENEW = text("""
    update rag_bench.eval_run
    set expires_at = clock_timestamp() + make_interval(secs => :seconds)
    where id = :run_id and holder = :holder and status = 'running' returning cancel_requested
""")
_RELEASE = text("""
    update rag_bench.eval_run set status = 'queued', holder = null, version = version + 1,
        expires_at = clock_timestamp() + make_interval(secs => :wait)
    where id = :run_id and holder = :holder and status = 'running' returning cancel_requested
""")
_CANCEL = text("""
    update rag_bench.eval_run set cancel_requested = true, cancelled_by = :by,
        cancelled_at = clock_timestamp(), version = version + 1
    where id = :run_id and status in ('queued', 'running') and not cancel_requested
    returning status
""")
# So the events of one run get their numbers in the order in which they are committed.
_LOCK = text("select 1 from rag_bench.eval_run where id = :run_id for no key update")
_STATUS = text("select status from rag_bench.eval_run where id = :run_id")
_REQUEUE = text("""
    update rag_bench.eval_run set status = 'queued', place = coalesce(:place, place),
        cancel_requested = false, cancelled_by = null, cancelled_at = null,
        holder = null, expires_at = null, finished_at = null,
        error_code = null, error_detail = null, version = version + 1
    where id = :run_id and status not in ('queued', 'running') returning id
""")
_QUEUE = text("""
    with run as (update rag_bench.eval_run set attempt = attempt + 1 where id = :run_id
                 returning id, attempt)
    insert into rag_bench.eval_outbox (run_id, attempt) select id, attempt from run
    returning attempt
""")
_HAS_IT = text("""
    update rag_bench.eval_outbox set sent_at = clock_timestamp()
    where run_id = :run_id and sent_at is null
""")
_END = text("""
    update rag_bench.eval_run set status = :status, holder = null, expires_at = null,
        finished_at = clock_timestamp(), error_code = :code, error_detail = :detail,
        version = version + 1
    where id = :run_id and status in ('queued', 'running')
      and (cast(:holder as text) is null or holder = :holder) returning id
""")


def enqueue(
    connection: Connection,
    run_id: str,
    said: Mapping[str, Any] | None = None,
    *,
    claimed: bool = False,
) -> int:
    """Let a run wait to be executed, in the caller's transaction; return its attempt's number.

    Dagster is told of it by the outbox: to start it, or to record what the service has executed.

    Args:
        connection: with the transaction.
        run_id: of a row that is there.
        said: further data of the event.
        claimed: it was inserted with `claimed_values`, so it begins at once.
    """
    attempt = next_attempt(connection, run_id)
    append_event(connection, run_id, "queued", {**(said or {}), "attempt": attempt})
    if claimed:
        append_event(connection, run_id, "started", {"attempt": attempt, "resumed": False})
    return attempt


def next_attempt(connection: Connection, run_id: str) -> int:
    """Count one more attempt of a run and put it into the outbox; return its number."""
    attempt: int = connection.execute(_QUEUE, {"run_id": run_id}).scalar_one()
    return attempt


def requeue(connection: Connection, run_id: str, *, place: Place | None = None) -> bool:
    """Queue a run that has ended once more, as a completion does; False if it has not ended.

    ``place``: who is to execute it now; None: who did before.
    """
    if not connection.execute(_REQUEUE, {"run_id": run_id, "place": place}).first():
        return False
    enqueue(connection, run_id)
    return True


def claimed_values(holder: str) -> dict[str, Any]:
    """Return the columns of a new run that its maker executes at once; `enqueue` follows."""
    soon = func.clock_timestamp() + text(f"interval '{LEASE} seconds'")
    return {
        "status": "running",
        "place": "service",
        "holder": holder,
        "expires_at": soon,
        "started_at": func.clock_timestamp(),
    }


def claim(engine: Engine, holder: str, *, at_once: int, own: Iterable[str] = ()) -> Claimed | None:
    """Claim the service's next run, if one waits or was lost.

    Args:
        engine: of the database.
        holder: of the claim, `renew` and `release`; a name of this process alone.
        at_once: so many runs of one subject are at work at once, in all processes; the others wait.
        own: runs that the caller executes, whose claims may be over as the database was away.
    """
    with engine.begin() as connection:
        while True:
            connection.execute(_ONE_CLAIMS)
            row = connection.execute(_NEXT, {"at_once": at_once, "own": list(own)}).first()
            if row is None:
                return None
            if claimed := _take(connection, row, holder, None):
                return claimed


def claim_run(
    engine: Engine,
    run_id: str,
    holder: str,
    *,
    dagster_run_id: str | None = None,
    resume: bool = False,
) -> Claimed | None:
    """Claim this very run for Dagster; None if somebody works on it or it has ended.

    ``resume``: one that has ended is queued once more and claimed, as a completion is.
    """
    with engine.begin() as connection:
        if resume:
            requeue(connection, run_id, place="dagster")
        row = connection.execute(_THIS, {"run_id": run_id}).first()
        if row is None:
            return None
        connection.execute(_HAS_IT, {"run_id": run_id})
        return _take(connection, row, holder, dagster_run_id)


def _take(
    connection: Connection, row: Any, holder: str, dagster_run_id: str | None
) -> Claimed | None:
    resumed = row.status == "running"
    if resumed:
        append_event(connection, row.id, "interrupted")
        if interruptions(connection, row.id) >= MOST_INTERRUPTIONS:
            give_up(connection, row.id)
            return None
    given = {
        "run_id": row.id,
        "holder": holder,
        "seconds": LEASE,
        "dagster_run_id": dagster_run_id,
    }
    connection.execute(_TAKE, given)
    append_event(connection, row.id, "started", {"attempt": row.attempt, "resumed": resumed})
    return Claimed(row.id, row.subject, row.attempt, resumed, row.trace_id, row.user_id)


def renew(engine: Engine, run_id: str, holder: str) -> Renewal:
    """Let a claim stand for `LEASE` seconds from now, if it is this holder's."""
    given = {"run_id": run_id, "holder": holder, "seconds": LEASE}
    with engine.begin() as connection:
        row = connection.execute(_RENEW, given).first()
    return Renewal(row is not None, bool(row and row.cancel_requested))


def release(connection: Connection, run_id: str, holder: str, *, wait: float = 0.0) -> bool:
    """Give a run back that has not ended; it may be claimed again in ``wait`` seconds.

    One that was cancelled ends with that. False if it was not this holder's any more.
    """
    given = {"run_id": run_id, "holder": holder, "wait": wait}
    row = connection.execute(_RELEASE, given).first()
    if row is not None and row.cancel_requested:
        end_early(connection, run_id, "cancelled")
    return row is not None


def interruptions(connection: Connection, run_id: str) -> int:
    """Return how often executors of a run were lost since it was last queued."""
    return int(connection.execute(_INTERRUPTIONS, {"run_id": run_id}).scalar_one())


def give_up(connection: Connection, run_id: str) -> None:
    """End a run that cannot be executed, in words that a person may read."""
    end_early(
        connection,
        run_id,
        "failed",
        "INTERRUPTED",
        f"Whatever executed it ended {MOST_INTERRUPTIONS} times before it was done; everything "
        "that was answered is kept, and completing the run goes on.",
    )


def request_cancel(connection: Connection, run_id: str, by: str) -> str | None:
    """Ask a run to end; return its status afterwards, None if there is no such run.

    One that only waits ends at once; one at work when the calls in flight have ended. ``by``: who
    asks, as the run will say.

    Raises:
        EndedError: it has ended before.
    """
    row = connection.execute(_CANCEL, {"run_id": run_id, "by": by}).first()
    if row is not None and row.status == "queued":
        end_early(connection, run_id, "cancelled")
        return "cancelled"
    status: str | None = connection.execute(_STATUS, {"run_id": run_id}).scalar()
    if status not in (None, "running"):
        raise EndedError(run_id, status)
    return status


def end_early(
    connection: Connection,
    run_id: str,
    status: Literal["failed", "cancelled"],
    code: str | None = None,
    detail: str | None = None,
    *,
    holder: str | None = None,
) -> bool:
    """End an open run without a look at its results; False if it has ended already.

    ``code`` and ``detail``: of the run itself; words of our own, never an exception's. ``holder``:
    only if it is this one's still.
    """
    given = {"run_id": run_id, "status": status, "code": code, "detail": detail, "holder": holder}
    if not connection.execute(_END, given).first():
        return False
    kind = "cancelled" if status == "cancelled" else "finished"
    append_event(connection, run_id, kind, {"status": status, "code": code})
    callbacks.enqueue(connection, run_id)
    return True


def append_event(
    connection: Connection, run_id: str, kind: str, data: Mapping[str, Any] | None = None
) -> int:
    """Append one event to a run's, in the caller's transaction; return its number."""
    connection.execute(_LOCK, {"run_id": run_id})
    values = {"run_id": run_id, "kind": kind, "data": dict(data or {})}
    return int(
        connection.execute(
            insert(eval_event).values(**values).returning(eval_event.c.id)
        ).scalar_one()
    )
