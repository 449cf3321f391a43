"""What a client reads of a run: per case the agreed fields, around them what they come to.

The fields of a case are a promise: none is taken away or renamed, and what is added goes into
``metrics`` and ``details``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.eval_runs.flags import OUTDATED_CHUNK, UNKNOWN_CHUNK
from rag_bench.evaluation.types import few_clusters_note
from rag_bench.store.eval_runs.reading import OPEN
from rag_bench.store.eval_runs.results import attempts_of, reading, run_of, seconds_between
from rag_bench.store.eval_runs.tables import eval_run_case

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: Of a case, in this order; what stands at them without a result is null.
CASE_FIELDS = (
    *("case_id", "faithfulness", "answer_relevancy", "context_precision", "context_recall"),
    *("llm_answer", "citations_used", "flags", "errors", "metrics", "lang", "details"),
)
#: What cases with a flag name in their ground truth, so that they count in no retrieval metric.
_LACKING = {
    UNKNOWN_CHUNK: "the knowledge base does not have",
    OUTDATED_CHUNK: "only an earlier snapshot of the knowledge base has",
}
#: Rows that are read at once.
_PAGE = 500


def reply(engine: Engine, run_id: str) -> dict[str, Any]:
    """Return a run with all its cases.

    Raises:
        RagBenchError: there is no such run.
    """
    with reading(engine) as connection:
        row = run_of(connection, run_id)._mapping
        return {**summary(row), "cases": list(case_replies(connection, run_id))}


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run without its cases; ``row``: the columns of `eval_run`.

    Times are UTC, ``timings`` in seconds, costs in US dollars.
    """
    run_id, status, counts = row["id"], row["status"], counts_of(row)
    comparison = ended_as(row.get("comparison") or {}, run_id, status) or None
    return {
        "run_id": run_id,
        "trace_id": row["trace_id"],
        "mode": row["mode"],
        "mode_reason": row.get("mode_reason"),
        "status": status,
        "user_id": row["user_id"],
        "notes": _notes(row),
        "n_cases": row["n_cases"],
        "counts": counts,
        # What is being done now, and how much of it is done.
        "progress": row["counts"].get("progress") if status in OPEN else None,
        "config": row["config"],
        "labels": row["labels"],
        # Whether what follows is not of all cases.
        "partial": status in OPEN or counts["missing"] > 0,
        "aggregates": {name: aggregate(found) for name, found in row["aggregates"].items()},
        "errors": row["errors"],
        "flags": row["flags"],
        "cost": {
            "n_calls": row["n_calls"],
            "n_attempts": attempts_of(row["n_calls"], row["n_attempts"]),
            "usd": float(row["cost_usd"]),
        },
        "timings": {
            "waited": seconds_between(row["created_at"], row["started_at"]),
            "ran": seconds_between(row["started_at"], row["finished_at"]),
            **row["timings"],
        },
        "created_at": _time(row["created_at"]),
        "started_at": _time(row["started_at"]),
        "finished_at": _time(row["finished_at"]),
        "error": _error(row),
        "baseline": row["baseline"],
        "comparison": comparison,
        "links": {
            "self": f"/eval/runs/{run_id}",
            "cases": f"/eval/runs/{run_id}/cases",
            "events": f"/eval/runs/{run_id}/events",
            "report": f"/eval/runs/{run_id}/report",
        },
    }


def ended_as(comparison: Mapping[str, Any], run_id: str, status: str) -> dict[str, Any]:
    """Return what a run's comparison with its baseline says, with the status that the run has.

    It is made before the run ends, and may be stored with what it was then.
    """
    told, own = dict(comparison), comparison.get("b")
    if isinstance(own, Mapping) and own.get("id") == run_id:
        told["b"] = {**own, "status": status}
    return told


