"""Hooks: others say that a model or the documents have changed, and the right jobs are run.

They are signed by the Standard Webhooks rules instead of carrying a key. What is received is a row
in a table; Dagster's sensor `hooks_received` starts what follows from it, once per id.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from rag_bench.access.scopes import Principal
from rag_bench.access.webhooks import UnverifiedError, signer
from rag_bench.api.bodies import too_slow
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note
from rag_bench.errors import ConfigurationError
from rag_bench.store.eval_runs.hooks import receive
from rag_bench.store.eval_runs.model_revisions import revise
from rag_bench.strict_json.places import InvalidInput, Place, pointer
from rag_bench.strict_json.reading import read_json
from rag_bench.tiers.base.changed_models import configured_model

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.access.webhooks import Signer
    from rag_bench.api.gate import Asked
    from rag_bench.settings import Settings

MODEL, DOCUMENTS = "/hooks/model-updated", "/hooks/documents-updated"
#: Bytes of a hook, which is read before it is known who sends it.
MOST_BYTES = 64 << 10
#: Seconds in which it has to come.
MOST_SECONDS = 10.0
_MOST_DEPTH = 8
SIGNATURE = APIKeyHeader(
    name="webhook-signature",
    scheme_name="signature",
    description="`v1,` and the HMAC-SHA256 of id, timestamp and body, by Standard Webhooks.",
    auto_error=False,  # it is the body that is judged, in the endpoint
)


class ModelData(BaseModel):
    """Which model it is."""

    model: str = Field(
        min_length=1,
        max_length=200,
        description="A configured model, or a reranker that is a service: its key, "
        "`ollama/llama3.1:8b`, or a name that only one provider lists.",
        examples=["ollama/llama3.1:8b"],
    )
    options: list[str] = Field(
        default=[],
        max_length=20,
        description="What is measured only if it is asked for, as the flags of `sweep`: `ragas`.",
    )


class ModelUpdated(BaseModel):
    """A model has changed: whatever is measured of it is measured anew."""

    type: Literal["model.updated"]
    data: ModelData


class DocumentsUpdated(BaseModel):
    """The documents have changed: the newest dump is loaded and the free part run on it."""

    type: Literal["documents.updated"]
    data: dict[str, Any] = Field(default={}, description="Nothing of it is read.")


class HookTaken(BaseModel):
    """A hook was taken."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "new": True}}
    )

    id: str = Field(description="The webhook-id.")
    new: bool = Field(description="false: it had come before; nothing is started by it again.")


def router(engine: Engine, settings: Settings) -> APIRouter:
    """Return the hooks of one database.

    Raises:
        ConfigurationError: a secret is malformed.
    """
    sign = signer(settings.hook_secret, "RAG_BENCH_HOOK_SECRET")
    made = APIRouter(tags=["hooks"], dependencies=[Security(SIGNATURE)])

    async def take(request: Request, model: type[ModelUpdated | DocumentsUpdated]) -> JSONResponse:
        body = await _body(request)
        return await run_in_threadpool(_take, engine, sign, request, body, model)

    @made.post(MODEL, **_described(ModelUpdated, "A model has changed", "model.updated"))
    async def model_updated(request: Request) -> JSONResponse:
        """Signed; no key. Starts the jobs of the model's roles, which ask models, once per id."""
        return await take(request, ModelUpdated)

    @made.post(DOCUMENTS, **_described(DocumentsUpdated, "Documents changed", "documents.updated"))
    async def documents_updated(request: Request) -> JSONResponse:
        """Signed; no key. Starts the job `refresh`, which asks no model, once per id."""
        return await take(request, DocumentsUpdated)

    return made


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for block in request.stream():
                body += block
                if len(body) > MOST_BYTES:
                    raise Problem(Code.TOO_LARGE, f"The body has more than {MOST_BYTES} bytes.")
    except TimeoutError:
        raise too_slow(MOST_SECONDS) from None
    return bytes(body)


def _take(
    engine: Engine,
    sign: Signer | None,
    request: Request,
    body: bytes,
    model: type[ModelUpdated | DocumentsUpdated],
) -> JSONResponse:
    asked: Asked = request.state.asked
    if sign is None:
        raise _unsigned("Hooks are not set up here: RAG_BENCH_HOOK_SECRET is not set.")
    try:
        message_id = sign.verify(dict(request.headers), body)
    except UnverifiedError as error:
        raise _unsigned(str(error)) from None
    asked.principal = Principal("hook", "hook", frozenset())
    payload = _read(body, model)
    if isinstance(payload, ModelUpdated):
        payload = payload.model_copy(update={"data": _known(payload.data)})
    route = request.url.path
    with engine.begin() as connection:
        new = receive(connection, route, message_id, payload.model_dump(), asked.trace_id)
        if new and isinstance(payload, ModelUpdated):
            # With the hook, so that whatever is started by it asks the new one.
            revise(connection, payload.data.model, f"hook {message_id}")
        note(connection, request)
    return JSONResponse({"id": message_id, "new": new}, 202 if new else 200)


def _unsigned(why: str) -> Problem:
    challenge = {"WWW-Authenticate": 'Webhook-Signature realm="rag_bench"'}
    return Problem(Code.INVALID_SIGNATURE, why, headers=challenge)


def _read(
    body: bytes, model: type[ModelUpdated | DocumentsUpdated]
) -> ModelUpdated | DocumentsUpdated:
    try:
        return model.model_validate(read_json(body, _MOST_DEPTH))
    except ValidationError as error:
        found = [
            Place(one["msg"], pointer=pointer(one["loc"]))
            for one in error.errors(include_input=False, include_url=False)
        ]
        raise InvalidInput("The hook cannot be meant.", found) from None


def _known(data: ModelData) -> ModelData:
    """Return the data with the model's key.

    Raises:
        InvalidInput: the model, or an option, is not one that there is.
    """
    from rag_bench.tiers import registry

    options = [one.name for one in registry.flags()]
    for place, name in enumerate(data.options):
        if name not in options:
            raise _impossible(
                f"There is no option of this name; there are {', '.join(options)}.",
                "options",
                place,
            )
    try:
        return data.model_copy(update={"model": configured_model(data.model)})
    except ConfigurationError as error:
        raise _impossible(str(error), "model") from None


def _impossible(detail: str, *where: object) -> InvalidInput:
    place = Place(detail, pointer=pointer(("data", *where)))
    return InvalidInput("The hook names what there is not.", [place])


def _described(model: type[BaseModel], summary: str, kind: str) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "object"}
    if model is ModelUpdated:
        data = ModelData.model_json_schema()
    body = {
        "type": "object",
        "required": ["type", "data"] if model is ModelUpdated else ["type"],
        "properties": {"type": {"const": kind}, "data": data},
    }
    headers = [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in ("webhook-id", "webhook-timestamp")
    ]
    return {
        "summary": summary,
        "status_code": 202,
        "responses": {
            202: {"model": HookTaken, "description": "Taken; what follows is started soon."},
            200: {"model": HookTaken, "description": "It had come before."},
        },
        "openapi_extra": {
            "parameters": headers,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        },
    }
