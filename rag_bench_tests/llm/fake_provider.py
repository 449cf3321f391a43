"""A real local provider: an HTTP server whose replies each test decides."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.limits import Limits

Behaviour = Callable[[dict[str, Any], int], Awaitable[Response]]
KEY = "sk-planted-0123456789abcdef"

# Waits of milliseconds: what is tested is that they happen, not how long they are.
FAST = Limits(
    concurrency=8,
    call_timeout=10.0,
    connect_timeout=2.0,
    max_retries=2,
    backoff_base=0.001,
    backoff_max=0.002,
    first_limited_rate=1000.0,
)


def completion(text: Any, **choice: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
                **choice,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


class FakeProvider:
    """An OpenAI-style endpoint on 127.0.0.1; `behaviour` gets the body and the call's number."""

    def __init__(self, tls: tuple[Path, Path] | None = None) -> None:
        """``tls``: files of a private key and of a certificate; without, plain HTTP."""
        self._scheme = "https" if tls else "http"
        files = {"ssl_keyfile": str(tls[0]), "ssl_certfile": str(tls[1])} if tls else {}
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.queries: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.behaviour: Behaviour = self.number_of_call
        self.released = threading.Event()  # of calls that hang until the test lets them go
        app = Starlette(
            routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])],
        )
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="error",
            timeout_graceful_shutdown=1,
            **files,  # type: ignore[arg-type]
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._socket.listen(128)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/v1"

    @property
    def count(self) -> int:
        return len(self.bodies)

    async def number_of_call(self, body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion(f"ответ {number}"))

    async def hang(self) -> None:
        while not self.released.is_set():
            await asyncio.sleep(0.01)

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        self.bodies.append(json.loads(raw) if raw else {})
        self.headers.append(dict(request.headers))
        self.queries.append(dict(request.query_params))
        self.paths.append(request.url.path)
        number = len(self.bodies)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.behaviour(self.bodies[-1], number)
        finally:
            self.in_flight -= 1

    def stop(self) -> None:
        self.released.set()
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.stop()


@pytest.fixture
def second_provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    yield fake
    fake.stop()


@pytest.fixture
def resetting_port() -> Iterator[int]:
    """A port that takes a connection, reads a little and resets it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(1)
            # Lingering for no time makes close() send RST.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    threading.Thread(target=run, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.fixture
def refusing_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def providers_for(**ports_or_urls: str | int) -> Providers:
    """Configured providers by name, all with the planted key and the provider's own suffix."""
    environment = {}
    for name, place in ports_or_urls.items():
        url = place if isinstance(place, str) else f"http://127.0.0.1:{place}/v1"
        environment[f"PROVIDER_{name.upper()}_BASE_URL"] = url
        environment[f"PROVIDER_{name.upper()}_API_KEY"] = f"{KEY}-{name}"
    return Providers(environment)


@pytest.fixture
def models(database_url: str, provider: FakeProvider) -> Callable[..., ChatModels]:
    """Make clients on the test's own database; by default of one provider named `fake`."""

    def make(limits: Limits = FAST, **places: str | int) -> ChatModels:
        configured = providers_for(**(places or {"fake": provider.base_url}))
        return ChatModels(configured, database_url, limits=limits)

    return make


def question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
