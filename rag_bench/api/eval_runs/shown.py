"""Runs as replies of this API show them: what is told of one, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError
from rag_bench.eval_runs import reply
from rag_bench.settings import get_settings
from rag_bench.store.eval_runs.model_revisions import changed_since
from rag_bench.store.eval_runs.reading import OPEN
from rag_bench.store.labels.checked import Scored, mark_by_metric, never_checked_by_on
from rag_bench.tiers.base.changed_models import service_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run without its cases, and how long it will take still."""
    return {**reply.summary(row), "estimate": estimate(row)}


def marks(connection: Connection, row: Mapping[str, Any]) -> list[str]:
    """Return the notes on a run that depend on what is known today, not at its end."""
    judge = row["config"].get("judge_model")
    scored = [Scored(judge, name) for name in row["aggregates"]] if judge else []
    unchecked = mark_by_metric(never_checked_by_on(connection, scored))
    return [*models_changed(connection, row), *filter(None, [unchecked])]


def models_changed(connection: Connection, row: Mapping[str, Any]) -> list[str]:
    """Return a note for each model of a run that was changed behind its name since the run ended:
    its numbers are of the model of before.
    """
    used = ("generation_model", "judge_model")
    models = {row["config"].get(name) for name in used} - {None}
    with suppress(ConfigurationError):  # the file of retrievers may be wrong by now
        models |= {service_of(row["config"].get("retriever", ""), get_settings())} - {None}
    if row["finished_at"] is None or not models:
        return []
    changed = changed_since(connection, models, row["finished_at"])
    return [
        f"The model {model} was changed behind its name at {at.astimezone(UTC):%Y-%m-%d %H:%M} "
        "UTC, after this run: its numbers are of the model of before."
        for model, at in changed.items()
    ]


def estimate(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how long an open run will take still, by how long it took so far; None: not known.

    Of a run that was taken up again it is not: it may have lain for days between.
    """
    left = reply.counts_of(row)["missing"]
    done = row["n_cases"] - left
    if row["status"] not in OPEN or row["started_at"] is None or done <= 0 or row["attempt"] > 1:
        return None
    spent = (datetime.now(UTC) - row["started_at"]).total_seconds()
    return {"seconds_left": round(max(spent, 0.0) * left / done, 1)}


def retry_after(row: Mapping[str, Any]) -> int:
    """Return in how many seconds a look at an open run is worth it, at least 1."""
    left = estimate(row)
    return 2 if left is None else max(1, min(30, round(left["seconds_left"])))


def path(run_id: str) -> str:
    """Return where a run is."""
    return f"/eval/runs/{run_id}"
