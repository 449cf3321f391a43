"""A client's tests become a stored dataset: `POST /eval/datasets`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from rag_bench.access.scopes import Scope
from rag_bench.api.allowed import needs
from rag_bench.api.problems import Code, Problem
from rag_bench.errors import RagBenchError
from rag_bench.source.question_files.importing import Imported, import_contents, places_of
from rag_bench.strict_json.places import InvalidInput, Place

if TYPE_CHECKING:
    from sqlalchemy import Engine

_KINDS = {
    **dict.fromkeys(("application/x-ndjson", "application/jsonl"), "jsonl"),
    **dict.fromkeys(("", "application/json"), "json"),
    "text/csv": "csv",
}
_FORM = "multipart/form-data"
_MOST_FILES = 20
_WRONG = "The files cannot be imported, and nothing of them is stored."
_UNSAFE = re.compile(r"[^\w. ()\[\]+-]+")


class Asked(BaseModel):
    """How it is to be stored and read."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="Of the dataset; none: the first file's.",
    )
    # An address has to hold them all, in percent signs.
    field: list[Annotated[str, Field(max_length=100, pattern=r"^[^\x00=]+=[^\x00=]+$")]] = Field(
        [],
        max_length=20,
        description="What a field is to be read as, `question=ticket_text`; several.",
    )


class FileReport(BaseModel):
    """What was understood of one file."""

    file: str
    form: str = Field(description="questions, show/hide pairs or OpenAI Evals")
    rows: int
    fields: dict[str, str] = Field(description="What each field was taken for, in words.")
    notes: list[str] = Field(description="What was left out, and why.")


class ImportedDataset(BaseModel):
    """The stored dataset, and a report of each file."""

    id: str
    name: str
    kind: str = Field(description="questions or show_hide")
    n_items: int
    summary: str = Field(description="What the items can be measured by, in words.")
    notes: list[str]
    files: list[FileReport]


_TEXT = {"schema": {"type": "string"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {
                    **_TEXT["schema"],
                    "description": 'JSONL: `{"question": …}` or OpenAI\'s `{"item": {…}}` a line.',
                }
            },
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": _TEXT,
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                    "required": ["file"],
                }
            },
        },
    }
}


def router(engine: Engine) -> APIRouter:
    """Return the endpoint over one database."""
    made = APIRouter(prefix="/eval", tags=["data"], dependencies=[needs(Scope.LABEL)])

    @made.post("/datasets", openapi_extra=_BODY, summary="Import tests as a dataset")
    async def import_dataset(request: Request, asked: Annotated[Asked, Query()]) -> ImportedDataset:
        """JSON, JSONL and CSV of questions or pairs, cases of `POST /eval/run`, the JSONL of
        OpenAI's Evals; several files are one dataset. The same items again are the same dataset.
        """
        files = await _files(request)
        pairs = [one.partition("=") for one in asked.field]
        fields = {theirs: ours for ours, _, theirs in pairs}
        name = asked.name or files[0][0].stem

        def store() -> Imported:
            try:
                return import_contents(engine, files, name, fields=fields)
            except RagBenchError as error:
                raise InvalidInput(_WRONG, places_of(error, files)) from None

        found = await run_in_threadpool(store)
        return ImportedDataset(
            id=found.dataset.id,
            name=found.dataset.name,
            kind=found.dataset.kind,
            n_items=found.dataset.n_items,
            summary=found.read.summary,
            notes=found.read.notes,
            files=[FileReport(**one) for one in found.read.understood],
        )

    return made


async def _files(request: Request) -> list[tuple[Path, bytes]]:
    """Return the files that were sent, each by a name that is safe to be shown."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _KINDS:
        content = await request.body()
        return [_not_empty(Path(f"body.{_KINDS[kind]}"), content)]
    if kind != _FORM:
        detail = f"Send {', '.join(filter(None, _KINDS))} or {_FORM}."
        raise Problem(Code.UNSUPPORTED_MEDIA_TYPE, detail)
    form = await request.form(max_files=_MOST_FILES, max_fields=0)
    files: list[tuple[Path, bytes]] = []
    for name, part in form.multi_items():
        if name != "file" or not isinstance(part, UploadFile):
            raise InvalidInput(_WRONG, [Place("Files stand in parts `file`.", parameter=name)])
        files.append(_not_empty(_safe(part.filename, len(files)), await part.read()))
    if not files:
        raise InvalidInput(_WRONG, [Place("There is no part `file`.", parameter="file")])
    return files


def _safe(given: str | None, number: int) -> Path:
    last = re.split(r"[/\\]", given or "")[-1]
    return Path(_UNSAFE.sub("_", last)[:100].strip(". ") or f"file-{number + 1}")


def _not_empty(name: Path, content: bytes) -> tuple[Path, bytes]:
    if not content.strip():
        raise InvalidInput(_WRONG, [Place("There is nothing in it.", file=name.name)])
    return name, content
