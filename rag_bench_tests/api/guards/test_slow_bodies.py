"""A body that comes too slowly ends as 408 and with its connection, whatever reads it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from api_access import a_key, bearer
from sqlalchemy import Engine

from rag_bench.api import hooks
from rag_bench.api.app import build
from rag_bench.settings import Settings

#: Seconds that a body is waited for here, and those after which a test gives up.
MOST, PATIENCE = 0.5, 30


@pytest.fixture
def port(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The real application on a socket, as only there a body comes by and by."""
    monkeypatch.setattr(hooks, "MOST_SECONDS", MOST)
    app = build(engine, Settings(api_body_seconds=MOST))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(PATIENCE)


def drip(port: int, path: str, headers: dict[str, str], body: bytes, pause: float) -> bytes:
    """Send a body in blocks with pauses, until the service has answered; return all it said."""
    said = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        until = time.monotonic() + PATIENCE
        ended, heard = threading.Event(), bytearray()

        def listen() -> None:
            try:
                while block := connection.recv(65536):
                    heard.extend(block)
            except OSError:
                pass
            ended.set()

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            for start in range(0, len(body), 8):
                connection.sendall(body[start : start + 8])
                if ended.wait(pause) or time.monotonic() > until:
                    break
        except OSError:
            pass  # closed meanwhile, as it has to be
        assert ended.wait(PATIENCE), "the connection goes on"
        listener.join(PATIENCE)
    return bytes(heard)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/eval/run", "application/json"),
        ("/eval/run", "application/x-ndjson"),
        ("/eval/run", "multipart/form-data; boundary=x"),
        (hooks.MODEL, "application/json"),
    ],
)
def test_a_slow_body_ends_as_408(port: int, engine: Engine, path: str, kind: str) -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="request"\r\n\r\n' + b" " * 100_000
    key = bearer(a_key(engine, ["run"]))
    heard = drip(port, path, {**key, "Content-Type": kind}, body, MOST / 5)
    head, _, said = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(said)["code"] == "REQUEST_TIMEOUT"


def test_a_body_that_is_there_is_no_slow_one(port: int, engine: Engine) -> None:
    headers = {**bearer(a_key(engine, ["read"])), "Content-Type": "application/json"}
    heard = drip(port, "/no/such/path", {**headers, "Connection": "close"}, b'{"a": [1, 2, 3]}', 0)
    assert heard.startswith(b"HTTP/1.1 404 ")
