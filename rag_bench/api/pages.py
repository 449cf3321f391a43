"""The description of the API for programs and for people: OpenAPI, and `/docs` from local files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, HTMLResponse

from rag_bench.api.gate import PUBLIC
from rag_bench.api.problems import ABOUT, MEDIA_TYPE, Code
from rag_bench.eval_runs.intake.request import EvalRequest

#: In an endpoint's `openapi_extra`: statuses of problems that not every endpoint has.
PROBLEMS = "x-problems"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# The page itself may load nothing from elsewhere, whatever a later release of its files tries.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; form-action 'self'"
)


class LocatedModel(BaseModel):
    """One problem of a request."""

    detail: str
    pointer: str | None = Field(None, description="JSON Pointer into the body, after #.")
    parameter: str | None = Field(None, description="Of the query.")
    line: int | None = None
    column: int | None = None
    file: str | None = Field(None, description="Which of several.")
    field: str | None = Field(None, description="What the value is called in the file.")


class ProblemModel(BaseModel):
    """What every error looks like (RFC 9457)."""

    type: str = Field(examples=["urn:rag-bench:problem:missing-scope"])
    title: str
    status: int
    detail: str
    code: Code
    errors: list[LocatedModel]
    trace_id: str = Field(description="Also in the header X-Trace-Id, the log and the audit.")


def add_pages(app: FastAPI) -> None:
    """Add `/docs` and its files, and the description behind it, to an application."""
    folder = Path(str(files("fastapi_offline"))) / "static"

    @app.get("/docs", include_in_schema=False)
    def page() -> HTMLResponse:
        shown = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="rag_bench",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
            swagger_ui_parameters={"validatorUrl": None},
        )
        shown.headers["Content-Security-Policy"] = _POLICY
        return shown

    for name, kind in _FILES.items():
        app.add_api_route(
            f"/docs/{name}", _sender(folder / name, kind), methods=["GET"], include_in_schema=False
        )
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _with_problems(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _sender(path: Path, kind: str) -> Any:
    def send() -> FileResponse:
        # The files change with the package only; the key is asked for all the same.
        return FileResponse(
            path, media_type=kind, headers={"Cache-Control": "private, max-age=3600"}
        )

    return send


def _with_problems(schema: dict[str, Any]) -> dict[str, Any]:
    """Say of every endpoint which problems it may end with; 400 stands for FastAPI's 422."""
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        parts.pop(name, None)
    for model in (LocatedModel, ProblemModel, EvalRequest):  # the last is no parameter of FastAPI's
        made = model.model_json_schema(ref_template="#/components/schemas/{model}")
        parts.update(made.pop("$defs", {}))
        parts[model.__name__] = made
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            replies = operation["responses"]
            replies.pop("422", None)
            own = operation.pop(PROBLEMS, ())
            usual = () if path in PUBLIC else (400, 401, 403, 404, 408, 413, 415, 429, 500, 503)
            for status in (*usual, *own):
                replies.setdefault(str(status), _reply(status))
    return schema


def _reply(status: int) -> dict[str, Any]:
    titles = [about.title for about in ABOUT.values() if about.status == status]
    reply: dict[str, Any] = {
        "description": "; ".join(titles) + ".",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemModel"}}},
    }
    if status == 429:
        retry = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        reply["headers"] = {"Retry-After": retry}
    return reply