def counts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many cases are in which state; the first four add up to all of them."""
    counts = row["counts"]
    known = {name: int(counts.get(name, 0)) for name in ("scored", "failed", "errored")}
    missing = row["n_cases"] - sum(known.values())
    return {**known, "missing": missing, "flagged": dict(counts.get("flagged") or {})}


def aggregate(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric over all cases as it is told: what was stored of it, intervals as pairs.

    ``bounds``: the value if every missing case had got the worst, or the best, possible score.
    """
    told = {
        "value": stored["value"],
        "n_scored": stored["n_scored"],
        "n_expected": stored["n_expected"],
        "interval": _pair(stored.get("ci_low"), stored.get("ci_high")),
        "bounds": _pair(stored.get("low_if_missing"), stored.get("high_if_missing")),
    }
    more = ("scale", "n_clusters", "withheld")
    told |= {name: stored[name] for name in more if name in stored}
    if note := few_clusters_note(stored):  # as it is said today, whenever it was stored
        told["note"] = note
    return told


def case_reply(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case as the client gets it; ``row``: the columns of `eval_run_case`.

    A case without a result has null at everything that a result would say.
    """
    result, known = row["result"], row["known"]
    told: dict[str, Any] = dict.fromkeys(CASE_FIELDS)
    told |= {"case_id": case_id_of(row), "flags": [], "metrics": {}, "details": {}}
    told["lang"] = known.get("lang")
    return told | {name: result[name] for name in CASE_FIELDS[1:] if result and name in result}


def case_id_of(row: Mapping[str, Any]) -> Any:
    """Return a case's id: the client's own, of the type that it sent; else its number from 1."""
    own = row["given"].get("id")
    return row["position"] + 1 if own is None else own


def case_replies(connection: Connection, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the cases of a run in their order, some hundreds read at once."""
    case = eval_run_case.c
    after = -1
    while True:
        rows = (
            connection.execute(
                select(case.position, case.case_id, case.given, case.known, case.result)
                .where(case.run_id == run_id, case.position > after)
                .order_by(case.position)
                .limit(_PAGE)
            )
            .mappings()
            .all()
        )
        for row in rows:
            yield case_reply(dict(row))
        if len(rows) < _PAGE:
            return
        after = rows[-1]["position"]


def _notes(row: Mapping[str, Any]) -> list[str]:
    """Return what must be known before the numbers are read."""
    found = []
    if row.get("cancelled_at") is not None or row["status"] == "cancelled":
        found.append(_cancelled(row))
    flagged = row["counts"].get("flagged") or {}
    for flag, what in _LACKING.items():
        if n := flagged.get(flag, 0):
            cases = "1 case names" if n == 1 else f"{n} cases name"
            left_out = "retrieval metrics leave them out"
            found.append(f"{cases} chunks that {what} (flag {flag}): {left_out}.")
    return found


def _cancelled(row: Mapping[str, Any]) -> str:
    """Say of a run that it was cancelled: by whom and when, what is kept, how to get the rest.

    Of runs of earlier versions only their end is known.
    """
    by = f" by {row['cancelled_by']}" if row.get("cancelled_by") else ""
    when = row.get("cancelled_at") or row["finished_at"]
    at = "" if when is None else f" at {when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if row["status"] in OPEN:
        return f"Cancelled{by}{at}: calls in flight end, and everything that is answered is kept."
    counts = counts_of(row)
    n_cases, missing = row["n_cases"], counts["missing"]
    kept = f"{n_cases - missing} of {n_cases} cases have a result"
    if counts["errored"]:
        kept += f", {counts['errored']} of them not all that was asked for"
    return (
        f"Cancelled{by}{at}. Everything that was answered is kept: {kept}. "
        f"POST /eval/runs/{row['id']}/complete asks for the rest, and for nothing twice."
    )


def _error(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["error_code"] is None:
        return None
    return {"code": row["error_code"], "detail": row["error_detail"]}


def _pair(low: float | None, high: float | None) -> list[float] | None:
    return None if low is None or high is None else [low, high]


def _time(found: datetime | None) -> str | None:
    return None if found is None else found.astimezone(UTC).isoformat(timespec="milliseconds")
