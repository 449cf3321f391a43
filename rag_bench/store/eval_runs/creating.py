"""A new run with its cases, its first event, and the row by which Dagster is told of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import insert

from rag_bench.store.copying import copy_rows
from rag_bench.store.eval_runs import queueing
from rag_bench.store.eval_runs.tables import eval_run

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class NewCase:
    """A case before it ran.

    Attributes:
        position: from 0, in the order in which they were given.
        case_id: the client's, or the number of the case from 1; unique in its run.
        given: the case as it was sent.
        known: what was found out: ``lang``, ``lang_by`` (``client`` or ``detected``),
            ``chunk_hashes`` (of the ground truth, in the current snapshot), ``names`` (what the
            client calls chunks, by hash), ``unknown_chunks`` (ids that no snapshot has),
            ``outdated_chunks`` (ids that only earlier snapshots have; absent: none),
            ``context_hashes`` (of the given contexts in their order; null: not known).
    """

    position: int
    case_id: str
    given: Mapping[str, Any]
    known: Mapping[str, Any]


@dataclass(frozen=True)
class NewRun:
    """A run before it is executed. ``subject``: whose limits it counts for."""

    user_id: str
    subject: str
    trace_id: str
    mode: Literal["sync", "async"]
    place: Literal["service", "dagster"]
    request: Mapping[str, Any]
    config: Mapping[str, Any]
    labels: Mapping[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    callback_url: str | None = None
    max_calls: int | None = None
    max_cost_usd: Decimal | None = None
    mode_reason: str | None = None


def create(
    connection: Connection,
    run: NewRun,
    cases: Sequence[NewCase],
    *,
    run_id: str | None = None,
    holder: str | None = None,
) -> str:
    """Store a queued run in the caller's transaction and return its id, which sorts by time.

    Args:
        connection: in whose transaction.
        run: its row.
        cases: in their order.
        run_id: of `new_id`, where something else of the transaction names it; None: a new one.
        holder: who executes it at once, as if it had been claimed; None: it waits.
    """
    run_id = run_id or new_id()
    values = {**asdict(run), "id": run_id, "status": "queued", "n_cases": len(cases)}
    if holder is not None:
        values |= queueing.claimed_values(holder)
    connection.execute(insert(eval_run).values(values))
    copy_rows(
        connection,
        "eval_run_case",
        "run_id, position, case_id, given, known",
        ((run_id, one.position, one.case_id, _json(one.given), _json(one.known)) for one in cases),
    )
    said = {"n_cases": len(cases), "mode": run.mode, "place": run.place}
    queueing.enqueue(connection, run_id, said, claimed=holder is not None)
    return run_id


def new_id() -> str:
    """Return a UUID of version 7 (RFC 9562) as 32 hex digits: later ones sort behind earlier ones,
    to a quarter of a microsecond.
    """
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000  # of a millisecond, as the RFC's third method has it
    random = secrets.randbits(62)
    number = milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random
    return f"{number:032x}"


def _json(value: Mapping[str, Any]) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(dict(value))
