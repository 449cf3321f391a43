"""The gate before every request: who asks, how often, under which trace; and the audit of it.

Nothing behind it is reached without a key or a token but `PUBLIC`. It knows no endpoint: which
scope one needs stands with the endpoint, as `needs(Scope.…)`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from rag_bench.access.scopes import Principal
from rag_bench.api.callers import SAFE, Callers
from rag_bench.api.problems import Code, Problem, answer, of_status
from rag_bench.observing import spans
from rag_bench.observing.trace import new_trace_id
from rag_bench.store.access.audit import Action, Outcome, record

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What anybody may ask: whether the service lives and is ready. Nothing else.
PUBLIC = frozenset({"/healthz", "/readyz"})
#: Open to whoever signs what is sent (`rag_bench.api.hooks`), with no key and no token.
SIGNED = frozenset({"/hooks/model-updated", "/hooks/documents-updated"})
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)"
)
_log = logging.getLogger("rag_bench.api")


@dataclass
class Asked:
    """One request, as the gate and those behind it know it; ``scope["state"]["asked"]``."""

    trace_id: str
    method: str
    address: str | None
    principal: Principal | None = None
    run_id: str | None = None
    code: Code | None = None
    recorded: bool = True
    noted: bool = False  # the audit has its row already, from the transaction of what was done
    began: float = field(default_factory=time.monotonic)


def trace_of(headers: Headers) -> str:
    """Return the trace id of `traceparent` (W3C Trace Context), else a new one.

    Where spans are recorded, the request's span has begun before, and has done the same.
    """
    if (span := spans.current_ids()) is not None:
        return span.trace_id
    given = headers.getlist("traceparent")
    found = _TRACEPARENT.match(given[0].strip()) if len(given) == 1 else None
    return found[1] if found else new_trace_id()


class BrokenOffError(Exception):
    """A reply that had begun could not be ended."""


class Gate:
    """Middleware around all others."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        engine: Engine,
        quick: Engine,
        callers: Callers,
        observe: Callable[[str, str | None, int, float], None],
    ) -> None:
        """``observe`` is told each request: method, template of the route, status, seconds."""
        self._app, self._engine, self._quick, self._callers = app, engine, quick, callers
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever fails behind is told as a problem, its cause only logged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        method = scope["method"]
        asked = Asked(trace_of(headers), method, (scope.get("client") or [None])[0])
        scope.setdefault("state", {})["asked"] = asked
        if method == "HEAD":
            # As GET, without the body. In a copy: the server must know that none will come, or it
            # waits for the bytes of Content-Length and breaks the connection.
            scope = {**scope, "method": "GET"}
        reply = _Reply(scope, send, asked, self._record)
        try:
            if scope["path"] in SIGNED:
                await run_in_threadpool(self._callers.admit_unknown, asked)
            elif scope["path"] not in PUBLIC:
                await run_in_threadpool(self._callers.admit, asked, scope["path"], headers)
            await self._app(scope, receive, reply.send)
        except Problem as problem:
            await self._tell(problem, reply, scope, receive)
        except ClientDisconnect:  # nobody is there to be told
            _log.info("A client hung up.", extra={"trace_id": asked.trace_id})
        except Exception:
            _log.exception("A request failed.", extra={"trace_id": asked.trace_id})
            if reply.started:
                # Ends the connection. What it was stands in the log, and nowhere else.
                raise BrokenOffError("A reply broke off.") from None
            await self._tell(of_status(500), reply, scope, receive)

    async def _tell(self, problem: Problem, reply: _Reply, scope: Scope, receive: Receive) -> None:
        if not reply.started:
            await answer(scope, problem)(scope, receive, reply.send)

    def _record(self, scope: Scope, status: int) -> None:
        """Write the audit's row; where that fails, a read is answered all the same."""
        from sqlalchemy.exc import SQLAlchemyError

        asked: Asked = scope["state"]["asked"]
        action = _action(scope, asked, status)
        said = {name: getattr(action, name) for name in _LOGGED}
        seconds = time.monotonic() - asked.began
        self._observe(asked.method, getattr(scope.get("route"), "path", None), status, seconds)
        spent = round(seconds * 1000, 1)
        level = logging.DEBUG if scope["path"] in PUBLIC else logging.INFO
        _log.log(level, "%s %d", action.action, status, extra={**said, "ms": spent})
        if not _writes(asked, scope, status):
            return
        try:
            # A read is not worth a wait for the disk.
            engine = self._quick if asked.method in SAFE else self._engine
            with engine.connect() as connection:
                record(connection, action)
                connection.commit()
        except SQLAlchemyError:  # of an action that changes something, its own row is the truth
            _log.exception("The audit could not be written.", extra={"trace_id": asked.trace_id})


def _writes(asked: Asked, scope: Scope, status: int) -> bool:
    """Whether the audit gets a row of this request here."""
    if scope["path"] in PUBLIC or not asked.recorded:
        return False
    return not asked.noted or status >= 400


_LOGGED = tuple(one.name for one in fields(Action))


def _action(scope: Scope, asked: Asked, status: int) -> Action:
    route = getattr(scope.get("route"), "path", None)
    known = scope["path"] in PUBLIC
    outcome: Outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
    caller = asked.principal
    return Action(
        # The template, not the path: what a stranger writes has no place in the audit.
        action=f"{_word(asked.method)} {route or (scope['path'] if known else '-')}",
        outcome=outcome,
        trace_id=asked.trace_id,
        user_id=caller.user_id if caller else None,
        key_id=caller.key_id if caller else None,
        code=asked.code,
        status=status,
        run_id=asked.run_id,
        address=asked.address,
    )


def _word(method: str) -> str:
    return method if re.fullmatch(r"[A-Z]{1,16}", method) else "?"


class _Reply:
    """The way back: the audit's row is written before the first byte goes out."""

    def __init__(
        self, scope: Scope, send: Send, asked: Asked, note: Callable[[Any, int], None]
    ) -> None:
        self._scope, self._send, self._asked, self._note = scope, send, asked, note
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["X-Trace-Id"] = self._asked.trace_id
            headers.setdefault("Cache-Control", "no-store")
            headers["X-Content-Type-Options"] = "nosniff"
            if _writes(self._asked, self._scope, message["status"]):
                await run_in_threadpool(self._note, self._scope, message["status"])
            else:
                self._note(self._scope, message["status"])
        elif self._asked.method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)
