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
    """Write that a caller does what is asked for here, in the transaction that does it; as of
    `noted`.
    """
    record(connection, noted(request, status=status, run_id=run_id))


def noted(request: Request, *, status: int | None = None, run_id: str | None = None) -> Action:
    """Return the audit's row of what a caller does, for whoever writes it in the transaction that
    does it.

    The gate then writes no second row, unless the request fails after all. ``status``: of the
    answer; None: it is not known yet.
    """
    asked: Asked = request.state.asked
    asked.run_id = run_id or asked.run_id
    asked.noted = True
    caller = asked.principal
    return Action(
        action=f"{request.method} {request.scope['route'].path}",
        outcome="ok",
        trace_id=asked.trace_id,
        user_id=caller.user_id if caller else None,
        key_id=caller.key_id if caller else None,
        status=status,
        run_id=asked.run_id,
        address=asked.address,
    )
