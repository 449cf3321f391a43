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


# Of the map's points what the other analyses of the same dump say: a chunk's page and use, a
# question's topic.
_POINTS = """
select placed.case_id, (placed.scores ->> 'x')::float, (placed.scores ->> 'y')::float,
    chunk.page_url, (placed.scores ->> 'answered')::boolean,
    (used.scores ->> 'retrieved')::int, topic.name
from rag_bench.evaluation_case as placed
join rag_bench.evaluation on evaluation.id = placed.evaluation_id
left join rag_bench.chunk on chunk.dump_sha256 = evaluation.dump_sha256
    and placed.case_id = 'chunk:' || chunk.chunk_hash
left join rag_bench.evaluation_case as used on used.evaluation_id = :used
    and placed.case_id = 'chunk:' || used.case_id
left join (
    select of_topic.id, min(named.scores ->> 'name') as name
    from rag_bench.evaluation_case as named
    cross join lateral jsonb_array_elements_text(named.retrieved) as of_topic(id)
    where named.evaluation_id = :topics group by 1
) as topic on placed.case_id = 'question:' || topic.id
where placed.evaluation_id = :map order by placed.case_id limit :limit
"""


@dataclass(frozen=True)
class Placed:
    """A point of the map: a chunk with its page and how many questions find it, or a question with
    its topic and whether it was answered; None where that is not known.
    """

    id: str
    x: float
    y: float
    page_url: str | None
    answered: bool | None
    retrieved: int | None
    topic: str | None

    @property
    def is_chunk(self) -> bool:
        """Whether it is a chunk; else it is a question."""
        return self.id.startswith("chunk:")


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


@dataclass(frozen=True)
class NearPair:
    """Two chunks that nearly repeat each other; ``retrieved`` is None where no use is known."""

    cosine: float
    containment: float
    chunks: tuple[PairedChunk, PairedChunk]


@dataclass(frozen=True)
class PairedChunk:
    """One of the two."""

    chunk_hash: str
    page_url: str | None
    text: str | None
    retrieved: int | None


_PAIRS = """
select (pair.scores ->> 'cosine')::float, (pair.scores ->> 'containment')::float,
    a.hash, one.page_url, one.text, (used_a.scores ->> 'retrieved')::int,
    b.hash, other.page_url, other.text, (used_b.scores ->> 'retrieved')::int
from rag_bench.evaluation_case as pair
join rag_bench.evaluation on evaluation.id = pair.evaluation_id
cross join lateral (select split_part(pair.case_id, ':', 1) as hash) as a
cross join lateral (select split_part(pair.case_id, ':', 2) as hash) as b
left join rag_bench.chunk as one
    on one.dump_sha256 = evaluation.dump_sha256 and one.chunk_hash = a.hash
left join rag_bench.chunk as other
    on other.dump_sha256 = evaluation.dump_sha256 and other.chunk_hash = b.hash
left join rag_bench.evaluation_case as used_a
    on used_a.evaluation_id = :used and used_a.case_id = a.hash
left join rag_bench.evaluation_case as used_b
    on used_b.evaluation_id = :used and used_b.case_id = b.hash
where pair.evaluation_id = :evaluation
order by greatest((pair.scores ->> 'cosine')::float, (pair.scores ->> 'containment')::float) desc,
    pair.case_id
limit :limit
"""


def near_pairs(engine: Engine, evaluation_id: int, *, used: int, limit: int) -> list[NearPair]:
    """Return the most alike pairs with how often the analysis ``used`` found each chunk."""
    given = {"evaluation": evaluation_id, "used": used, "limit": limit}
    with engine.connect() as connection:
        return [
            NearPair(row[0], row[1], (PairedChunk(*row[2:6]), PairedChunk(*row[6:10])))
            for row in connection.execute(text(_PAIRS), given)
        ]


def map_points(
    engine: Engine, map_id: int, *, used: int | None, topics: int | None, limit: int
) -> list[Placed]:
    """Return the points of a map. ``used``, ``topics``: the analyses that say more of them."""
    given = {"map": map_id, "used": used or -1, "topics": topics or -1, "limit": limit}
    with engine.connect() as connection:
        return [Placed(*row) for row in connection.execute(text(_POINTS), given)]
