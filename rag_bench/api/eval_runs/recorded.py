"""The audit's row of a change, in the change's own transaction: both are there, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.store.access.audit import Action, record

if TYPE_CHECKING:
    from fastapi import Request
    from sqlalchemy import Connection

    from rag_bench.access.scopes import Principal


def record_change(
    connection: Connection,
    request: Request,
    caller: Principal,
    *,
    status: int = 200,
    run_id: str | None = None,
) -> None:
    """Record what a request changes; once that is committed, the gate records nothing of it."""
    from sqlalchemy import event

    asked = request.state.asked
    record(
        connection,
        Action(
            action=f"{request.method} {request.scope['route'].path}",
            outcome="ok",
            trace_id=asked.trace_id,
            user_id=caller.user_id,
            key_id=caller.key_id,
            status=status,
            run_id=run_id,
            address=asked.address,
        ),
    )
    event.listen(connection, "commit", lambda _: setattr(asked, "recorded", False), once=True)
