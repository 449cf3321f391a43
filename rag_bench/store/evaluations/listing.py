"""Evaluations as a list that people look through: filtered, sorted and cut in SQL; and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy import case as when

from rag_bench.store.eval_runs.tables import eval_run, eval_run_evaluation
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Engine

_SORTED_BY = {
    "newest": (evaluation.c.id.desc(),),
    "oldest": (evaluation.c.id,),
    "tier": (evaluation.c.tier, evaluation.c.kind, evaluation.c.id.desc()),
    "status": (
        when({"failed": 0, "partial": 1}, value=evaluation.c.status, else_=2),
        evaluation.c.id.desc(),
    ),
}
#: The orders that `listed` knows.
ORDERS = tuple(_SORTED_BY)
_NAMED = ("id", "tier", "kind", "status", "settings_hash", "settings", "dataset_id", "dump_sha256")
_MORE = (
    *("generation_model", "benchmark_judge_model", "production_judge_model", "embedding_model"),
    *("prompt_hash", "code_version", "git_commit", "dagster_run_id", "trace_id", "user_id"),
    *("input_hash", "inputs", "started_at", "finished_at", "metrics", "errors"),
)


@dataclass(frozen=True)
class Listed:
    """One row of the list."""

    id: int
    tier: str
    kind: str
    status: str
    generation_model: str | None
    benchmark_judge_model: str | None
    production_judge_model: str | None
    settings_hash: str
    dataset_id: str | None
    dump_sha256: str | None
    dagster_run_id: str | None
    started_at: datetime
    finished_at: datetime | None
    errors: Mapping[str, int]

    @property
    def models(self) -> str:
        """Its models, in the order of the roles."""
        named = (self.generation_model, self.benchmark_judge_model, self.production_judge_model)
        return " · ".join(model for model in named if model)


@dataclass(frozen=True)
class Point:
    """A metric of one evaluation in time."""

    evaluation_id: int
    at: datetime
    model: str
    metric: Mapping[str, Any]
    dump_sha256: str | None
    settings_hash: str


def listed(
    engine: Engine,
    *,
    tier: str = "",
    status: str = "",
    model: str = "",
    settings_hash: str = "",
    order: str = "newest",
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[Listed], int]:
    """Return a page of evaluations, and how many there are in all. ``model``: in any role."""
    columns = evaluation.c
    wanted: list[ColumnElement[bool]] = [true()]
    if tier:
        wanted.append(columns.tier == tier)
    if status:
        wanted.append(columns.status == status)
    if settings_hash:
        wanted.append(columns.settings_hash == settings_hash)
    if model:
        roles = (columns.generation_model, columns.benchmark_judge_model)
        wanted.append(or_(*(c == model for c in (*roles, columns.production_judge_model))))
    names = Listed.__dataclass_fields__
    query = (
        select(*(columns[name] for name in names))
        .where(*wanted)
        .order_by(*_SORTED_BY.get(order, _SORTED_BY["newest"]))
        .limit(limit)
        .offset(offset)
    )
    with engine.connect() as connection:
        rows = [Listed(*row) for row in connection.execute(query)]
        total = connection.execute(select(func.count()).where(*wanted).select_from(evaluation))
        return rows, int(total.scalar_one())


def tiers_measured(engine: Engine) -> list[str]:
    """Return the tiers that anything was measured of, by name."""
    with engine.connect() as connection:
        query = select(evaluation.c.tier).distinct().order_by(evaluation.c.tier)
        return list(connection.execute(query).scalars())


def whole(engine: Engine, evaluation_id: int) -> Mapping[str, Any] | None:
    """Return everything that is stored of an evaluation, without its cases; None: no such."""
    query = select(*(evaluation.c[name] for name in (*_NAMED, *_MORE)))
    with engine.connect() as connection:
        rows = connection.execute(query.where(evaluation.c.id == evaluation_id))
        row = rows.mappings().one_or_none()
    return None if row is None else dict(row)


def before(engine: Engine, evaluation_id: int) -> Mapping[str, Any] | None:
    """Return the evaluation of the same models and dataset before this one; None: the first."""
    this = whole(engine, evaluation_id)
    if this is None:
        return None
    same = ("generation_model", "benchmark_judge_model", "production_judge_model", "dataset_id")
    query = (
        select(*(evaluation.c[name] for name in (*_NAMED, *_MORE)))
        .where(
            evaluation.c.tier == this["tier"],
            evaluation.c.kind == this["kind"],
            evaluation.c.id < evaluation_id,
            *(evaluation.c[name].is_not_distinct_from(this[name]) for name in same),
        )
        .order_by(evaluation.c.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


@dataclass(frozen=True)
class Earlier:
    """The evaluation before another: as far as the two are compared."""

    id: int
    input_hash: str | None
    metrics: Mapping[str, Any]


def all_before(engine: Engine, evaluation_ids: Sequence[int]) -> dict[int, Earlier]:
    """Return what `before` does of many evaluations at once, by their ids; the first is absent."""
    columns = evaluation.c
    roles = (columns.generation_model, columns.benchmark_judge_model)
    same = (columns.tier, columns.kind, columns.production_judge_model, columns.dataset_id, *roles)
    before_it = func.lag(columns.id).over(partition_by=same, order_by=columns.id)
    placed = select(columns.id, before_it.label("before")).subquery()
    query = (
        select(placed.c.id, columns.id, columns.input_hash, columns.metrics)
        .join(placed, placed.c.before == columns.id)
        .where(placed.c.id.in_(evaluation_ids))
    )
    with engine.connect() as connection:
        return {row[0]: Earlier(*row[1:]) for row in connection.execute(query)}


def neighbours_in_time(engine: Engine, limit: int) -> list[tuple[int, Listed]]:
    """Return (the evaluation before, the evaluation) of the same models and dataset, newest first.

    Those with equal inputs are left out: nothing was measured anew.
    """
    columns = evaluation.c
    roles = (columns.generation_model, columns.benchmark_judge_model)
    same = (columns.tier, columns.kind, columns.production_judge_model, columns.dataset_id, *roles)
    earlier = (
        select(
            columns.id,
            func.lag(columns.id).over(partition_by=same, order_by=columns.id).label("before"),
            func.lag(columns.input_hash)
            .over(partition_by=same, order_by=columns.id)
            .label("input_before"),
            columns.input_hash,
        )
        .where(
            columns.status.in_(["succeeded", "partial"]),
            columns.dataset_id.is_not(None),
            # Without a model it is retrieval, and one after the other are other retrievers.
            or_(*(role.is_not(None) for role in (*roles, columns.production_judge_model))),
        )
        .subquery()
    )
    names = Listed.__dataclass_fields__
    query = (
        select(earlier.c.before, *(columns[name] for name in names))
        .join(earlier, earlier.c.id == columns.id)
        .where(
            earlier.c.before.is_not(None),
            earlier.c.input_before.is_distinct_from(earlier.c.input_hash),
        )
        .order_by(columns.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return [(row[0], Listed(*row[1:])) for row in connection.execute(query)]


def failures_by_detail(
    engine: Engine, evaluation_id: int, limit: int = 100
) -> list[tuple[str, str, int]]:
    """Return (code, detail, cases) of the cases with an error code, the most frequent first."""
    columns = evaluation_case.c
    query = (
        select(columns.error_code, func.coalesce(columns.error_detail, ""), func.count())
        .where(columns.evaluation_id == evaluation_id, columns.error_code.is_not(None))
        .group_by(columns.error_code, columns.error_detail)
        .order_by(func.count().desc(), columns.error_code, columns.error_detail)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def history(
    engine: Engine, tier: str, metric: str, dataset_id: str | None, limit: int = 500
) -> list[Point]:
    """Return a metric of a tier over time, oldest first; the newest ``limit`` if there are more."""
    columns = evaluation.c
    query = (
        select(
            columns.id,
            columns.finished_at,
            columns.generation_model,
            columns.benchmark_judge_model,
            columns.production_judge_model,
            columns.metrics[metric],
            columns.dump_sha256,
            columns.settings_hash,
        )
        .where(
            columns.tier == tier,
            columns.status.in_(["succeeded", "partial"]),
            columns.finished_at.is_not(None),
            columns.metrics.has_key(metric),
            columns.dataset_id.is_not_distinct_from(dataset_id),
        )
        .order_by(columns.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        Point(row[0], row[1], " · ".join(filter(None, row[2:5])), row[5], row[6], row[7])
        for row in reversed(rows)
    ]


def metrics_of_tier(engine: Engine, tier: str) -> list[str]:
    """Return the metrics that the newest evaluations of a tier have, by name."""
    newest = (
        select(evaluation.c.metrics)
        .where(evaluation.c.tier == tier)
        .order_by(evaluation.c.id.desc())
        .limit(50)
        .subquery()
    )
    keys = select(func.jsonb_object_keys(newest.c.metrics)).distinct()
    with engine.connect() as connection:
        return sorted(connection.execute(keys).scalars())


def runs_of(engine: Engine, evaluation_id: int) -> Sequence[str]:
    """Return the runs of the service whose results an evaluation is part of, newest first."""
    query = (
        select(eval_run.c.id)
        .join(eval_run_evaluation, eval_run_evaluation.c.run_id == eval_run.c.id)
        .where(eval_run_evaluation.c.evaluation_id == evaluation_id)
        .order_by(eval_run.c.id.desc())
        .limit(20)
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())
