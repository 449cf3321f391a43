"""A call that failed, in words, and as the error of its case: its code, and whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from rag_bench.errors import Blame, CaseError, ErrorCode
from rag_bench.llm.config.advice import in_words
from rag_bench.llm.network.network import HopelessError
from rag_bench.llm.reading import replies
from rag_bench.llm.transport.call import Answer
from rag_bench.llm.transport.statuses import is_of_the_model
from rag_bench.llm.wires.wire import Wire

_UNREADABLE = "unreadable reply"  # how the ledger's message for such a reply begins


def describe(error: BaseException) -> str:
    """Return a transport's exception in words."""
    words = replies.shorten(str(error))
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within the connect timeout {words}".strip()
    if isinstance(error, httpx.TimeoutException):
        return words or "no complete reply in time"
    if isinstance(error, HopelessError):
        return words
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {words}"
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return f"the connection broke: {words or type(error).__name__}"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def of_road(model_key: str, error: Exception) -> CaseError:
    """Return the case's error where no reply came.

    A server that never takes a connection is gone; one that takes long may be slow for one case.
    """
    timed_out = isinstance(error, httpx.TimeoutException)
    slow = timed_out and not isinstance(error, httpx.ConnectTimeout)
    return CaseError(
        ErrorCode.TIMEOUT if timed_out else ErrorCode.LLM_FAILED,
        f"{model_key}: {describe(error)}",
        retryable=True,
        blame=Blame.provider if slow else Blame.connection,
    )


def of_status(model_key: str, wire: Wire, body: Mapping[str, Any], answer: Answer) -> CaseError:
    """Return the case's error where the answer is no 200: an HTTP error with what may mend it, or
    the ledger's own 502 for an unreadable reply, as its cause.
    """
    message = replies.short_error(answer.content)
    unreadable = message.startswith(_UNREADABLE)
    if not unreadable:
        hint = wire.advise(body, answer.status, answer.content)
        message = in_words(answer.status, message, hint)
    return CaseError(
        ErrorCode.LLM_FAILED,
        f"{model_key}: {message}",
        # A reply that came and cannot be read is kept; every other failure is asked again.
        retryable=not unreadable,
        blame=Blame.model if is_of_the_model(answer.status) else Blame.provider,
    )
