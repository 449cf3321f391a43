"""What a request changes at a run that is there: how it was waited for, what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from rag_bench.store.eval_runs.tables import eval_run

if TYPE_CHECKING:
    from sqlalchemy import Connection


def set_mode(connection: Connection, run_id: str, mode: str, reason: str) -> None:
    """Note how a request for a run is answered, and why."""
    _write(connection, run_id, mode=mode, mode_reason=reason)


def set_config(connection: Connection, run_id: str, config: Mapping[str, Any]) -> None:
    """Let a run measure more than before."""
    _write(connection, run_id, config=dict(config))


def _write(connection: Connection, run_id: str, **columns: Any) -> None:
    query = update(eval_run).where(eval_run.c.id == run_id)
    connection.execute(query.values(**columns, version=eval_run.c.version + 1))
