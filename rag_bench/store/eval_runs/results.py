"""What an execution reads of its run, and what it writes: results of cases, counts, the end.

Whoever writes names itself: a run that another has taken over since is written by that one alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, func, insert, select, text, update

from rag_bench.errors import RagBenchError
from rag_bench.store.eval_runs import callbacks
from rag_bench.store.eval_runs.tables import (
    eval_event,
    eval_run,
    eval_run_case,
    eval_run_evaluation,
)
from rag_bench.store.tables import chunk, evaluation

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class TakenOverError(RagBenchError):
    """Another process executes the run now; nothing was written."""


@dataclass(frozen=True)
class CaseRow:
    """A case before it ran; ``result``: what came of it before, if it ran already."""

    position: int
    case_id: str
    given: Mapping[str, Any]
    known: Mapping[str, Any]
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CaseResult:
    """What came of a case; ``result``: the reply's object, None: nothing yet."""

    position: int
    result: Mapping[str, Any] | None
    errored: bool = False
    flagged: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a run is: columns of its row that its results decide.

    Attributes:
        n_calls, n_attempts, cost_usd: of all executions; the second counts requests of HTTP, None
            where an execution did not.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    aggregates: Mapping[str, Any] = field(default_factory=dict)
    flags: Sequence[str] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    n_calls: int = 0
    n_attempts: int | None = None
    cost_usd: Decimal = Decimal(0)

    def as_columns(self) -> dict[str, Any]:
        """Return the columns."""
        return {
            "counts": dict(self.counts),
            "aggregates": dict(self.aggregates),
            "flags": list(self.flags),
            "errors": dict(self.errors),
            "timings": dict(self.timings),
            "n_calls": self.n_calls,
            "n_attempts": self.n_attempts,
            "cost_usd": self.cost_usd,
        }


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection for statements that stand for themselves: no transaction is begun."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def run_of(connection: Connection, run_id: str) -> Any:
    """Return the row of a run.

    Raises:
        RagBenchError: there is none.
    """
    row = connection.execute(select(eval_run).where(eval_run.c.id == run_id)).one_or_none()
    if row is None:
        raise RagBenchError(f"There is no run {run_id}.")
    return row


def shapes_of(connection: Connection, run_id: str) -> list[tuple[int, bool]]:
    """Return each case's position, and whether it brings its answer; in their order."""
    query = (
        select(eval_run_case.c.position, eval_run_case.c.given["answer"].astext.is_not(None))
        .where(eval_run_case.c.run_id == run_id)
        .order_by(eval_run_case.c.position)
    )
    return [(row[0], bool(row[1])) for row in connection.execute(query)]


def cases_at(
    connection: Connection, run_id: str, positions: Collection[int] | None = None
) -> list[CaseRow]:
    """Return cases in their order, all or those at some positions."""
    of_case = eval_run_case.c
    query = select(
        of_case.position, of_case.case_id, of_case.given, of_case.known, of_case.result
    ).where(of_case.run_id == run_id)
    if positions is not None:
        query = query.where(of_case.position.in_(list(positions)))
    rows = connection.execute(query.order_by(of_case.position))
    return [CaseRow(*row) for row in rows.tuples()]


def pages_of(connection: Connection, dump_sha256: str, hashes: Collection[str]) -> dict[str, str]:
    """Return the page of each of these chunks that a snapshot has."""
    if not hashes:
        return {}
    query = select(chunk.c.chunk_hash, chunk.c.page_url).where(
        chunk.c.dump_sha256 == dump_sha256, chunk.c.chunk_hash.in_(list(hashes))
    )
    return dict(connection.execute(query).tuples().all())


_SAVE_CASES = text("""
    update rag_bench.eval_run_case c
    set result = v.result, errored = v.errored, flagged = v.flagged
    from unnest(
        cast(:positions as int[]), cast(:results as jsonb[]),
        cast(:errored as boolean[]), cast(:flagged as boolean[])
    ) as v(position, result, errored, flagged)
    where c.run_id = :run_id and c.position = v.position
""")


def save_cases(connection: Connection, run_id: str, results: Sequence[CaseResult]) -> None:
    """Write what came of cases; what came of them before is replaced."""
    connection.execute(
        _SAVE_CASES,
        {
            "run_id": run_id,
            "positions": [one.position for one in results],
            "results": [None if r.result is None else Jsonb(dict(r.result)) for r in results],
            "errored": [one.errored for one in results],
            "flagged": [one.flagged for one in results],
        },
    )


_LINK = text("""
    insert into rag_bench.eval_run_evaluation (run_id, evaluation_id, part)
    select :run_id, unnest(cast(:ids as bigint[])), :part
    on conflict (run_id, evaluation_id) do nothing
""")


def link(connection: Connection, run_id: str, part: int, evaluations: Sequence[int]) -> None:
    """Note which evaluations a part of a run is made from; those of before are its no more."""
    ids = list(dict.fromkeys(evaluations))
    connection.execute(
        text(
            "delete from rag_bench.eval_run_evaluation where run_id = :run_id and part = :part "
            "and evaluation_id <> all(cast(:ids as bigint[]))"
        ),
        {"run_id": run_id, "part": part, "ids": ids},
    )
    connection.execute(_LINK, {"run_id": run_id, "part": part, "ids": ids})


