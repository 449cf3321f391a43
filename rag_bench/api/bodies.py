"""Bodies of requests: how long, how deep, and what is JSON, before anything else reads them.

JSON is read as RFC 8259 says and stricter than Python reads it: UTF-8 only, no NaN and no Infinity,
no name twice in one object, no NUL and no half of a surrogate pair, which PostgreSQL and UTF-8
cannot hold. Each problem is located.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from rag_bench.api.problems import Code, Located, Problem, answer, pointer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Strings and brackets of one body, beyond which it is not looked through.
_MOST_PARTS = 4_000_000
#: How many problems of one body are told.
_MOST_TOLD = 100
# An unended string matches, too, or each of its quotes would be tried anew.
_PARTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Bodies:
    """Middleware: refuses bodies that are too long or no JSON before the application reads them.

    What was read of JSON stands in ``scope["state"]["json"]``. Bodies that are sent to the paths of
    ``unread`` stay unread, as nobody has to say there who it is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: int,
        most_depth: int,
        unread: Collection[str] = (),
    ) -> None:
        self._app, self._unread = app, unread
        self._most_bytes, self._most_depth = most_bytes, most_depth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._unread:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_headers(headers)
            if _is_json(headers):
                receive = await self._whole(scope, receive)
        except Problem as problem:
            await answer(scope, problem)(scope, receive, send)
            return
        counted = _Counted(receive, send, scope, self._most_bytes)
        await self._app(scope, counted.receive, counted.send)

    def _check_headers(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length) > self._most_bytes:
            raise _too_large(self._most_bytes)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return _replay(b"", message)
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._most_bytes:
                raise _too_large(self._most_bytes)
        whole = bytes(body)
        if whole:
            scope["state"]["json"] = await run_in_threadpool(read_json, whole, self._most_depth)
        return _replay(whole, None, receive)


class _Counted:
    """Counts a body that goes through; what is too long ends as 413, whatever was made of it."""

    def __init__(self, receive: Receive, send: Send, scope: Scope, most_bytes: int) -> None:
        self._receive, self._send, self._scope, self._most = receive, send, scope, most_bytes
        self._bytes, self._answered = 0, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise _too_large(self._most)
        return message

    async def send(self, message: Message) -> None:
        if self._answered:
            return
        if message["type"] == "http.response.start" and self._bytes > self._most:
            self._answered = True
            refusal = answer(self._scope, _too_large(self._most))
            await refusal(self._scope, self._receive, self._send)
            return
        await self._send(message)


def _is_json(headers: Headers) -> bool:
    # Nothing said is taken for JSON: a body that is read later without a check would be a hole.
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _too_large(most: int) -> Problem:
    return Problem(Code.TOO_LARGE, f"The body has more than {most} bytes.")


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


def read_json(body: bytes, most_depth: int) -> Any:
    """Return what a JSON body holds.

    Raises:
        Problem: it is too deep, is no JSON, or holds what it may not; with the places.
    """
    _check_depth(body, most_depth)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(body[: error.start])
        raise _unreadable(Located("This is no UTF-8.", line=line, column=column)) from None
    reader = _Reader()
    try:
        value = reader.read(text)
    except json.JSONDecodeError as error:
        where = Located("JSON ends or goes on otherwise here.", line=error.lineno)
        where = Located(where.detail, line=error.lineno, column=error.colno)
        raise _unreadable(where) from None
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise _unreadable(Located("A number or a nesting is beyond what can be read.")) from None
    if reader.odd or _SUSPECT.search(body):
        found = _odd(value)
        errors = [one for one, _ in zip(found, range(_MOST_TOLD), strict=False)]
        if errors:
            raise _unreadable(*errors)
    return value


def _unreadable(*errors: Located) -> Problem:
    return Problem(Code.INVALID_INPUT, "The body is not JSON that can be read.", errors=errors)


def _place(before: bytes) -> tuple[int, int]:
    line = before.count(b"\n") + 1
    return line, len(before) - (before.rfind(b"\n") + 1) + 1


def _check_depth(body: bytes, most: int) -> None:
    depth = 0
    for number, part in enumerate(_PARTS.finditer(body)):
        if number > _MOST_PARTS:
            raise Problem(Code.TOO_LARGE, "The body has too many values.")
        sign = body[part.start()]
        if sign in b"[{":
            depth += 1
            if depth > most:
                line, column = _place(body[: part.start()])
                detail = f"More than {most} objects and lists are inside each other here."
                raise _unreadable(Located(detail, line=line, column=column))
        elif sign in b"]}":
            depth -= 1


class _Twice(dict[str, Any]):
    """An object in which a name stands more than once."""

    names: tuple[str, ...] = ()


class _NoNumber(float):
    """NaN, Infinity, or what is larger than a number can be."""


class _Reader:
    """Reads JSON and marks what must be found again, as the reader itself does not say where."""

    def __init__(self) -> None:
        self.odd = False

    def read(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_constant=self._no_number,
            parse_float=self._float,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.odd = True
        seen: set[str] = set()
        twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        marked = _Twice(made)
        marked.names = tuple(dict.fromkeys(twice))
        return marked

    def _no_number(self, name: str) -> _NoNumber:
        self.odd = True
        return _NoNumber(name.replace("Infinity", "inf"))

    def _float(self, digits: str) -> float:
        found = float(digits)
        return self._no_number("inf") if found in (float("inf"), float("-inf")) else found


def _odd(value: Any, path: tuple[object, ...] = ()) -> Iterator[Located]:
    if isinstance(value, dict):
        if isinstance(value, _Twice):
            for name in value.names:
                shown = pointer((*path, _shown(name)))
                yield Located("This name stands twice in its object.", pointer=shown)
        for name, inner in value.items():
            here = (*path, _shown(name))
            yield from _odd_text(name, here)
            yield from _odd(inner, here)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _odd(inner, (*path, number))
    elif isinstance(value, _NoNumber):
        yield Located("This is no finite number.", pointer=pointer(path))
    elif isinstance(value, str):
        yield from _odd_text(value, path)


def _odd_text(text: str, path: tuple[object, ...]) -> Iterator[Located]:
    if "\0" in text:
        yield Located("This text holds a NUL.", pointer=pointer(path))
    elif _SURROGATE.search(text):
        yield Located("This text holds half of a surrogate pair.", pointer=pointer(path))


def _shown(name: str) -> str:
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", name).replace("\0", "\N{SYMBOL FOR NULL}")
