"""What the analyses of users' questions hold, as lists: chunks by use, topics by month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ORDER = {
    "most_used": "retrieved desc, first desc, chunk_hash",
    "least_used": "retrieved, first, chunk_hash",
    "page_url": "page_url nulls last, position, chunk_hash",
}
#: The orders that `chunk_uses` knows.
ORDERS = tuple(_ORDER)
_USES = """
with uses as (
    select used.case_id as chunk_hash, (used.scores ->> 'retrieved')::int as retrieved,
        (used.scores ->> 'first')::int as first, chunk.page_url, chunk.position, chunk.text
    from rag_bench.evaluation_case as used
    join rag_bench.evaluation on evaluation.id = used.evaluation_id
    left join rag_bench.chunk on chunk.dump_sha256 = evaluation.dump_sha256
        and chunk.chunk_hash = used.case_id
    where used.evaluation_id = :evaluation
)
"""
_WHERE = "where not :never or retrieved = 0"
_MONTHS = """
select (topic.case_id)::int, coalesce(
        to_char(asked.created_at at time zone 'UTC', 'YYYY-MM'), ''), count(*)
from rag_bench.evaluation_case as topic
join rag_bench.evaluation on evaluation.id = topic.evaluation_id
cross join lateral jsonb_array_elements_text(topic.retrieved) as of_topic(id)
join rag_bench.question_answer as asked on asked.dump_sha256 = evaluation.dump_sha256
    and asked.source_id = of_topic.id
where topic.evaluation_id = :evaluation
group by 1, 2 order by 1, 2
"""


@dataclass(frozen=True)
class Use:
    """How often a chunk was found, and as the first; its text is None if its dump is gone."""

    chunk_hash: str
    retrieved: int
    first: int
    page_url: str | None
    text: str | None


def chunk_uses(
    engine: Engine,
    evaluation_id: int,
    *,
    never: bool = False,
    order: str = "most_used",
    limit: int,
    offset: int = 0,
) -> tuple[list[Use], int]:
    """Return a page of chunks, and how many there are. ``never``: those that nothing finds."""
    given = {"evaluation": evaluation_id, "never": never}
    rows = text(
        f"{_USES} select chunk_hash, retrieved, first, page_url, text from uses {_WHERE} "
        f"order by {_ORDER.get(order, _ORDER['most_used'])} limit :limit offset :offset"
    )
    count = text(f"{_USES} select count(*) from uses {_WHERE}")
    with engine.connect() as connection:
        found = connection.execute(rows, {**given, "limit": limit, "offset": offset}).all()
        total = int(connection.execute(count, given).scalar_one())
    return [Use(*row) for row in found], total


def use_counts(engine: Engine, evaluation_id: int) -> list[tuple[int, int]]:
    """Return (times found, chunks) of all chunks, the most used first."""
    query = text(f"{_USES} select retrieved, count(*) from uses group by 1 order by 1 desc")
    with engine.connect() as connection:
        rows = connection.execute(query, {"evaluation": evaluation_id})
        return [(row[0], row[1]) for row in rows]


def topic_months(engine: Engine, evaluation_id: int) -> dict[int, dict[str, int]]:
    """Return questions by topic and month (UTC); the month of those without a time is empty."""
    found: dict[int, dict[str, int]] = {}
    with engine.connect() as connection:
        for topic, month, n in connection.execute(text(_MONTHS), {"evaluation": evaluation_id}):
            found.setdefault(topic, {})[month] = n
    return found
