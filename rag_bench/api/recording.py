"""The audit's row of what changes something: written in the transaction that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.store.access.audit import Action, record

if TYPE_CHECKING:
    from fastapi import Request
    from sqlalchemy import Connection

    from rag_bench.api.gate import Asked


def note(
    connection: Connection,
    request: Request,
    *,
    status: int | None = None,
    run_id: str | None = None,
) -> None:
    """Write that a caller does what is asked for here, in the transaction that does it.

    The gate then writes no second row, unless the request fails after all. ``status``: of the
    answer; None: it is not known yet.
    """
    asked: Asked = request.state.asked
    asked.run_id = run_id or asked.run_id
    asked.noted = True
    caller = asked.principal
    record(
        connection,
        Action(
            action=f"{request.method} {request.scope['route'].path}",
            outcome="ok",
            trace_id=asked.trace_id,
            user_id=caller.user_id if caller else None,
            key_id=caller.key_id if caller else None,
            status=status,
            run_id=asked.run_id,
            address=asked.address,
        ),
    )
