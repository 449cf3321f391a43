"""What a callback says of a finished run: little, below 20 kB; the rest is behind its links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

#: Bytes of a body at most; receivers may refuse what is longer.
MOST_BYTES = 20_000
#: What is told of a metric.
_HEADS = ("value", "n_scored", "n_expected")
#: Parts that may be long, in the order in which they are left out.
_LONG = ("labels", "aggregates", "comparison", "errors")


def payload_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a run's callback; ``run`` is a row of ``eval_run``.

    ``data.left_out`` names what was too long for it.
    """
    finished = run["finished_at"] or datetime.now(UTC)
    comparison = run["comparison"] or {}
    data: dict[str, Any] = {
        "run_id": run["id"],
        "trace_id": run["trace_id"],
        "status": run["status"],
        "n_cases": run["n_cases"],
        "counts": run["counts"],
        "flags": run["flags"],
        "errors": run["errors"],
        "error_code": run["error_code"],
        "n_calls": run["n_calls"],
        "n_attempts": run["n_attempts"],
        "cost_usd": float(run["cost_usd"]),
        "labels": run["labels"],
        "aggregates": {name: _head(value) for name, value in run["aggregates"].items()},
        "baseline": run["baseline"],
        "comparison": {
            name: value
            for name, value in comparison.items()
            if isinstance(value, str | bool | int | float)
        },
        "left_out": [],
        "links": {
            "self": f"/eval/runs/{run['id']}",
            "cases": f"/eval/runs/{run['id']}/cases",
            "report": f"/eval/runs/{run['id']}/report",
        },
    }
    payload = {
        "type": f"eval.run.{run['status']}",
        "timestamp": finished.astimezone(UTC).isoformat(timespec="milliseconds"),
        "data": data,
    }
    for name in _LONG:
        if len(as_sent(payload).encode()) < MOST_BYTES:
            break
        data[name] = {}
        data["left_out"].append(name)
    return payload


def as_sent(payload: Mapping[str, Any]) -> str:
    """Return the text of a body; the same for the same payload, as it is signed."""
    return json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _head(aggregate: Any) -> Any:
    if not isinstance(aggregate, Mapping):
        return aggregate
    low, high = aggregate.get("ci_low"), aggregate.get("ci_high")
    return {
        **{name: aggregate.get(name) for name in _HEADS},
        "interval": None if low is None or high is None else [low, high],
    }
