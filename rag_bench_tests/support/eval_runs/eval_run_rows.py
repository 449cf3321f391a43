"""Runs of the service in a database, made as the service makes them, and executed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, text

from rag_bench.eval_runs.executing import execute
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.creating import create

HOLDER = "tests"


def new_run(engine: Engine, settings: Settings, body: Mapping[str, Any]) -> str:
    """Store a run that was asked for, and claim it."""
    prepared = prepare(engine, settings, body)
    run = prepared.run(
        user_id="ann", subject="ann", trace_id="ab" * 16, mode="sync", place="service"
    )
    with engine.begin() as connection:
        run_id = create(connection, run, prepared.cases)
    claim(engine, run_id, again=False)
    return run_id


def claim(engine: Engine, run_id: str, *, again: bool = True) -> None:
    """Claim a run, as those who execute it do."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.eval_run set status = 'running', holder = :holder, "
                "attempt = greatest(attempt, 1) + :again, "
                "started_at = coalesce(started_at, now()) where id = :id"
            ),
            {"id": run_id, "holder": HOLDER, "again": int(again)},
        )


def run_body(
    engine: Engine, settings: Settings, body: Mapping[str, Any], **more: Any
) -> tuple[str, dict[str, Any] | None]:
    """Store a run and execute it; return its id and what execution returned."""
    run_id = new_run(engine, settings, body)
    return run_id, execute(engine, settings, run_id, holder=HOLDER, **more)


def rows(engine: Engine, query: str, **values: Any) -> list[dict[str, Any]]:
    """Return a query's rows."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), values).mappings()]


def given_case(number: int, **more: Any) -> dict[str, Any]:
    """Return a case that brings its answer."""
    return {
        "question": f"Как получить справку номер {number}?",
        "ground_truth_answer": f"Справку номер {number} выдаёт деканат по заявлению.",
        "answer": f"Справку номер {number} выдаёт деканат [1].",
        "contexts": [f"Справку номер {number} выдаёт деканат по заявлению студента."],
        **more,
    }


def scores_of(cases: Sequence[Mapping[str, Any]], name: str) -> list[float | None]:
    """Return one metric of all cases."""
    return [case["metrics"].get(name) for case in cases]
