"""Read-only HTTP access to what was measured: health, datasets, model runs, leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rag_bench.errors import RagBenchError
from rag_bench.provenance import version
from rag_bench.reporting import leaderboard
from rag_bench.store import datasets, evaluations, snapshots

if TYPE_CHECKING:
    from sqlalchemy import Engine


def build(engine: Engine) -> Starlette:
    """Return the application over one database. Every answer is JSON, errors included."""
    from sqlalchemy.exc import OperationalError

    async def health(request: Request) -> JSONResponse:
        snapshot = await run_in_threadpool(snapshots.current_snapshot, engine)
        sha256 = snapshot.sha256 if snapshot else None
        return JSONResponse({"status": "ok", "version": version(), "snapshot": sha256})

    async def list_datasets(request: Request) -> JSONResponse:
        found = await run_in_threadpool(datasets.list_datasets, engine)
        return JSONResponse({"datasets": [vars(dataset) for dataset in found]})

    async def model_runs(request: Request) -> JSONResponse:
        wanted = request.query_params.get("settings_hash")
        settings = await run_in_threadpool(_settings, wanted)
        rows = await run_in_threadpool(evaluations.model_runs, engine, settings or "")
        return JSONResponse({"settings_hash": settings, "model_runs": rows})

    def _settings(wanted: str | None) -> str | None:
        # What nothing was measured under is an empty list, not an error.
        if wanted:
            return evaluations.find_settings_hash(engine, wanted) or wanted
        return evaluations.newest_settings_hash(engine)

    async def board(request: Request) -> JSONResponse:
        wanted = request.query_params.get("settings_hash")
        found = await run_in_threadpool(leaderboard.build, engine, wanted)
        return JSONResponse(found.as_json())

    async def explain(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=404)

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    async def unreachable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The database cannot be reached."}, status_code=503)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/datasets", list_datasets),
            Route("/model_runs", model_runs),
            Route("/leaderboard", board),
        ],
        exception_handlers={
            RagBenchError: explain,
            HTTPException: refuse,
            OperationalError: unreachable,
        },
    )
