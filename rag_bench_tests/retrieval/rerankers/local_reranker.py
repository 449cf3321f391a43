"""A `/rerank` service on 127.0.0.1: scores by words that question and passage share, counts, and
fails on demand."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from local_provider import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Misbehave = Callable[[dict[str, Any], int], Awaitable[Response | None]]
"""Gets a request's body and number; returns what to answer instead of scores, or None."""


def scores_of(question: str, passages: Sequence[str]) -> list[float]:
    """Return the share of the question's words that each passage has."""
    words = set(question.lower().split())
    return [len(words & set(passage.lower().split())) / len(words) for passage in passages]


def ranking(scores: Sequence[float], **more: Any) -> JSONResponse:
    """A reply as Cohere, Jina and vLLM send it: best first."""
    rows = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
    rows.sort(key=lambda row: -row["relevance_score"])
    return JSONResponse({"results": rows, **more})


def bare_list(scores: Sequence[float]) -> JSONResponse:
    """A reply as TEI sends it."""
    return JSONResponse([{"index": n, "score": score} for n, score in enumerate(scores)])


class LocalReranker:
    """Serves until the block ends.

    Attributes:
        bodies, headers: of the requests received, in order.
        misbehave: what to do instead of scoring; None: nothing.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.misbehave: Misbehave | None = None
        self.url = ""

    @property
    def count(self) -> int:
        """How many requests were received."""
        return len(self.bodies)

    @contextmanager
    def serving(self) -> Iterator[LocalReranker]:
        """Serve on a free port of this machine."""
        app = Starlette(routes=[Route("/v1/rerank", self._answer, methods=["POST"])])
        with served(app) as address:
            self.url = f"{address}/v1/rerank"
            yield self

    async def _answer(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        number = self.count
        if self.misbehave and (instead := await self.misbehave(body, number)):
            return instead
        if "texts" in body:
            return bare_list(scores_of(body["query"], body["texts"]))
        return ranking(scores_of(body["query"], body["documents"]))
