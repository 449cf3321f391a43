"""Connections to one provider, one transport each.

httpcore's pool looks through all of its connections, several times per request, so that at 32 in
flight it takes more of the processor than everything else. A pool of one has nothing to look
through; which of them is free is known here without looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx


class Lanes(httpx.AsyncBaseTransport):
    """As many transports as there are requests in flight at once, each with one connection.

    The one used last is used first, so that those which a quiet provider needs no more grow old
    and are closed. How many there may be is decided above (`rag_bench.llm.limits`).
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._free: list[httpx.AsyncBaseTransport] = []
        self._all: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._free:
            lane = self._free.pop()
        else:
            lane = self._make()
            self._all.append(lane)
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._free.append(lane)
            raise
        response.stream = _Stream(response.stream, lambda: self._free.append(lane))
        return response

    async def aclose(self) -> None:
        lanes, self._all, self._free = self._all, [], []
        await asyncio.gather(*(lane.aclose() for lane in lanes))


class _Stream(httpx.AsyncByteStream):
    """A reply's bytes; its lane is free again when it is closed."""

    def __init__(
        self, inner: httpx.SyncByteStream | httpx.AsyncByteStream, free: Callable[[], None]
    ) -> None:
        assert isinstance(inner, httpx.AsyncByteStream)
        self._inner = inner
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            free, self._free = self._free, None
            if free is not None:
                free()
