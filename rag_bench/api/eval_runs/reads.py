"""What is read of runs: a page of them, one, its cases as pages or as a stream."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs import cursors, models
from rag_bench.api.eval_runs.asking import AskedCases, AskedRuns
from rag_bench.api.eval_runs.finding import RunId, etag, found, unchanged
from rag_bench.api.eval_runs.seen import cases_as_seen, run_as_seen
from rag_bench.api.eval_runs.shown import marks, summary
from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from sqlalchemy import Engine

NDJSON = "application/x-ndjson"
#: Cases that are read at once for a stream, and bytes that are sent at once.
_ROWS, _CHUNK = 200, 1 << 16
_STREAM = {
    "content": {NDJSON: {"schema": {"type": "string"}}},
    "description": "A page; by `Accept: application/x-ndjson` all cases, one a line.",
}
_NOT_MODIFIED = {"description": "It is as the `If-None-Match` says."}


def router(engine: Engine) -> APIRouter:
    """Return the endpoints that read runs of one database."""
    made = APIRouter(prefix="/eval/runs", tags=["runs"])

    @made.get("", responses={200: {"model": models.Runs}}, summary="Runs, newest first")
    def list_runs(
        asked: Annotated[AskedRuns, Query()], caller: Annotated[Principal, needs(Scope.READ)]
    ) -> JSONResponse:
        """Pages hold still while runs begin: a page's cursor goes on behind its last run. Personal
        data is masked in runs of others, but for who may `admin`.
        """
        bound = asked.asked()
        before = cursors.read(asked.cursor, bound, str) if asked.cursor else None
        with engine.connect() as connection:
            rows = reading.runs(connection, asked.wanted(), before=before, limit=asked.limit + 1)
        shown, more = rows[: asked.limit], len(rows) > asked.limit
        following = cursors.write(shown[-1]["id"], bound) if more else None
        told = [run_as_seen(engine, caller, row, summary(row)) for row in shown]
        return JSONResponse({"runs": told, "next_cursor": following})

    @made.get(
        "/{run_id}",
        responses={200: {"model": models.RunSummary}, 304: _NOT_MODIFIED},
        summary="How far a run is",
    )
    def one_run(
        request: Request, run_id: RunId, caller: Annotated[Principal, needs(Scope.READ)]
    ) -> Response:
        """Counts and aggregates of the cases so far, cost, what is left; with an `ETag`."""
        with engine.connect() as connection:
            row = found(request, connection, run_id)
            marked = marks(connection, row)
        mark = {"ETag": etag(row, *marked), "Cache-Control": "no-cache"}
        if unchanged(request, mark["ETag"]):
            return Response(status_code=304, headers=mark)
        told = run_as_seen(engine, caller, row, summary(row))
        return JSONResponse({**told, "notes": [*told["notes"], *marked]}, headers=mark)

    @made.get(
        "/{run_id}/cases",
        responses={200: {**_STREAM, "model": models.Cases}},
        summary="Cases of a run",
    )
    def cases(
        request: Request,
        run_id: RunId,
        asked: Annotated[AskedCases, Query()],
        caller: Annotated[Principal, needs(Scope.READ)],
    ) -> Response:
        """In the order in which they were given. The stream has all that fit the filter. Personal
        data is masked, but in cases that the caller sent, and for who may `admin`.
        """
        bound = {"run": run_id, **asked.asked()}
        after = cursors.read(asked.cursor, bound, int) if asked.cursor else -1
        with engine.connect() as connection:
            run = found(request, connection, run_id)
            if NDJSON in request.headers.get("accept", ""):
                lines = _lines(engine, caller, run, asked.wanted(), after)
                return _stream(request, lines)
            rows = reading.cases(
                connection, run_id, asked.wanted(), after=after, limit=asked.limit + 1
            )
        shown, more = rows[: asked.limit], len(rows) > asked.limit
        following = cursors.write(shown[-1]["position"], bound) if more else None
        return JSONResponse(
            {
                "run_id": run_id,
                "cases": cases_as_seen(engine, caller, run, shown),
                "next_cursor": following,
            }
        )

    return made


def _stream(request: Request, lines: Iterator[bytes]) -> StreamingResponse:
    parts = _chunks(lines)
    headers = {"Vary": "Accept, Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        parts = _gzipped(parts)
        headers["Content-Encoding"] = "gzip"
    return StreamingResponse(parts, media_type=NDJSON, headers=headers)


def _lines(
    engine: Engine,
    caller: Principal,
    run: Mapping[str, Any],
    wanted: reading.CaseFilter,
    after: int,
) -> Iterator[bytes]:
    # A query for each few hundred: who reads slowly holds no connection and no transaction.
    while True:
        with engine.connect() as connection:
            rows = reading.cases(connection, run["id"], wanted, after=after, limit=_ROWS)
        for case in cases_as_seen(engine, caller, run, rows):
            yield json.dumps(case, ensure_ascii=False).encode() + b"\n"
        if len(rows) < _ROWS:
            return
        after = rows[-1]["position"]


def _chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for line in lines:
        waiting += line
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _gzipped(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, wbits=31)  # with the header of gzip
    for part in parts:
        packed = packer.compress(part)
        if packed:
            yield packed
    yield packer.flush()


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.lower().split(","):
        name, _, parameters = one.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
