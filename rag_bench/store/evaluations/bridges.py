"""Bridges between judges, as they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.store.evaluations.records import StoredEvaluation, stored
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: As the records have it.
TIER = "judge_bridge"


def bridge_between(engine: Engine, old: str, new: str) -> StoredEvaluation | None:
    """Return the newest bridge from one judge to another; None: there is none."""
    query = (
        select(evaluation)
        .where(
            evaluation.c.tier == TIER,
            evaluation.c.inputs["result"]["old"].astext == old,
            evaluation.c.inputs["result"]["new"].astext == new,
        )
        .order_by(evaluation.c.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else stored(row)
