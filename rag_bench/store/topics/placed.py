"""In which topics the questions of a dataset are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_PLACED = """
with newest as (
    select id, inputs -> 'result' ->> 'topic_model' as model from rag_bench.evaluation
    where tier = :tier and dataset_id = :dataset and status in ('succeeded', 'partial')
    order by id desc limit 1
)
select newest.id, newest.model, placed.case_id, placed.scores ->> 'topic_key'
from newest join rag_bench.evaluation_case as placed on placed.evaluation_id = newest.id
"""


def items_by_topic(
    engine: Engine, tier: str, dataset_id: str
) -> tuple[int, str, dict[str, str]] | None:
    """Return the newest evaluation of a tier that puts a dataset's questions into topics: its id,
    the model of topics, and each question's topic by key. None if there is none.
    """
    with engine.connect() as connection:
        rows = connection.execute(text(_PLACED), {"tier": tier, "dataset": dataset_id}).all()
    if not rows:
        return None
    return int(rows[0][0]), str(rows[0][1]), {row[2]: row[3] for row in rows}


def newest_coverage(engine: Engine, tier: str, model_id: str) -> int | None:
    """Return the newest evaluation of a tier that rests on a model of topics; None without one."""
    query = text(
        "select max(id) from rag_bench.evaluation where tier = :tier "
        "and status in ('succeeded', 'partial') and inputs -> 'result' ->> 'topic_model' = :model"
    )
    with engine.connect() as connection:
        found = connection.execute(query, {"tier": tier, "model": model_id}).scalar()
    return None if found is None else int(found)
