"""A last look at the lease, right before a request's first byte leaves.

Between a call's turn and its sending this process may be stopped (SIGSTOP or a
suspended machine) until its lease is over, and others use its slots by then. What
wakes up after that must not send.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rag_bench.llm.transport.queueing import Gate, clock

Trace = Callable[[str, Any], Awaitable[None]]
_SENDING = "send_request_headers.started"


class NotSentError(Exception):
    """The lease was over before anything was sent: the call waits for its turn again."""


def fence(gate: Gate) -> Trace:
    """Return what an httpx transport tells of a request (its extension ``trace``); it raises
    `NotSentError` where the request would leave without a lease.
    """

    async def trace(event: str, info: Any) -> None:
        if event.endswith(_SENDING) and clock() >= gate.valid_until:
            raise NotSentError

    return trace