def write(
    connection: Connection, run_id: str, holder: str, values: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Write columns of a run that is executed, and return its row. The row is locked from here to
    the end of the transaction, so that its events are numbered in the order of their commits.

    Raises:
        TakenOverError: it is another's now, or at its end.
    """
    row = (
        connection.execute(
            update(eval_run)
            .where(
                eval_run.c.id == bindparam("the_run"),
                eval_run.c.status == "running",
                eval_run.c.holder == bindparam("the_holder"),
            )
            .values(**values, version=eval_run.c.version + 1)
            .returning(eval_run),
            {"the_run": run_id, "the_holder": holder},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise TakenOverError(f"Run {run_id} is executed by another process, or has ended.")
    return dict(row)


def tell(connection: Connection, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Append an event, in a transaction that has written the run's row."""
    connection.execute(insert(eval_event).values(run_id=run_id, kind=kind, data=dict(data)))


def finish(
    connection: Connection,
    run_id: str,
    holder: str,
    status: str,
    standing: Standing,
    *,
    comparison: Mapping[str, Any] | None = None,
    error: tuple[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """End a run: its last values, its last event, and whom to tell; in one transaction. Returns
    the row.

    Args:
        connection: of the transaction.
        run_id: the run.
        holder: who executes it.
        status: succeeded, partial, failed or cancelled.
        standing: what its results decide.
        comparison: with its baseline.
        error: code and detail of the run's own, if it has one.
        more: further columns.

    Raises:
        TakenOverError: it is another's now, or at its end.
    """
    row = write(
        connection,
        run_id,
        holder,
        {
            **standing.as_columns(),
            "status": status,
            "comparison": dict(comparison or {}),
            "error_code": error[0] if error else None,
            "error_detail": error[1] if error else None,
            "holder": None,
            "expires_at": None,
            "finished_at": func.clock_timestamp(),
            **(more or {}),
        },
    )
    kind = "cancelled" if status == "cancelled" else "finished"
    tell(connection, run_id, kind, {"status": status, "counts": dict(standing.counts)})
    if row["callback_url"]:
        callbacks.enqueue(connection, run_id)
    return row


def had_ended(connection: Connection, run_id: str) -> bool:
    """Tell whether a run ended once, so that it is completed now, and not resumed."""
    query = select(eval_event.c.id).where(
        eval_event.c.run_id == run_id, eval_event.c.kind.in_(("finished", "cancelled"))
    )
    return connection.execute(query.limit(1)).first() is not None


_FLAG = text("""
    update rag_bench.eval_run_case
    set flagged = true,
        result = jsonb_set(
            jsonb_set(
                result, '{flags}',
                (result -> 'flags') - cast(:flag as text) || jsonb_build_array(cast(:flag as text))
            ),
            '{details,worse}', v.metrics
        )
    from unnest(cast(:positions as int[]), cast(:metrics as jsonb[])) as v(position, metrics)
    where run_id = :run_id and eval_run_case.position = v.position and result is not null
""")


def flag_cases(
    connection: Connection, run_id: str, flag: str, worse: Mapping[int, Sequence[str]]
) -> None:
    """Add a flag to results, with the metrics that it is for."""
    if worse:
        values = {
            "run_id": run_id,
            "flag": flag,
            "positions": list(worse),
            "metrics": [Jsonb(list(metrics)) for metrics in worse.values()],
        }
        connection.execute(_FLAG, values)


def evaluations_of(connection: Connection, run_id: str) -> list[tuple[int, int]]:
    """Return (part, evaluation) of what a run's results are made from."""
    of = eval_run_evaluation.c
    query = select(of.part, of.evaluation_id).where(of.run_id == run_id)
    return sorted(connection.execute(query).tuples().all())


@dataclass(frozen=True)
class Linked:
    """An evaluation that a run's results are made from, as far as it is counted."""

    kind: str
    dataset_id: str | None
    metrics: Mapping[str, Any]


def linked_to(connection: Connection, run_id: str) -> list[Linked]:
    """Return the evaluations of all parts of a run that were stored."""
    of, link_of = evaluation.c, eval_run_evaluation.c
    query = (
        select(of.kind, of.dataset_id, of.metrics)
        .join(eval_run_evaluation, link_of.evaluation_id == of.id)
        .where(link_of.run_id == run_id)
        .order_by(of.id)
    )
    return [Linked(*row) for row in connection.execute(query).tuples()]


def attempts_of(n_calls: int, n_attempts: int | None) -> int | None:
    """Return how many requests of HTTP were sent for a run's calls; None: not counted, as of calls
    that an earlier version made.
    """
    return 0 if n_attempts is None and not n_calls else n_attempts


def seconds_between(earlier: datetime | None, later: datetime | None) -> float | None:
    """Return the seconds from one time to another; None where either is not there."""
    if earlier is None or later is None:
        return None
    return round((later - earlier).total_seconds(), 3)
