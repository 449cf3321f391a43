"""A real receiver of webhooks on 127.0.0.1, and runs that tell it that they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local_provider import served
from sqlalchemy import Engine, insert
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rag_bench.store.eval_runs.callbacks import enqueue
from rag_bench.store.eval_runs.tables import eval_run

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what to answer: by path, a response or what makes one."""

    url: str = ""
    came: list[Received] = field(default_factory=list)
    answers: dict[str, Callable[[], Response]] = field(default_factory=dict)

    def wait_for(self, n: int, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while len(self.came) < n:
            assert time.monotonic() < end, f"{len(self.came)} of {n} came"
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive until the block ends."""
    made, lock = Receiver(), threading.Lock()

    async def take(request: Request) -> Response:
        body = await request.body()
        with lock:
            made.came.append(Received(request.url.path, dict(request.headers), body))
        answer = made.answers.get(request.url.path)
        return answer() if answer else Response(status_code=204)

    with served(Starlette(routes=[Route("/{path:path}", take, methods=["POST", "GET"])])) as url:
        made.url = url
        yield made


def a_finished_run(engine: Engine, url: str | None, run_id: str = "r1", **more: Any) -> str | None:
    """Store a run that has ended, with what is to be told of it; return the callback's id."""
    chrf = {"value": 0.5, "n_scored": 2, "n_expected": 2, "ci_low": 0.25, "ci_high": 0.75, "x": 1}
    values: dict[str, Any] = {
        "id": run_id,
        "trace_id": TRACE,
        "user_id": "anna",
        "subject": "key:1",
        "status": "succeeded",
        "mode": "async",
        "place": "service",
        "n_cases": 2,
        "counts": {"scored": 2, "failed": 0, "errored": 0, "missing": 0},
        "aggregates": {"chrf": chrf},
        "callback_url": url,
        **more,
    }
    with engine.begin() as connection:
        connection.execute(insert(eval_run).values(**values))
        return enqueue(connection, run_id)
