"""A small assistant over the demo's own knowledge base, as a live one is asked: over HTTP.

    uvicorn --app-dir docs/examples --factory assistant:create_app --port 8090

It finds three chunks by BM25 and answers with the sentences nearest to the question. No language
model is asked. It is an example of what `rag-bench target` measures, and fails on demand, so that
you can see what the benchmark makes of it:

    POST /ask         {"question": "…"}  -> {"answer": "…", "sources": [{"id", "url", "text"}]}
    GET  /ask?question=…                 -> the same
    POST /ask/stream  {"question": "…"}  -> events {"delta": "…"}, …, {"sources": […]}, [DONE]

A fault is named by the query (?fault=500), by the header X-Fault, or for all requests by the
variable ASSISTANT_FAULT: an HTTP status, or one of FAULTS. ASSISTANT_TOKEN, if it is set, must come
as `Authorization: Bearer …`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from rag_bench.retrieval.bm25 import Bm25Index
from rag_bench.retrievers import Bm25
from rag_bench.simulator.extractive import extract

NOT_FOUND = "К сожалению, в базе знаний нет ответа на этот вопрос."
N_SOURCES = 3
#: What is answered in place of an answer, by the fault's name.
FAULTS = (
    "slow",  # as ever, after ASSISTANT_SLOW_SECONDS
    "hang",  # never
    "drip",  # blanks for ever, one at a time
    "cut",  # a part of a reply, and a closed connection
    "garbage",  # a page of HTML
    "empty",  # nothing at all
    "huge",  # more than anybody reads
    "other_shape",  # JSON without an answer
    "empty_answer",  # an answer of blanks
    "error_in_200",  # an error, with the status of a success
    "redirect",  # to another address
    "limited",  # 429 with a Retry-After longer than anybody waits
    "echo",  # an error that repeats the secret that came with the request
    "stream_error",  # a stream that ends in an error
)

FaultOf = Callable[[str], str | None]


@dataclass(frozen=True)
class Source:
    """A chunk of the knowledge base."""

    id: str
    url: str
    text: str


class KnowledgeBase:
    """Chunks, and a search for them; they are loaded at the first question."""

    def __init__(self, load: Callable[[], Sequence[Source]]) -> None:
        self._load = load

    @classmethod
    def of_the_store(cls) -> KnowledgeBase:
        """Return the chunks of the snapshot that rag-bench has loaded now."""
        from rag_bench.settings import get_settings
        from rag_bench.store import snapshots
        from rag_bench.store.database import ensure_database, make_engine

        engine = make_engine(ensure_database(get_settings()))
        try:
            current = snapshots.require_current(engine)
            chunks = snapshots.chunks_of(engine, current.sha256)
        finally:
            engine.dispose()
        return cls(lambda: [Source(str(c.source_id), c.page_url, c.text) for c in chunks])

    @cached_property
    def _sources(self) -> Sequence[Source]:
        return self._load()

    @cached_property
    def _index(self) -> Bm25Index:
        return Bm25Index.build([source.text for source in self._sources], Bm25())

    def search(self, question: str) -> list[Source]:
        """Return the chunks that answer to a question best."""
        [places] = self._index.search([question], N_SOURCES).indices
        return [self._sources[int(place)] for place in places if place >= 0]

    def answer(self, question: str) -> dict[str, Any]:
        """Return an answer and what it was made from."""
        sources = self.search(question)
        found = extract(question, list(enumerate((s.text for s in sources), start=1)))
        return {
            "answer": f"{found.text} [{found.fragment}]" if found else NOT_FOUND,
            "sources": [vars(source) for source in sources],
        }


class Cut(Response):
    """Headers that promise a body, a part of it, and a closed connection."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the part."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"answer": "x', "more_body": True})
        raise ConnectionAbortedError


