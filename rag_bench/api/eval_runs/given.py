"""What a request for a run holds: JSON, lines of JSON, or a form with a file; read once, in parts.

What is long goes to a file of the system's own on the way, so no body is held in memory beside
what is made of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from rag_bench.api.eval_runs.keyed import hash_of
from rag_bench.api.problems import Code, Located, Problem
from rag_bench.eval_runs.intake.query import request_of_query
from rag_bench.strict_json.reading import read_json

if TYPE_CHECKING:
    from fastapi import Request

NDJSON = frozenset({"application/x-ndjson", "application/jsonl", "application/jsonlines"})
FORM = "multipart/form-data"
#: Bytes that are held in memory before a body goes to a file.
_IN_MEMORY = 1 << 20


@dataclass(frozen=True)
class Given:
    """A request: its fields, and the file with its cases, if they came as lines."""

    fields: Any
    lines: BinaryIO | None = None
    in_query: bool = False  # where the fields stood

    def hash(self) -> str:
        """Return what two requests are the same by."""
        return hash_of(self.fields, "" if self.lines is None else _hash_of_file(self.lines))


async def read(request: Request, most_depth: int) -> Given:
    """Return what was sent.

    Raises:
        Problem: it is of a kind that is not read, or there is nothing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = [pair for pair in request.query_params.multi_items() if pair[0] != "dry_run"]
    if kind in NDJSON:
        return Given(request_of_query(query), await _spooled(request), in_query=True)
    if query:
        names = sorted({name for name, _ in query})
        detail = "Only with cases as lines do fields stand in the query."
        raise _wrong(*(Located(detail, parameter=name) for name in names))
    if kind == FORM:
        return await _of_form(request, most_depth)
    if "json" in request.scope["state"]:
        return Given(request.state.json)
    if kind in ("", "application/json") or kind.endswith("+json"):
        raise _wrong(Located("There is no body.", pointer="#"))
    raise Problem(
        Code.UNSUPPORTED_MEDIA_TYPE,
        "Say by Content-Type what is sent: application/json, application/x-ndjson (a case a "
        "line), or multipart/form-data with a file.",
    )


async def _spooled(request: Request) -> BinaryIO:
    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed with the request
    async for part in request.stream():
        if file._rolled:  # type: ignore[attr-defined]  # a disk may be slow
            await run_in_threadpool(file.write, part)
        else:
            file.write(part)
    file.seek(0)
    return cast(BinaryIO, file)


async def _of_form(request: Request, most_depth: int) -> Given:
    form = await request.form(max_files=1, max_fields=1, max_part_size=_IN_MEMORY)
    unknown = sorted(set(form) - {"file", "request"})
    if unknown:
        raise _wrong(*(Located("There is no such part.", parameter=name) for name in unknown))
    file, fields = form.get("file"), form.get("request", "{}")
    if not isinstance(file, UploadFile):
        detail = "Send the lines as a file in the part `file`."
        raise _wrong(Located(detail, parameter="file"))
    if not isinstance(fields, str):
        raise _wrong(Located("This part is JSON, and no file.", parameter="request"))
    said = await run_in_threadpool(read_json, fields.encode(), most_depth)
    return Given(said, file.file)


def _hash_of_file(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while part := file.read(_IN_MEMORY):
        found.update(part)
    file.seek(0)
    return found.hexdigest()


def _wrong(*errors: Located) -> Problem:
    return Problem(Code.INVALID_INPUT, "The request has impossible values.", errors=errors)
