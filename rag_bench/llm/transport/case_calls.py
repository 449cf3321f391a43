"""Which calls a case's results rest on: noted by the ledger as each is answered, so never guessed.

Calls sit under libraries that pass nothing through but the request, so what is noted travels in a
context variable, as the case itself does (`rag_bench.llm.transport.context`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rag_bench.llm.transport.context import current_context
from rag_bench.llm.transport.tally import Usage

SENT, LEDGER, SHARED = "sent", "ledger", "shared"


@dataclass(frozen=True)
class CaseCall:
    """One request of a case and the call that answered it.

    Attributes:
        case_id, repeat: the case that it was made for.
        metric: what for.
        role: that it was asked under; the ledger's row has that of who asked first.
        call_id: the ledger's row.
        how: ``sent`` for it, ``shared`` with an equal one that was under way, or answered by the
            ``ledger``, which held the reply.
        usage: what the call took now; nothing where none was made.
    """

    case_id: str
    repeat: int
    metric: str
    role: str
    call_id: int
    how: str
    usage: Usage


_noted: ContextVar[list[CaseCall] | None] = ContextVar("rag_bench_case_calls", default=None)


@contextmanager
def noting(calls: list[CaseCall]) -> Iterator[None]:
    """Note in a list the calls of the block, those of tasks started there included."""
    token = _noted.set(calls)
    try:
        yield
    finally:
        _noted.reset(token)


def note_call(
    role: str, call_id: int | None, *, from_ledger: bool, shared: bool, usage: Usage
) -> None:
    """Note one request, as the tally counts it; outside of a block, or of any case, do nothing."""
    calls, context = _noted.get(), current_context()
    if calls is None or context is None or call_id is None:
        return
    how = SHARED if shared else LEDGER if from_ledger else SENT
    calls.append(
        CaseCall(context.case_id, context.repeat, context.metric, role, call_id, how, usage)
    )
