"""Runs in the queue, as a request leaves them; what executes them is each test's own."""

from __future__ import annotations

import itertools
import time
from typing import Any

from sqlalchemy import Engine, bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB

from rag_bench.store.eval_runs import queueing
from rag_bench.store.eval_runs.tables import eval_event, eval_run

_numbers = itertools.count(1)


def queued(engine: Engine, subject: str = "key a", **values: Any) -> str:
    """Insert a run that waits; ids sort by the order of these calls."""
    run_id = f"{next(_numbers):08d}"
    row = {
        "id": run_id,
        "trace_id": f"trace-{run_id}",
        "user_id": subject,
        "subject": subject,
        "status": "queued",
        "mode": "sync",
        "place": "service",
        "n_cases": 1,
        **values,
    }
    with engine.begin() as connection:
        connection.execute(insert(eval_run).values(**row))
        queueing.enqueue(connection, run_id)
    return run_id


def row_of(engine: Engine, run_id: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(eval_run).where(eval_run.c.id == run_id)).one()


def events_of(engine: Engine, run_id: str) -> list[str]:
    with engine.connect() as connection:
        query = select(eval_event.c.kind).where(eval_event.c.run_id == run_id)
        return list(connection.execute(query.order_by(eval_event.c.id)).scalars())


def expire(engine: Engine, run_id: str) -> None:
    """Let a claim be over, as if its holder had fallen silent."""
    late = "update rag_bench.eval_run set expires_at = now() - interval '1 s' where id = :id"
    with engine.begin() as connection:
        connection.execute(text(late), {"id": run_id})


#: What a run has measured that `succeed` has executed.
AGGREGATES = {
    "faithfulness": {
        "value": 0.75,
        "n_scored": 4,
        "n_expected": 4,
        "ci_low": 0.5,
        "ci_high": 0.9,
        "scale": [0, 1],
    }
}


def succeed(engine: Engine, run_id: str, *, holder: str, **_: Any) -> None:
    """Execute a run in which there is nothing to do."""
    finish(engine, run_id, holder, "succeeded", AGGREGATES)


def finish(
    engine: Engine, run_id: str, holder: str, status: str, aggregates: dict[str, Any]
) -> None:
    """End a run that this holder executes."""
    ended = text(
        "update rag_bench.eval_run set status = :status, finished_at = now(), holder = null, "
        "expires_at = null, aggregates = :aggregates "
        "where id = :id and holder = :holder and status = 'running' returning id"
    ).bindparams(bindparam("aggregates", type_=JSONB))
    given = {"id": run_id, "holder": holder, "status": status, "aggregates": aggregates}
    with engine.begin() as connection:
        if connection.execute(ended, given).first():
            queueing.append_event(connection, run_id, "finished", {"status": status})


def wait_for(engine: Engine, run_id: str, status: str, seconds: float = 30.0) -> Any:
    """Wait until a run has this status; return its row."""
    deadline = time.monotonic() + seconds
    while (row := row_of(engine, run_id)).status != status:
        assert time.monotonic() < deadline, (row, events_of(engine, run_id))
        time.sleep(0.02)
    return row
