"""Reading and appending decisions about stale items, and the texts of chunks that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import insert, select

from rag_bench.store.snapshots import ChunkRecord
from rag_bench.store.stale.tables import stale_decision
from rag_bench.store.tables import chunk, dump

if TYPE_CHECKING:
    from sqlalchemy import Engine

Verdict = Literal["confirm", "replace", "retire"]
VERDICTS: tuple[Verdict, ...] = ("confirm", "replace", "retire")


@dataclass(frozen=True)
class Decision:
    """What somebody decided of an item's chunk that a dump lacks."""

    item_id: str
    chunk_hash: str
    decision: Verdict
    new_chunk_hash: str | None = None
    reference_answer: str | None = None
    who: str | None = None
    why: str | None = None


def decisions_of(
    engine: Engine, dataset_id: str, dump_sha256: str
) -> dict[tuple[str, str], Decision]:
    """Return the newest decision of each item and chunk of a dataset for a dump."""
    columns = stale_decision.c
    names = Decision.__dataclass_fields__
    query = (
        select(*(columns[name] for name in names))
        .where(columns.dataset_id == dataset_id, columns.dump_sha256 == dump_sha256)
        .order_by(columns.id)
    )
    with engine.connect() as connection:
        found = [Decision(*row) for row in connection.execute(query)]
    return {(one.item_id, one.chunk_hash): one for one in found}


def decide(
    engine: Engine, dataset_id: str, dump_sha256: str, decisions: Sequence[Decision]
) -> None:
    """Append decisions."""
    if not decisions:
        return
    with engine.begin() as connection:
        connection.execute(
            insert(stale_decision),
            [
                {"dataset_id": dataset_id, "dump_sha256": dump_sha256, **vars(one)}
                for one in decisions
            ],
        )


def chunks_by_hash(engine: Engine, hashes: Sequence[str]) -> dict[str, ChunkRecord]:
    """Return chunks by hash as the newest dump that had them had them."""
    columns = chunk.c
    query = (
        select(
            columns.chunk_hash,
            columns.position,
            columns.source_id,
            columns.page_url,
            columns.text,
        )
        .join(dump, dump.c.sha256 == columns.dump_sha256)
        .where(columns.chunk_hash.in_(list(hashes)))
        .order_by(dump.c.loaded_at)
    )
    with engine.connect() as connection:
        return {row.chunk_hash: ChunkRecord(*row) for row in connection.execute(query)}
