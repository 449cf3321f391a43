"""On 127.0.0.1: a provider that answers as the offline models do, counts, and fails on demand; and
the example assistant of docs/examples, which is what a target is measured with.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.config import LifespanType

from rag_bench.hashing import content_hash
from rag_bench.settings import PROJECT_ROOT
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.roster import Catalogue

Misbehave = Callable[[dict[str, Any], int], Awaitable[Response | None]]
"""Gets a request's body and number; returns what to answer instead of the model, or None."""


@contextmanager
def served(app: Any, log_level: str = "error", lifespan: LifespanType = "off") -> Iterator[str]:
    """Serve an ASGI application on a free port of this machine; yield its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, log_level=log_level, lifespan=lifespan, timeout_graceful_shutdown=1)
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = lifespan == "off"  # else what it has started is to be stopped
            thread.join()


def completion(content: str) -> JSONResponse:
    """A reply of OpenAI's shape."""
    message = {"role": "assistant", "content": content}
    return JSONResponse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    )


def refusal(status: int, **headers: str) -> JSONResponse:
    """An error of OpenAI's shape."""
    return JSONResponse({"error": {"message": f"отказ {status}"}}, status, headers=headers)


class LocalProvider:
    """Serves the offline models over HTTP until the block ends.

    Attributes:
        by_body: how often each distinct request was received.
        most_in_flight: of requests received and not yet answered.
        misbehave: what to do instead of answering; None: nothing.
        on_request: called with the number of each request before it is answered.
    """

    def __init__(
        self,
        key: Callable[[], AnswerKey],
        latency_seconds: float = 0.0,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._simulator = Simulator(key, catalogue=catalogue)
        self._latency = latency_seconds
        self.by_body: Counter[str] = Counter()
        self.by_model: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self.misbehave: Misbehave | None = None
        self.on_request: Callable[[int], None] | None = None
        self.url = ""

    @property
    def count(self) -> int:
        """How many requests were received."""
        return self.by_body.total()

    @property
    def repeated(self) -> int:
        """How many of them had been received before."""
        return self.count - len(self.by_body)

    @contextmanager
    def serving(self) -> Iterator[LocalProvider]:
        """Serve on a free port of this machine."""
        app = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])
        with served(app) as address:
            self.url = f"{address}/v1"
            yield self

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.by_body[content_hash(body)] += 1
        self.by_model[body["model"]] += 1
        number = self.count
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.on_request:
                self.on_request(number)
            if self.misbehave and (instead := await self.misbehave(body, number)):
                return instead
            if self._latency:
                await asyncio.sleep(self._latency)
            return completion(await self._simulator.reply(body["model"], body, 0))
        finally:
            self.in_flight -= 1


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """The provider `x`, over HTTP; a test says how it behaves."""
    with LocalProvider(AnswerKey).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-local")
        yield serving


_ASSISTANT = PROJECT_ROOT / "docs" / "examples" / "assistant.py"


def example() -> ModuleType:
    """The example's module."""
    if "assistant_of_docs" not in sys.modules:
        spec = importlib.util.spec_from_file_location("assistant_of_docs", _ASSISTANT)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["assistant_of_docs"] = module
        spec.loader.exec_module(module)
    return sys.modules["assistant_of_docs"]


@dataclass
class LocalAssistant:
    """A running assistant.

    Attributes:
        url: of POST /ask.
        faults: by question, the fault that it meets; a test may change it.
        on_request: called with the number of each request before it is answered.
    """

    url: str
    app: Any
    faults: dict[str, str]
    on_request: Callable[[int], None] | None = None

    @property
    def count(self) -> int:
        """How many requests were received."""
        return int(self.app.state.n_asked)


@contextmanager
def serving(
    chunks: Sequence[Any] | Callable[[], Sequence[Any]],
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalAssistant]:
    """Serve an assistant over chunks of a snapshot on a free port until the block ends.

    Chunks that are to be loaded are, at the first question.
    """
    module = example()

    def sources() -> list[Any]:
        found = chunks() if callable(chunks) else chunks
        return [module.Source(str(c.source_id), c.page_url, c.text) for c in found]

    faults: dict[str, str] = {}
    assistant = LocalAssistant("", None, faults)

    def fault_of(question: str) -> str | None:
        if assistant.on_request:
            assistant.on_request(assistant.count)
        return faults.get(question)

    assistant.app = module.create_app(module.KnowledgeBase(sources), fault_of, environment or {})
    with served(assistant.app, log_level="critical") as address:
        assistant.url = f"{address}/ask"
        yield assistant
