"""Generations of topics: each written once, the newest of a line is what questions go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from rag_bench.analytics.topic_model import TopicModel
from rag_bench.store.tables import SCHEMA, topic_model

if TYPE_CHECKING:
    from sqlalchemy import Engine

_NEWEST = f"""
select id, content from (
    select distinct on (line) id, content, created_at from {SCHEMA}.topic_model
    where kind = :kind order by line, generation desc
) as newest order by created_at desc, id limit :limit
"""


def newest_models(engine: Engine, kind: str, limit: int = 8) -> list[TopicModel]:
    """Return the newest generation of each line of a kind (encoder and settings), newest first."""
    with engine.connect() as connection:
        rows = connection.execute(text(_NEWEST), {"kind": kind, "limit": limit}).all()
    return [TopicModel.from_json(row.id, row.content) for row in rows]


def model_of(engine: Engine, model_id: str | None) -> TopicModel | None:
    """Return a generation by its id; None if there is none."""
    query = text(f"select id, content from {SCHEMA}.topic_model where id = :id")
    with engine.connect() as connection:
        row = connection.execute(query, {"id": model_id}).one_or_none()
    return None if row is None else TopicModel.from_json(row.id, row.content)


def save_model(engine: Engine, kind: str, model: TopicModel) -> TopicModel:
    """Store a generation and return it; if another process was first, the one it stored."""
    row = {
        "id": model.id,
        "kind": kind,
        "line": model.line,
        "generation": model.generation,
        "parent": model.parent,
        "content": model.to_json(),
    }
    with engine.begin() as connection:
        connection.execute(insert(topic_model).values(row).on_conflict_do_nothing())
        query = text(
            f"select id, content from {SCHEMA}.topic_model "
            "where line = :line and generation = :generation"
        )
        stored = connection.execute(query, row).one()
    return TopicModel.from_json(stored.id, stored.content)