def create_app(
    knowledge: KnowledgeBase | None = None,
    fault_of: FaultOf = lambda question: None,
    environment: Mapping[str, str] = os.environ,
) -> FastAPI:
    """Return the application.

    Args:
        knowledge: what it answers from; None: the chunks in rag-bench's store.
        fault_of: which fault a question meets, if neither query nor header names one.
        environment: where ASSISTANT_FAULT, ASSISTANT_TOKEN and ASSISTANT_SLOW_SECONDS are read.
    """
    app = FastAPI(title="An assistant to be measured")
    app.state.n_asked = 0
    known = knowledge or KnowledgeBase.of_the_store()

    async def respond(request: Request, question: str, stream: bool) -> Response:
        app.state.n_asked += 1
        token = environment.get("ASSISTANT_TOKEN")
        if token and request.headers.get("authorization") != f"Bearer {token}":
            return JSONResponse({"detail": "who are you?"}, 401)
        fault = (
            request.query_params.get("fault")
            or request.headers.get("x-fault")
            or fault_of(question)
            or environment.get("ASSISTANT_FAULT")
        )
        if fault == "slow":
            await asyncio.sleep(float(environment.get("ASSISTANT_SLOW_SECONDS", "2")))
        elif fault and not (fault == "stream_error" and stream):
            return await fail(fault, request)
        found = await asyncio.to_thread(known.answer, question)
        if not stream:
            return JSONResponse(found)
        return StreamingResponse(
            events(found, broken=fault == "stream_error"), media_type="text/event-stream"
        )

    @app.post("/ask")
    async def ask(request: Request, body: dict[str, Any]) -> Response:
        return await respond(request, str(body.get("question", "")), stream=False)

    @app.get("/ask")
    async def ask_by_query(request: Request, question: str) -> Response:
        return await respond(request, question, stream=False)

    @app.post("/ask/stream")
    async def ask_for_events(request: Request, body: dict[str, Any]) -> Response:
        return await respond(request, str(body.get("question", "")), stream=True)

    return app


async def events(found: Mapping[str, Any], broken: bool) -> AsyncIterator[str]:
    """Yield an answer word by word, then its sources; a broken stream ends in an error."""
    words = str(found["answer"]).split(" ")
    for number, word in enumerate(words):
        if broken and number == len(words) // 2:
            yield f"event: error\ndata: {json.dumps({'error': 'the model went away'})}\n\n"
            return
        delta = word if number == 0 else f" {word}"
        yield f"data: {json.dumps({'delta': delta}, ensure_ascii=False)}\n\n"
    yield f"data: {json.dumps({'sources': found['sources']}, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


async def fail(fault: str, request: Request) -> Response:
    """Return what a fault looks like from outside."""
    if fault.isdecimal():
        return JSONResponse({"detail": f"fault {fault}"}, int(fault))
    if fault == "hang":
        await asyncio.sleep(3600)
    if fault == "drip":
        return StreamingResponse(_drops(), media_type="application/json")
    sent = request.headers.get("authorization")
    replies: dict[str, Callable[[], Response]] = {
        "cut": Cut,
        "garbage": lambda: Response(b"<html>busy</html>", media_type="text/html"),
        "empty": lambda: Response(b"", media_type="application/json"),
        "huge": lambda: JSONResponse({"answer": "я" * 4_000_000}),
        "other_shape": lambda: JSONResponse({"ok": True, "text": {"body": "…"}}),
        "empty_answer": lambda: JSONResponse({"answer": "  ", "sources": []}),
        "error_in_200": lambda: JSONResponse({"error": {"message": "busy", "code": 503}}),
        "redirect": lambda: Response(status_code=302, headers={"location": "/elsewhere"}),
        "limited": lambda: JSONResponse({"detail": "later"}, 429, {"retry-after": "4000"}),
        "echo": lambda: JSONResponse({"detail": f"not you: {sent}"}, 400),
        "stream_error": lambda: Response(
            b'data: {"delta": "x"}\n\nevent: error\ndata: gone\n\n', media_type="text/event-stream"
        ),
    }
    if fault not in replies:
        return JSONResponse({"detail": f"no fault {fault!r}; there are {', '.join(FAULTS)}"}, 501)
    return replies[fault]()


async def _drops() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.05)
