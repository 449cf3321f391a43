"""Calibrations as they are kept, an evaluation per judge and metric, and whether they are stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.evaluation.metrics.judges.judge_labels import CALIBRATION_PREFIX as PREFIX
from rag_bench.evaluation.metrics.judges.judge_labels import CALIBRATION_TIER as TIER
from rag_bench.evaluation.people.guidelines import labelled_metrics
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.hashing import content_hash
from rag_bench.store import evaluations
from rag_bench.store.evaluations import NewEvaluation, StoredEvaluation
from rag_bench.store.labels.calibrating import Calibration, calibrations, changes
from rag_bench.store.labels.tables import label

if TYPE_CHECKING:
    from sqlalchemy import Engine

VERSION = "1"


@dataclass(frozen=True)
class Stale:
    """A kept calibration that would be another one now.

    ``reasons``: what changed since; empty where there is none yet.
    """

    judge: str
    metric: str
    reasons: Sequence[str]

    def __str__(self) -> str:
        why = f"{', '.join(self.reasons)} changed" if self.reasons else "it was never kept"
        return f"{self.judge}, {self.metric}: {why}"


def keep(engine: Engine, found: Calibration, *, run_id: str | None = None) -> StoredEvaluation:
    """Return the kept evaluation of a calibration, written if there is none of these inputs."""
    settings = _settings(found.metric)
    address = content_hash([TIER, VERSION, found.metric, found.inputs()])
    if there := evaluations.find_finished(engine, address):
        return there
    details: Mapping[str, Any] = {
        name: value
        for name, value in found.as_json().items()
        if name not in ("metrics", "inputs", "judge")
    }
    by, judge = _column(found.metric), found.judge
    new = NewEvaluation(
        tier=TIER,
        kind="metrics",
        settings_hash=content_hash(settings),
        settings=settings,
        input_hash=address,
        started_at=datetime.now(UTC),
        benchmark_judge_model=judge if by == "benchmark_judge_model" else None,
        production_judge_model=judge if by == "production_judge_model" else None,
        code_version=VERSION,
        dagster_run_id=run_id,
        inputs={**found.inputs(), **details},
        metrics={f"{PREFIX}{name}": one.to_json() for name, one in found.metrics.items()},
    )
    return evaluations.save_evaluation(engine, new, [], n_scored=found.n_labels)


def of_judge(engine: Engine, judge: str) -> list[Calibration]:
    """Return a judge's calibrations by all metrics that somebody labelled by."""
    return [
        one
        for metric in _labelled_by_somebody(engine)
        for one in calibrations(engine, metric)
        if one.judge == judge
    ]


def stale(engine: Engine, judges: Sequence[str]) -> list[Stale]:
    """Return what is not kept as it would be now, of these judges."""
    found = []
    for metric in _labelled_by_somebody(engine):
        for one in calibrations(engine, metric):
            if one.judge not in judges:
                continue
            kept = kept_calibration(engine, one.judge, metric)
            reasons = [] if kept is None else changes(kept.inputs, one.inputs())
            if kept is None or reasons:
                found.append(Stale(one.judge, metric, reasons))
    return found


def _labelled_by_somebody(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        found = set(connection.execute(select(label.c.metric).distinct()).scalars())
    return [metric for metric in labelled_metrics() if metric in found]


def kept_calibration(engine: Engine, judge: str, metric: str) -> StoredEvaluation | None:
    """Return the newest kept calibration of a judge by a metric."""
    return evaluations.latest(
        engine,
        tier=TIER,
        kind="metrics",
        settings_hash=content_hash(_settings(metric)),
        **{_column(metric): judge},
    )


def _column(metric: str) -> str:
    """Return the column that names the judge."""
    gate = measure_of(metric).source == "gate"
    return "production_judge_model" if gate else "benchmark_judge_model"


def _settings(metric: str) -> dict[str, Any]:
    return {"tier": TIER, "rubric": metric}
