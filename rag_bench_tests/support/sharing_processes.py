"""Real processes that call one provider of so many slots at the same time.

The provider is a process as well, counts its calls in flight and tells them; each worker asks
distinct questions through the client, the ledger and the leases, as a run does.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

NAME = "shared"


class Counting:
    """An ASGI application that answers late and counts. A request's first word is its worker."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.in_flight = self.most = self.total = 0
        self.by_worker: dict[str, int] = {}
        self.by_body: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            told = {
                "in_flight": self.in_flight,
                "most": self.most,
                "total": self.total,
                "by_worker": self.by_worker,
                "repeated": self.total - len(self.by_body),
            }
            if scope["path"] == "/reset":
                self.most = self.in_flight
            await self._answer(send, told)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        question = json.loads(body)["messages"][-1]["content"]
        worker = question.partition(" ")[0]
        self.total += 1
        self.by_worker[worker] = self.by_worker.get(worker, 0) + 1
        self.by_body[question] = self.by_body.get(question, 0) + 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        finally:
            # Before the last byte is out: who reads it may call again at once.
            self.in_flight -= 1
        message = {"role": "assistant", "content": f"reply to {question}"}
        await self._answer(
            send,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            },
        )

    async def _answer(self, send: Any, body: Any) -> None:
        content = json.dumps(body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _serve(listener: socket.socket, latency: float) -> None:
    config = uvicorn.Config(Counting(latency), log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


@dataclass
class CountingProvider:
    """Its address, and what it has counted."""

    url: str

    def told(self, path: str = "/counts") -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def calls_of(self, worker: str) -> int:
        return int(self.told()["by_worker"].get(worker, 0))

    def wait_for(self, worker: str, calls: int, seconds: float = 60.0) -> None:
        """Wait until a worker's calls have come to this number."""
        deadline = time.monotonic() + seconds
        while self.calls_of(worker) < calls:
            assert time.monotonic() < deadline, f"{worker}: {self.told()}"
            time.sleep(0.05)


@contextmanager
def counting_provider(latency: float) -> Iterator[CountingProvider]:
    """Serve in a process of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(listener, latency), daemon=True
        )
        process.start()
        provider = CountingProvider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        provider.told()  # the socket listens already: this waits until it is served
        try:
            yield provider
        finally:
            process.terminate()
            process.join()


@dataclass
class Worker:
    """A process that asks; ``result`` waits for its end."""

    name: str
    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def ready(self) -> None:
        """Wait until everything is imported and open."""
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == "ready", self.process.stderr

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self, seconds: float = 300.0) -> dict[str, Any]:
        """What it says at its end: calls answered and failed, and its seconds."""
        out, errors = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, errors
        told: dict[str, Any] = json.loads(out.splitlines()[-1])
        return told


@contextmanager
def workers(
    provider: CountingProvider,
    database_url: str,
    slots: int,
    calls: Sequence[tuple[str, int]],
    **environment: str,
) -> Iterator[list[Worker]]:
    """Start a process for each (name, number of calls); each waits for `Worker.go`."""
    made = []
    for name, number in calls:
        variables = {
            f"PROVIDER_{NAME.upper()}_BASE_URL": f"{provider.url}/v1",
            f"PROVIDER_{NAME.upper()}_API_KEY": "sk-local",
            f"PROVIDER_{NAME.upper()}_CONCURRENCY": str(slots),
            "SHARED_DATABASE": database_url,
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), name, str(number)],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        made.append(Worker(name, process))
    try:
        for worker in made:
            worker.ready()
        yield made
    finally:
        for worker in made:
            if worker.process.poll() is None:
                worker.send(signal.SIGCONT)
                worker.process.kill()
                worker.process.wait()


async def _ask(name: str, calls: int) -> dict[str, Any]:
    from rag_bench.errors import CaseError
    from rag_bench.llm.config.providers import Providers
    from rag_bench.llm.transport.budget import spending
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.llm.transport.context import call_context

    url, budget = os.environ["SHARED_DATABASE"], None
    if cap := os.environ.get("SHARED_MAX_CALLS"):
        from rag_bench.llm.sharing.shared_budget import SharedBudget

        budget = SharedBudget(url, "together", max_calls=int(cap))
    word = os.environ.get("SHARED_QUESTIONS", name)
    answered, failed = 0, []
    left = iter(range(calls))
    with spending(budget):
        async with ChatModels(Providers(os.environ), url) as models:
            models.openai_client(f"{NAME}/m")  # the SDK is imported and the lease asked for
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            started = time.perf_counter()

            async def labour() -> None:
                nonlocal answered
                for number in left:
                    with call_context("generation", f"{word}{number}"):
                        try:
                            message = {"role": "user", "content": f"{word} {number}"}
                            await models.chat(f"{NAME}/m", "generation", [message])
                            answered += 1
                        except CaseError as error:
                            failed.append(error.detail)

            await asyncio.gather(*(labour() for _ in range(32)))
            seconds = time.perf_counter() - started
    if budget is not None:
        await budget.give_back()
    return {"answered": answered, "failed": failed, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(sys.argv[1], int(sys.argv[2])))), flush=True)
