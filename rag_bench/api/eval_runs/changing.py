"""What changes a run that is there: cancelled, or completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import missing, needs
from rag_bench.api.eval_runs import keyed, models
from rag_bench.api.eval_runs.finding import RunId, found
from rag_bench.api.eval_runs.run import ANSWERS, Key, Prefers
from rag_bench.api.eval_runs.seen import run_as_seen
from rag_bench.api.eval_runs.shown import path, summary
from rag_bench.api.eval_runs.starting import Started, Starting
from rag_bench.api.pages import PROBLEMS
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note
from rag_bench.eval_runs.intake.completing import completed, prepared_again
from rag_bench.store.eval_runs import changing as store
from rag_bench.store.eval_runs import queueing, reading

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.eval_runs.intake.prepared import Prepared
    from rag_bench.settings import Settings

_COMPLETE = "POST /eval/runs/{run_id}/complete"


class Completion(BaseModel):
    """What is added to a run as it is completed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    metrics: list[Annotated[str, Field(min_length=1, max_length=300)]] | None = Field(
        None, max_length=200, description="Further metrics, by their names; none: as before."
    )


def router(engine: Engine, settings: Settings, starting: Starting) -> APIRouter:
    """Return the endpoints that change runs of one database."""
    made = APIRouter(prefix="/eval/runs", tags=["runs"])

    @made.delete(
        "/{run_id}",
        status_code=202,
        responses={202: {"model": models.RunSummary, "description": "It ends, or has ended now."}},
        openapi_extra={PROBLEMS: [409]},
        summary="Cancel a run",
    )
    def cancel(
        request: Request,
        run_id: RunId,
        caller: Annotated[Principal, needs(Scope.RUN, Scope.RUN_PAID, Scope.ADMIN)],
    ) -> Response:
        """Calls in flight end, and everything that was answered is kept. A run of somebody else
        needs the scope `admin`.
        """
        with engine.begin() as connection:
            _own(found(request, connection, run_id), caller)
            try:
                queueing.request_cancel(connection, run_id, caller.user_id)
            except queueing.EndedError as error:
                raise Problem(
                    Code.CONFLICT,
                    f"The run has ended already: {error.status}. What it lacks, complete asks for.",
                ) from None
            note(connection, request, status=202, run_id=run_id)
            row = reading.get(connection, run_id)
        assert row is not None
        told = run_as_seen(engine, caller, row, summary(row))
        return JSONResponse(told, 202, {"Location": path(run_id), "Retry-After": "1"})

    @made.post(
        "/{run_id}/complete",
        responses=ANSWERS,
        openapi_extra={PROBLEMS: [409, 422]},
        summary="Complete a run",
    )
    async def complete(
        request: Request,
        run_id: RunId,
        caller: Annotated[Principal, needs(Scope.RUN, Scope.RUN_PAID)],
        wanted: Completion | None = None,
        prefer: Prefers = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Measures what has no valid record: of cases that failed, of those that were not reached,
        and of `metrics` that are added. What is there is not asked again.
        """
        metrics = (wanted.metrics if wanted else None) or []

        def start() -> Started | Response:
            asked = starting.asked(
                request, caller, _COMPLETE, lambda: keyed.hash_of(metrics, run_id)
            )
            first = starting.first(asked)
            if first is not None:
                return first
            with engine.connect() as connection:
                row = found(request, connection, run_id)
            _own(row, caller)
            config, paid = completed(engine, settings, row, metrics)
            needed = Scope.RUN_PAID if paid else Scope.RUN
            if needed not in caller.scopes:
                raise missing(needed)

            def prepared() -> Prepared:
                return prepared_again(engine, row, config, paid=paid)

            decision = starting.decide(asked, row["n_cases"], prepared, None)

            def make(connection: Connection) -> None:
                if not queueing.requeue(connection, run_id, place=decision.place):
                    raise Problem(
                        Code.CONFLICT, "The run has not ended yet: wait for it, or cancel it first."
                    )
                store.set_mode(connection, run_id, decision.mode, decision.reason)
                store.set_config(connection, run_id, config)

            return starting.begin(asked, run_id, decision, make)

        return await starting.answered(start)

    return made


def _own(row: Mapping[str, Any], caller: Principal) -> None:
    if row["user_id"] != caller.user_id and Scope.ADMIN not in caller.scopes:
        raise missing(Scope.ADMIN, "A run of somebody else")
