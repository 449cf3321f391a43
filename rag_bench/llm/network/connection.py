"""One connection to a provider, by httpcore's HTTP/1.1 over a plain asyncio socket.

httpx's own transport puts a pool over each connection and anyio under it: a request then costs the
processor twice as much, and passes through the event loop eight times more before it has left. Here
a request leaves in one piece as soon as it is its turn.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore
import httpx

_KEPT = 30.0  # seconds, of a connection that nobody uses
_MOST_UNREAD = 256_000  # bytes that have come and were not read; the sender waits then


class Connection(httpx.AsyncBaseTransport):
    """A connection for one request at a time; another one where it was closed."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        """``tls``: how servers are trusted."""
        self._tls = tls
        self._open: httpcore.AsyncHTTPConnection | None = None
        self._origin: httpcore.Origin | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        with _httpx_errors():
            if target.scheme not in (b"http", b"https"):
                raise httpcore.UnsupportedProtocol(
                    f"The address {url} has to begin with http:// or https://."
                )
            connection = await self._connection(target.origin)
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    target,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast(AsyncIterator[bytes], response.stream)),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    async def _connection(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        found = self._open
        if found is not None and (
            found.is_closed() or origin != self._origin or found.has_expired()
        ):
            await self.aclose()
            found = None
        if found is None:
            self._origin = origin
            found = self._open = httpcore.AsyncHTTPConnection(
                origin, ssl_context=self._tls, keepalive_expiry=_KEPT, network_backend=_Sockets()
            )
        return found


class _Body(httpx.AsyncByteStream):
    """A reply's bytes, with httpx's errors."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for part in self._inner:
                yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as httpx's, which have the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


class _Sockets(httpcore.AsyncNetworkBackend):
    """Opens asyncio's sockets for httpcore."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        with _as(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(
                    _Stream, host, port, happy_eyeballs_delay=0.25
                )
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """A socket as httpcore reads and writes it. What is written leaves at the next read, at once:
    a request's head and body are one packet.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._to_send: list[bytes] = []
        self._come: deque[bytes] = deque()
        self._n_unread = 0
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._come.append(data)
        self._n_unread += len(data)
        if self._n_unread > _MOST_UNREAD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._error = True, exc
        self._wake()

    # What httpcore asks.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._flush()
        if not self._come and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            with _as(httpcore.ReadTimeout, httpcore.ReadError):
                if timeout is None:
                    await self._reader
                else:
                    async with asyncio.timeout(timeout):
                        await self._reader
        if not self._come:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            return b""
        part = self._come.popleft()
        if len(part) > max_bytes:
            self._come.appendleft(part[max_bytes:])
            part = part[:max_bytes]
        was_full = self._n_unread > _MOST_UNREAD
        self._n_unread -= len(part)
        if was_full and self._n_unread <= _MOST_UNREAD and not self._ended:
            assert self._transport is not None
            self._transport.resume_reading()
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._to_send.append(buffer)

    async def aclose(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.close()  # says goodbye over TLS
            await asyncio.sleep(0)
            transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        try:
            with _as(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    self._transport = await loop.start_tls(
                        self._transport, self, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # of an idle connection: it was closed, or is out of step
            return self._ended or bool(self._come)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        if self._transport is None:
            return None
        return self._transport.get_extra_info(names.get(info, info))

    def _flush(self) -> None:
        if self._to_send and self._transport is not None:
            self._transport.write(b"".join(self._to_send))
            self._to_send.clear()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)


@contextmanager
def _as(timeout: type[Exception], failure: type[Exception]) -> Iterator[None]:
    """Raise what a socket raises as httpcore's errors."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:  # of TLS, too
        raise failure(str(error)) from error
