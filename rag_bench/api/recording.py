"""The audit's row of what changes something: written in the transaction that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.store.access.audit import Action, record

if TYPE_CHECKING:
    from fastapi import Request
    from sqlalchemy import Connection

    from rag_bench.api.gate import Asked


def note(connection: Connection, request: Request, action: str, run_id: str | None = None) -> None:
    """Write that a caller does this, in the caller's own transaction.

    The gate then writes no second row, unless the request fails after all. How it was answered is
    not known yet, so the row has no status.
    """
    asked: Asked = request.state.asked
    asked.run_id = run_id or asked.run_id
    asked.noted = True
    caller = asked.principal
    record(
        connection,
        Action(
            action=action,
            outcome="ok",
            trace_id=asked.trace_id,
            user_id=caller.user_id if caller else None,
            key_id=caller.key_id if caller else None,
            run_id=asked.run_id,
            address=asked.address,
        ),
    )
