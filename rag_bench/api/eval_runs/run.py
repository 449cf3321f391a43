"""`POST /eval/run`: what is sent, how it may be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs import given, models
from rag_bench.api.eval_runs.starting import Starting
from rag_bench.api.pages import PROBLEMS
from rag_bench.api.problems import Code, Problem
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.eval_runs.intake.prepared import Prepared
    from rag_bench.settings import Settings

#: How a run is answered for.
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": models.WholeRun,
        "description": "The run has ended: the whole result. With `dry_run`: what it would ask.",
    },
    202: {
        "model": models.RunSummary,
        "description": "The run goes on; `Location` says where to look, `Retry-After` when.",
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "The run."},
            "Retry-After": {"schema": {"type": "integer", "minimum": 1}},
        },
    },
}
Prefers = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N`: wait at most so many seconds; `respond-async`: do not (RFC 7240).",
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A repeat with the same key and body gets the first answer for 24 hours.",
    ),
]


def router(engine: Engine, settings: Settings, starting: Starting) -> APIRouter:
    """Return the endpoint that starts runs of one database."""
    made = APIRouter(prefix="/eval", tags=["runs"])

    @made.post(
        "/run",
        responses=ANSWERS,
        openapi_extra={PROBLEMS: [409, 422], "requestBody": models.request_body()},
        summary="Evaluate cases",
    )
    async def run(
        request: Request,
        caller: Annotated[Principal, needs(Scope.RUN, Scope.RUN_PAID)],
        dry_run: Annotated[
            bool, Query(description="Say what would be asked and cost; nothing is sent or stored.")
        ] = False,
        prefer: Prefers = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Always makes a run, then waits for it where it is short. Asking models that may cost
        money needs the scope `run:paid`.
        """
        asked = await given.read(request, settings.api_max_depth)
        if dry_run:
            return await run_in_threadpool(_dry_run, engine, settings, asked)
        return await starting.run(
            request, caller, asked.hash, lambda: _prepare(engine, settings, asked)
        )

    return made


def _prepare(engine: Engine, settings: Settings, asked: given.Given) -> Prepared:
    from rag_bench.eval_runs.intake import preparing

    if asked.lines is None:
        return preparing.prepare(engine, settings, asked.fields)
    return preparing.prepare_file(
        engine, settings, asked.fields, asked.lines, in_query=asked.in_query
    )


def _dry_run(engine: Engine, settings: Settings, asked: given.Given) -> Response:
    from rag_bench.eval_runs.intake.dry_run import dry_run

    prepared = _prepare(engine, settings, asked)
    try:
        return JSONResponse(dry_run(engine, settings, prepared))
    except RagBenchError as error:  # in our own words: what keeps it from being run as it is
        raise Problem(Code.INVALID_INPUT, str(error)) from None
