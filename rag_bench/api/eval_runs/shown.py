"""Runs as replies show them: the stored row, what is left of it, where the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag_bench.store.eval_runs import reading
from rag_bench.store.eval_runs.reading import AT_THE_CASE, OPEN, CaseFilter

if TYPE_CHECKING:
    from sqlalchemy import Engine


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run without its cases."""
    counts = row["counts"] or {"scored": 0, "failed": 0, "errored": 0, "missing": row["n_cases"]}
    is_open = row["status"] in OPEN
    return {
        "run_id": row["id"],
        "trace_id": row["trace_id"],
        "mode": row["mode"],
        "mode_reason": row["mode_reason"],
        "status": row["status"],
        "user_id": row["user_id"],
        "n_cases": row["n_cases"],
        "config": row["config"],
        "labels": row["labels"],
        "baseline": row["baseline"],
        "counts": counts,
        "aggregates": row["aggregates"],
        "partial": is_open or bool(counts.get("missing")),
        "errors": row["errors"],
        "flags": row["flags"],
        "error": row["error_code"]
        and {"code": row["error_code"], "detail": row["error_detail"] or ""},
        "cost": {"n_calls": row["n_calls"], "usd": float(row["cost_usd"])},
        "timings": {
            **row["timings"],
            **{
                name: row[name] and row[name].isoformat()
                for name in ("created_at", "started_at", "finished_at")
            },
        },
        "estimate": estimate(row, counts) if is_open else None,
        "links": links(row["id"]),
    }


def estimate(row: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any] | None:
    """Return how long an open run will take still, by how long it took so far; None: not known."""
    left = counts.get("missing", 0)
    done = row["n_cases"] - left
    if row["started_at"] is None or done <= 0:
        return None
    spent = (datetime.now(UTC) - row["started_at"]).total_seconds()
    return {"seconds_left": round(max(spent, 0.0) * left / done, 1)}


def path(run_id: str) -> str:
    """Return where a run is."""
    return f"/eval/runs/{run_id}"


def retry_after(row: Mapping[str, Any]) -> int:
    """Return in how many seconds a look at an open run is worth it, at least 1."""
    left = estimate(row, row["counts"] or {})
    return 2 if left is None else max(1, min(30, round(left["seconds_left"])))


def whole(engine: Engine, run_id: str) -> dict[str, Any]:
    """Return a run with all its cases."""
    with engine.connect() as connection:
        row = reading.get(connection, run_id)
        assert row is not None
        cases = reading.cases(connection, run_id, CaseFilter(), after=-1, limit=row["n_cases"])
    found = {**summary(row), "comparison": row["comparison"]}
    return {**found, "cases": [case_reply(one) for one in cases]}


def links(run_id: str) -> dict[str, str]:
    """Return where else something of a run is."""
    own = path(run_id)
    return {"self": own, **{name: f"{own}/{name}" for name in ("cases", "events", "report")}}


def case_reply(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case: what came of it, or nothing yet."""
    if row["result"] is not None:
        return dict(row["result"])
    measured = dict.fromkeys((*AT_THE_CASE, "llm_answer", "citations_used"))
    return {"case_id": row["case_id"], **measured, "flags": [], "errors": None}
