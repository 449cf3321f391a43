"""How a rerank service fails: each fault with its words, its code, and whether it may pass.

They are about a request of three passages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fake_provider import KEY
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from rag_bench.llm.transport.limits import MAX_REPLY_BYTES


async def _hang() -> Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def _drip() -> Response:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    return StreamingResponse(drops(), media_type="application/json")


class _Cut(Response):
    """Headers that promise a body, a part of it, and a closed connection."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"results": [', "more_body": True})
        raise ConnectionAbortedError


def refusal(status: int, **headers: str) -> JSONResponse:
    return JSONResponse({"message": f"отказ {status} {KEY}"}, status, headers=headers)


def raw(text: str) -> Response:
    return Response(text.encode(), media_type="application/json")


def rows_of(*pairs: tuple[Any, Any]) -> Response:
    return raw(json.dumps({"results": [{"index": i, "relevance_score": s} for i, s in pairs]}))


def at_once(make: Callable[[], Response]) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return make()

    return answer


#: name: what is answered, words of the error, its code, and whether the next run asks by itself.
FAULTS: dict[str, tuple[Callable[[], Awaitable[Response]], str, str, bool]] = {
    "400": (at_once(lambda: refusal(400)), "http 400: отказ", "LLM_FAILED", True),
    "401": (at_once(lambda: refusal(401)), "http 401: отказ", "LLM_FAILED", True),
    "404": (at_once(lambda: refusal(404)), "http 404: отказ", "LLM_FAILED", True),
    "413": (at_once(lambda: refusal(413)), "http 413: отказ", "LLM_FAILED", True),
    "422": (at_once(lambda: refusal(422)), "http 422: отказ", "LLM_FAILED", True),
    "429": (at_once(lambda: refusal(429)), "http 429: отказ", "LLM_FAILED", True),
    "429 Retry-After": (
        at_once(lambda: refusal(429, **{"retry-after": "3600"})),
        "http 429: отказ",
        "LLM_FAILED",
        True,
    ),
    "500": (at_once(lambda: refusal(500)), "http 500: отказ", "LLM_FAILED", True),
    "503": (at_once(lambda: refusal(503)), "http 503: отказ", "LLM_FAILED", True),
    "a redirect": (
        at_once(lambda: RedirectResponse("/elsewhere", 307)), "http 307", "LLM_FAILED", True
    ),
    "an error in a 200": (
        at_once(lambda: JSONResponse({"error": {"code": 503, "message": "занято"}})),
        "http 503: занято",
        "LLM_FAILED",
        True,
    ),
    "cut": (at_once(_Cut), "the connection broke", "LLM_FAILED", True),
    "hang": (_hang, "no complete reply within", "TIMEOUT", True),
    "slow drip": (_drip, "no complete reply within", "TIMEOUT", True),
    "empty": (at_once(lambda: raw("")), "unreadable reply: empty", "LLM_FAILED", False),
    "no JSON": (at_once(lambda: raw("<html>")), "unreadable reply: not JSON", "LLM_FAILED", False),
    "null": (at_once(lambda: raw("null")), "JSON, but no object", "LLM_FAILED", False),
    "another shape": (at_once(lambda: raw('{"ok": 1}')), "no list of results", "LLM_FAILED", False),
    "no rows": (at_once(lambda: raw('{"results": []}')), "0 of 3 passages", "LLM_FAILED", False),
    "NaN": (
        at_once(lambda: raw('[{"index": 0, "score": NaN}]')), "not JSON", "LLM_FAILED", False
    ),
    "infinite": (
        at_once(lambda: raw('[{"index": 0, "score": 1e999}]')), "not JSON", "LLM_FAILED", False
    ),
    "no number": (
        at_once(lambda: rows_of((0, "0.5"), (1, 0.5), (2, 0.5))),
        "the relevance_score of index 0 is no finite number",
        "LLM_FAILED",
        False,
    ),
    "a null score": (
        at_once(lambda: rows_of((0, None))), "is no finite number", "LLM_FAILED", False
    ),
    "true for a score": (
        at_once(lambda: rows_of((0, True))), "is no finite number", "LLM_FAILED", False
    ),
    "too few": (
        at_once(lambda: rows_of((2, 0.1), (0, 0.2))), "2 of 3 passages", "LLM_FAILED", False
    ),
    "one twice": (
        at_once(lambda: rows_of((0, 0.1), (1, 0.2), (1, 0.2))), "stands in it twice",
        "LLM_FAILED", False,
    ),
    "one too many": (
        at_once(lambda: rows_of((0, 0.1), (1, 0.2), (2, 0.3), (3, 0.4))), "none of 0 to 2",
        "LLM_FAILED", False,
    ),
    "a negative index": (
        at_once(lambda: rows_of((-1, 0.1))), "none of 0 to 2", "LLM_FAILED", False
    ),
    "true for an index": (
        at_once(lambda: rows_of((True, 0.1))), "none of 0 to 2", "LLM_FAILED", False
    ),
    "a fraction for an index": (
        at_once(lambda: rows_of((1.5, 0.1))), "none of 0 to 2", "LLM_FAILED", False
    ),
    "a row that is none": (at_once(lambda: raw("[1, 2, 3]")), "none of 0", "LLM_FAILED", False),
    "huge": (
        at_once(lambda: raw(json.dumps({"results": "я" * MAX_REPLY_BYTES}))),
        "longer than",
        "LLM_FAILED",
        False,
    ),
}  # fmt: skip
