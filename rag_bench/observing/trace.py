"""The trace that work belongs to: from a request to the calls of providers that it causes.

An id of W3C Trace Context comes with a request, or is made for it, and travels in a context
variable: tasks and threads that are started by asyncio inside of the block have it as well. It is
part of no key and of no hash: the same work under another trace is the same work.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "traceparent"
#: Of Dagster's runs.
TRACE_TAG = "rag_bench/trace_id"
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


@dataclass(frozen=True)
class Trace:
    """What work is done for.

    Attributes:
        trace_id: 32 hexadecimal digits.
        run_id: the service's run, if it is one.
        user_id: who asked for it.
    """

    trace_id: str
    run_id: str | None = None
    user_id: str | None = None


_current: ContextVar[Trace | None] = ContextVar("rag_bench_trace", default=None)


def new_trace_id() -> str:
    """Return an id that no other trace has."""
    return secrets.token_hex(16)


def current_trace() -> Trace | None:
    """Return the innermost trace, or None outside of any."""
    return _current.get()


def traceparent() -> str | None:
    """Return the header that hands the current trace on; None outside of any.

    With OpenTelemetry it names the span that is open, else a span that nobody recorded.
    """
    from rag_bench.observing import spans

    found = spans.current_ids()
    if found is not None:
        return f"00-{found.trace_id}-{found.span_id}-{'01' if found.sampled else '00'}"
    trace = _current.get()
    return f"00-{trace.trace_id}-{secrets.token_hex(8)}-01" if trace else None


@contextmanager
def tracing(
    trace_id: str, *, run_id: str | None = None, user_id: str | None = None, name: str = "eval run"
) -> Iterator[Trace]:
    """Do the work of the block under a trace: calls of providers, the log, evaluations name it.

    Args:
        trace_id: 32 hexadecimal digits.
        run_id: the service's run.
        user_id: who asked for it.
        name: of the span, where spans are recorded (`rag_bench.observing.spans`).
    """
    from rag_bench.observing import spans

    trace = Trace(trace_id, run_id, user_id)
    if _current.get() == trace:  # whoever called has begun it
        yield trace
        return
    token = _current.set(trace)
    try:
        said = {"rag_bench.run_id": run_id, "enduser.id": user_id}
        with spans.span(name, {key: value for key, value in said.items() if value}):
            yield trace
    finally:
        _current.reset(token)


def traced(trace_id: str | None) -> AbstractContextManager[Trace | None]:
    """Do the work of the block under a trace that somebody names, unless it is under one already.

    What is no trace id is passed over: a tag can be written by hand.
    """
    if trace_id and _TRACE_ID.fullmatch(trace_id) and _current.get() is None:
        return tracing(trace_id, name="step")
    return nullcontext()
