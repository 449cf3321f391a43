"""A run as a page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs.finding import RunId, found
from rag_bench.api.eval_runs.seen import cases_as_seen, run_as_seen, sees_cases
from rag_bench.api.eval_runs.shown import marks
from rag_bench.eval_runs.reply import summary
from rag_bench.store.eval_runs import reading
from rag_bench.store.public_names import masked

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Cases that the page shows.
_MOST = 200
# It holds texts of strangers: nothing in it may run or load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def router(engine: Engine) -> APIRouter:
    """Return the endpoint over one database."""
    made = APIRouter(prefix="/eval/runs", tags=["runs"])

    @made.get(
        "/{run_id}/report",
        response_class=HTMLResponse,
        summary="A run as a page",
    )
    def report(
        request: Request, run_id: RunId, caller: Annotated[Principal, needs(Scope.READ)]
    ) -> HTMLResponse:
        """Metrics with intervals, errors in words, flagged cases, the comparison; loads nothing.
        A browser asks for a name and a password: any name, a key with `read` as the password.
        Personal data is masked, but in cases that the caller sent, and for who may `admin`.
        """
        from rag_bench.reporting.run_page import run_page

        with engine.connect() as connection:
            row = found(request, connection, run_id)
            marked = marks(connection, row)
            rows = reading.cases(
                connection, run_id, reading.CaseFilter(noted=True), after=-1, limit=_MOST + 1
            )
        rows, more = rows[:_MOST], len(rows) > _MOST
        questions = [one["given"]["question"] for one in rows]
        if not sees_cases(row, caller):
            questions = masked(engine, questions)
        cases = [
            {**one, "question": question}
            for one, question in zip(
                cases_as_seen(engine, caller, row, rows), questions, strict=True
            )
        ]
        told = run_as_seen(engine, caller, row, summary(row))
        told["notes"] = [*told["notes"], *marked]
        page = run_page(told, cases, more=more)
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    return made
