"""Callbacks: what was told to whom, and telling it once more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from rag_bench.access.scopes import Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs import cursors
from rag_bench.api.eval_runs.asking import Page, Words
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note
from rag_bench.eval_runs.callbacks import shown
from rag_bench.store.eval_runs import callbacks as stored

if TYPE_CHECKING:
    from sqlalchemy import Engine

CallbackId = Annotated[
    str, Path(description="Of the list.", max_length=64, pattern=r"^[A-Za-z0-9_]+$")
]


class Attempt(BaseModel):
    """One attempt to deliver."""

    number: int
    at: datetime
    http_status: int | None = Field(description="null: there was no answer.")
    error: str | None = Field(description="null: it was taken.")
    latency_ms: int | None


class Callback(BaseModel):
    """What is to be told of a run that has ended, and how far that is."""

    id: str = Field(description="The `webhook-id` of each attempt.")
    run_id: str | None
    url: str = Field(description="Without its query.")
    type: str = Field(examples=["eval.run.succeeded"])
    status: stored.Status
    attempts: int
    due_at: datetime | None = Field(description="Of the next attempt; null: there is none.")
    created_at: datetime
    log: list[Attempt]


class Callbacks(BaseModel):
    """A page of callbacks, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "callbacks": [
                    {
                        "id": "cb_019ac1f0a2b30123456789abcdef",
                        "run_id": "01935f2a7c3e7b5f9d0a4c1e2b3a4d5e",
                        "url": "https://ci.example.org/hooks/eval",
                        "type": "eval.run.succeeded",
                        "status": "delivered",
                        "attempts": 1,
                        "due_at": None,
                        "created_at": "2026-01-05T10:00:00+00:00",
                        "log": [
                            {
                                "number": 1,
                                "at": "2026-01-05T10:00:01+00:00",
                                "http_status": 204,
                                "error": None,
                                "latency_ms": 41,
                            }
                        ],
                    }
                ],
                "next_cursor": None,
            }
        }
    )

    callbacks: list[Callback]
    next_cursor: str | None


class AskedCallbacks(Page):
    """Which callbacks."""

    run_id: Words | None = Field(None, description="Of this run.")
    status: stored.Status | None = None


class Replayed(BaseModel):
    """A callback that is due again."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"id": "cb_019ac1f0a2b30123456789abcdef", "status": "waiting"}
        }
    )

    id: str
    status: stored.Status


def router(engine: Engine) -> APIRouter:
    """Return the endpoints of one database's callbacks."""
    made = APIRouter(prefix="/eval/callbacks", tags=["callbacks"])

    @made.get(
        "",
        responses={200: {"model": Callbacks}},
        summary="Callbacks, newest first",
        dependencies=[needs(Scope.READ)],
    )
    def list_callbacks(asked: Annotated[AskedCallbacks, Query()]) -> JSONResponse:
        """Each with the log of its attempts."""
        bound = {"callbacks": True, **asked.asked()}
        found = stored.listed(
            engine,
            run_id=asked.run_id,
            status=asked.status,
            before=_PREFIX + cursors.read(asked.cursor, bound, str) if asked.cursor else None,
            limit=asked.limit + 1,
        )
        page, more = found[: asked.limit], len(found) > asked.limit
        following = None
        if more:
            following = cursors.write(page[-1]["id"].removeprefix(_PREFIX), bound)
        return JSONResponse({"callbacks": [reply(row) for row in page], "next_cursor": following})

    @made.post(
        "/{callback_id}/replay",
        status_code=202,
        responses={202: {"model": Replayed, "description": "It is due now."}},
        summary="Tell it once more",
        dependencies=[needs(Scope.RUN)],
    )
    def replay(request: Request, callback_id: CallbackId) -> JSONResponse:
        """Under the same id, with the whole schedule before it, whatever came of it before."""
        with engine.begin() as connection:
            if not stored.replay(connection, callback_id):
                raise Problem(Code.NOT_FOUND, "There is no such callback.")
            note(connection, request, status=202)
        return JSONResponse({"id": callback_id, "status": "waiting"}, 202)

    return made


_PREFIX = "cb_"


def reply(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored callback as the API and the command show it."""
    due = row["due_at"] if row["status"] == "waiting" else None
    return {
        "id": row["id"],
        "run_id": row["run_id"],
        "url": shown(row["url"]),
        "type": row["kind"],
        "status": row["status"],
        "attempts": row["attempts"],
        "due_at": due and due.isoformat(),
        "created_at": row["created_at"].isoformat(),
        "log": [{**one, "at": one["at"].isoformat()} for one in row["log"]],
    }
