"""Bodies of requests: how long, how slow, how deep, and what is JSON, before others read them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from rag_bench.api.problems import Code, Problem, answer, of_input
from rag_bench.strict_json.places import InvalidInput, TooLarge
from rag_bench.strict_json.reading import BYTE_ORDER_MARK, read_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of JSON that are read in less time than a thread takes to begin.
_SHORT = 8192


class Bodies:
    """Middleware: refuses bodies that are too long, too slow or no JSON before others read them.

    What was read of JSON stands in ``scope["state"]["json"]``. Bodies that are sent to the paths of
    ``unread`` stay unread, as nobody has to say there who it is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: int,
        most_depth: int,
        most_seconds: float,
        unread: Collection[str] = (),
    ) -> None:
        self._app, self._unread = app, unread
        self._most_bytes, self._most_depth = most_bytes, most_depth
        self._most_seconds = most_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._unread:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_headers(headers)
            if _is_json(headers):
                waiting = Waiting(receive, self._most_seconds)
                receive = await self._whole(scope, waiting.receive, receive)
        except Problem as problem:
            await answer(scope, problem)(scope, receive, send)
            return
        except (InvalidInput, TooLarge) as error:
            await answer(scope, of_input(error))(scope, receive, send)
            return
        counted = _Counted(receive, send, scope, self._most_bytes, self._most_seconds)
        await self._app(scope, counted.receive, counted.send)

    def _check_headers(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length) > self._most_bytes:
            raise _too_large(self._most_bytes)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")

    async def _whole(self, scope: Scope, waiting: Receive, receive: Receive) -> Receive:
        body, more = bytearray(), True
        while more:
            message = await waiting()
            if message["type"] == "http.disconnect":
                return _replay(b"", message)
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._most_bytes:
                raise _too_large(self._most_bytes)
        whole = bytes(body)
        if len(whole) > _SHORT:
            scope["state"]["json"] = await run_in_threadpool(read_json, whole, self._most_depth)
        elif whole:
            scope["state"]["json"] = read_json(whole, self._most_depth)
        # What reads it behind takes a byte order mark for a mistake.
        return _replay(whole.removeprefix(BYTE_ORDER_MARK), None, receive)


class Waiting:
    """Receives a body, which is waited for so many seconds in all; what is done between its blocks
    does not count, and after its end nothing does.
    """

    def __init__(self, receive: Receive, most_seconds: float) -> None:
        self._receive, self._most = receive, most_seconds
        self._waited, self._ended = 0.0, False

    async def receive(self) -> Message:
        """Return the next block.

        Raises:
            Problem: the body took too long.
        """
        if self._ended:  # what comes now is that the client hangs up, whenever that is
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._most - self._waited)):
                message = await self._receive()
        except TimeoutError:
            raise too_slow(self._most) from None
        finally:
            self._waited += time.monotonic() - began
        self._ended = not message.get("more_body", False)
        return message


class _Counted:
    """Counts a body that goes through; what is too long or too slow ends as that, whatever was made
    of it.
    """

    def __init__(
        self, receive: Receive, send: Send, scope: Scope, most_bytes: int, most_seconds: float
    ) -> None:
        self._waiting = Waiting(receive, most_seconds)
        self._send, self._scope, self._most = send, scope, most_bytes
        self._bytes, self._answered = 0, False
        self._refusal: Problem | None = None

    async def receive(self) -> Message:
        try:
            message = await self._waiting.receive()
        except Problem as problem:
            self._refusal = problem
            raise
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            self._refusal = _too_large(self._most)
            raise self._refusal
        return message

    async def send(self, message: Message) -> None:
        if self._answered:
            return
        if message["type"] == "http.response.start" and self._refusal is not None:
            self._answered = True
            refusal = answer(self._scope, self._refusal)
            await refusal(self._scope, self._waiting.receive, self._send)
            return
        await self._send(message)


def _is_json(headers: Headers) -> bool:
    # Nothing said is taken for JSON: a body that is read later without a check would be a hole.
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _too_large(most: int) -> Problem:
    return Problem(Code.TOO_LARGE, f"The body has more than {most} bytes.")


def too_slow(most_seconds: float) -> Problem:
    """Return what is told of a body that took longer than it may; its connection ends with it."""
    detail = f"The body took more than {most_seconds:g} s."
    return Problem(Code.REQUEST_TIMEOUT, detail, headers={"Connection": "close"})


def _replay(body: bytes, then: Message | None, receive: Receive | None = None) -> Receive:
    sent = then is not None

    async def again() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        if receive is not None:
            return await receive()
        return {"type": "http.disconnect"}

    return again
