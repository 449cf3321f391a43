"""By whom the results on a board were served: read for marks, without their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from rag_bench.evaluation.instrument.served import FIELD
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Measured:
    """An evaluation, as far as its instrument goes; ``inputs`` has the field `FIELD` only."""

    id: int
    tier: str
    kind: str
    generation_model: str | None
    benchmark_judge_model: str | None
    production_judge_model: str | None
    finished_at: datetime | None
    inputs: Mapping[str, Any]


def measured_under(engine: Engine, settings_hash: str) -> list[Measured]:
    """Return the newest result of every model or pair of models under one settings hash."""
    columns = evaluation.c
    what = (
        *(columns.tier, columns.kind, columns.generation_model),
        *(columns.benchmark_judge_model, columns.production_judge_model),
    )
    query = (
        select(
            columns.id,
            *what,
            columns.finished_at,
            func.jsonb_strip_nulls(func.jsonb_build_object(FIELD, columns.inputs[FIELD])),
        )
        .distinct(*what)
        .where(columns.settings_hash == settings_hash, columns.status.in_(["succeeded", "partial"]))
        .order_by(*what, columns.id.desc())
    )
    with engine.connect() as connection:
        return [Measured(*row) for row in connection.execute(query)]
