"""One connection to a provider: kept, made anew, read to the end, broken."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from itertools import count

import httpx
import pytest

from rag_bench.llm.network import connection as connections
from rag_bench.llm.network.connection import Connection

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(len(b'{"model":"m"}'))


def _asked(serve: Serve, n_requests: int = 1) -> tuple[list[bytes], int]:
    """Return the replies of a server to requests on one connection, and how many it accepted."""
    numbers = count(1)
    accepted = 0

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted = next(numbers)
        try:
            await serve(reader, writer, accepted)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has closed it, or the test is over
        finally:
            writer.close()

    async def run() -> list[bytes]:
        server = await asyncio.start_server(serving, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = Connection(ssl.create_default_context())
        replies = []
        async with server, asyncio.timeout(20):
            for _ in range(n_requests):
                request = httpx.Request(
                    "POST", f"http://127.0.0.1:{port}/v1/x", content=b'{"model":"m"}'
                )
                response = await connection.handle_async_request(request)
                try:
                    replies.append(b"".join([part async for part in response.aiter_raw()]))
                finally:
                    await response.aclose()
                await asyncio.sleep(0.2)  # what the server does after its reply is seen
            await connection.aclose()
        return replies

    return asyncio.run(run()), accepted


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        while await _request(reader):
            writer.write(_OK)

    assert _asked(serve, 3) == ([b"ok"] * 3, 1)


def test_one_that_the_server_closed_meanwhile_is_made_anew() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await _request(reader)
        writer.write(_OK)  # and ends, without a word of it in the headers

    assert _asked(serve, 3) == ([b"ok"] * 3, 3)


def test_bytes_that_nobody_asked_for_answer_no_other_request() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        while await _request(reader):
            writer.write(_OK)
            if n == 1:
                await writer.drain()
                await asyncio.sleep(0.01)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")

    assert _asked(serve, 2) == ([b"ok"] * 2, 2)


def test_a_reply_longer_than_what_is_kept_unread_comes_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_MOST_UNREAD", 1_000)
    body = bytes(range(256)) * 8_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 100_000):
            part = body[start : start + 100_000]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    assert _asked(serve) == ([body], 1)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "disconnected without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "peer closed connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
    ],
)
def test_a_reply_that_is_none_is_an_error_of_httpx(said: bytes, error: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await _request(reader)
        writer.write(said)

    with pytest.raises(httpx.RemoteProtocolError, match=error):
        _asked(serve)


def test_a_connection_that_is_reset_is_a_read_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, n: int) -> None:
        await reader.readexactly(1)  # the rest stays unread, so that the system sends a reset
        writer.transport.abort()

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        _asked(serve)


def test_an_address_that_is_none_of_the_web_is_said() -> None:
    connection = Connection(ssl.create_default_context())
    request = httpx.Request("POST", "ftp://127.0.0.1/x")
    with pytest.raises(httpx.UnsupportedProtocol, match="http://"):
        asyncio.run(connection.handle_async_request(request))


def test_nobody_there_is_a_connect_error() -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await Connection(ssl.create_default_context()).handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{port}/")
        )

    with pytest.raises(httpx.ConnectError):
        asyncio.run(run())
