"""What clients call chunks: `POST /eval/chunk-aliases`, as JSON or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note
from rag_bench.eval_runs.intake.aliases import Alias, import_aliases, of_json, of_text
from rag_bench.store.eval_runs.aliases import Saved

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings

_CSV = "text/csv"


class SavedAliases(BaseModel):
    """What became of them."""

    added: int
    changed: int = Field(description="They mean another chunk now.")
    unchanged: int


# Written out, as the body is read by its kind and not by a model.
_NAME = {"type": ["string", "integer"]}
_ALIAS = {
    "type": "object",
    "properties": {
        "alias": {**_NAME, "description": "What the client calls the chunk."},
        "chunk": {**_NAME, "description": "The dump's own id, or the content hash."},
    },
    "required": ["alias", "chunk"],
    "additionalProperties": False,
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "aliases": {
            "description": "A list, or chunks by their aliases.",
            "anyOf": [
                {"type": "array", "items": _ALIAS, "minItems": 1},
                {"type": "object", "additionalProperties": _NAME, "minProperties": 1},
            ],
        }
    },
    "required": ["aliases"],
    "example": {"aliases": [{"alias": "chunk_001", "chunk": "17"}]},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SCHEMA},
            _CSV: {"schema": {"type": "string"}, "example": "alias,chunk\nchunk_001,17\n"},
        },
    }
}


def router(engine: Engine, settings: Settings) -> APIRouter:
    """Return the endpoint over one database."""
    made = APIRouter(prefix="/eval", tags=["data"])

    @made.post("/chunk-aliases", openapi_extra=_BODY, summary="Name chunks as the client does")
    async def chunk_aliases(
        request: Request, caller: Annotated[Principal, needs(Scope.LABEL)]
    ) -> SavedAliases:
        """All are stored or none; an alias that is there already gets the new chunk."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        content = await request.body()
        if kind not in ("", "application/json", _CSV):
            raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, f"Send application/json or {_CSV}.")

        def store() -> Saved:
            given = _given(request, content, kind, settings)
            with engine.begin() as connection:
                saved = import_aliases(connection, given, caller.user_id)
                note(connection, request, status=200)
            return saved

        return SavedAliases(**(await run_in_threadpool(store)).as_json())

    return made


def _given(request: Request, content: bytes, kind: str, settings: Settings) -> list[Alias]:
    if kind == _CSV:
        return of_text(content, "body", settings)
    sent: Any = getattr(request.state, "json", None)
    return of_json(sent)
