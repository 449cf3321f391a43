"""A run by the id in a path, and the headers by which a client knows that nothing has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Request

from rag_bench.api.problems import Code, Problem
from rag_bench.hashing import text_hash
from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

RunId = Annotated[str, Path(description="`run_id` of a run.", max_length=64)]
_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


def found(request: Request, connection: Connection, run_id: str) -> Mapping[str, Any]:
    """Return a run's row, and note the run for the audit.

    Raises:
        Problem: there is no such run.
    """
    row = reading.get(connection, run_id) if _ID.fullmatch(run_id) else None
    if row is None:
        raise Problem(
            Code.NOT_FOUND, "There is no run of this id; GET /eval/runs lists those there are."
        )
    request.state.asked.run_id = run_id
    return row


def etag(row: Mapping[str, Any], *also: str) -> str:
    """Return the mark of a run's state. A weak one: what is left is estimated anew each time.

    ``also``: what is told of it beside its row.
    """
    more = f".{text_hash(chr(10).join(also))[:12]}" if also else ""
    return f'W/"{row["id"]}.{row["version"]}{more}"'


def unchanged(request: Request, mark: str) -> bool:
    """Whether the client has this state already (If-None-Match, RFC 9110)."""
    given = [
        one.strip().removeprefix("W/")
        for header in request.headers.getlist("if-none-match")
        for one in header.split(",")
    ]
    return "*" in given or mark.removeprefix("W/") in given
