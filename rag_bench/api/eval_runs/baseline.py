"""`/eval/baseline`: what is held to be good. Pinned for a reason, unpinned, and its history."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.problems import Code, Located, Problem
from rag_bench.api.recording import note
from rag_bench.errors import RagBenchError
from rag_bench.reporting.compared.sides import NothingToCompareError
from rag_bench.store.public_names import masked_given
from rag_bench.store.releases import baselines

if TYPE_CHECKING:
    from sqlalchemy import Engine

_SHOWN = 100
_WORDS = r"^[^\x00]*$"
_PINNED: dict[str, Any] = {
    "side": "settings:a1b2c3d4e5f6",
    "who": "anna",
    "why": "released on 1 December",
    "at": "2026-12-01T10:00:00+00:00",
    "newest_evaluation": 412,
}


class Pinned(BaseModel):
    """A row of the history; ``side`` null: somebody unpinned."""

    model_config = ConfigDict(json_schema_extra={"example": _PINNED})

    side: str | None
    who: str | None
    why: str
    at: datetime
    newest_evaluation: int = Field(description="What was measured later is no part of it.")


class Baseline(BaseModel):
    """What is pinned now, and what was before, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"pinned": _PINNED, "history": [_PINNED]}}
    )

    pinned: Pinned | None = Field(description="Null: nothing is.")
    history: list[Pinned] = Field(description=f"The newest {_SHOWN}.")


class NewBaseline(BaseModel):
    """What is to be pinned, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"side": "newest", "why": "released on 1 December"}},
    )

    side: str = Field(
        min_length=1,
        max_length=300,
        pattern=_WORDS,
        description="`newest` (the newest whole results), or a settings hash, a dump, a model or "
        "an evaluation's number, as in `GET /eval/compare`; no run of the service.",
    )
    why: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*[^\x00\s][^\x00]*$",
        description="The reason, for who looks in a year.",
    )


def router(engine: Engine) -> APIRouter:
    """Return the endpoints over one database."""
    made = APIRouter(prefix="/eval/baseline", tags=["data"])

    @made.get("", summary="The baseline and its history")
    def show(caller: Annotated[Principal, needs(Scope.READ)]) -> Baseline:
        """What the newest results and releases are held against. Personal data in reasons is
        masked, but for who may `admin`.
        """
        rows = baselines.history(engine, limit=_SHOWN)
        if Scope.ADMIN not in caller.scopes:
            reasons = masked_given(engine, [one.why for one in rows])
            rows = [replace(one, why=why) for one, why in zip(rows, reasons, strict=True)]
        return _shown(rows)

    @made.post("", summary="Pin the baseline")
    def pin(
        request: Request, given: NewBaseline, caller: Annotated[Principal, needs(Scope.ADMIN)]
    ) -> Pinned:
        """By whom is the caller; what was pinned before stays in the history."""
        from rag_bench.reporting.compared.pinned import to_be_pinned

        try:
            side = to_be_pinned(engine, given.side, given.why)
        except NothingToCompareError as error:
            code = Code.INVALID_INPUT if error.several else Code.NOT_FOUND
            raise Problem(code, str(error), errors=[_at_side(error)]) from None
        except RagBenchError as error:
            raise Problem(Code.CONFLICT, str(error), errors=[_at_side(error)]) from None
        with engine.begin() as connection:
            found = baselines.append_in(connection, side, who=caller.user_id, why=given.why.strip())
            note(connection, request, status=200)
        return _row(found)

    @made.delete("", summary="Unpin the baseline")
    def unpin(
        request: Request,
        caller: Annotated[Principal, needs(Scope.ADMIN)],
        why: Annotated[
            str, Query(max_length=1000, pattern=_WORDS, description="The reason, if there is one.")
        ] = "",
    ) -> Baseline:
        """The history stays. Where nothing is pinned nothing changes."""
        with engine.begin() as connection:
            if baselines.current_in(connection) is not None:
                baselines.append_in(
                    connection, None, who=caller.user_id, why=why.strip() or "unpinned"
                )
            note(connection, request, status=200)
        return _shown(baselines.history(engine, limit=_SHOWN))

    return made


def _at_side(error: Exception) -> Located:
    return Located(str(error), pointer="/side")


def _shown(rows: list[baselines.Baseline]) -> Baseline:
    pinned = rows[0] if rows and rows[0].side is not None else None
    return Baseline(pinned=_row(pinned) if pinned else None, history=[_row(one) for one in rows])


def _row(one: baselines.Baseline) -> Pinned:
    from rag_bench.reporting.compared.pinned import as_json

    return Pinned.model_validate(as_json(one))
