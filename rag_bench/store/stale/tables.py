"""Decisions about stale items; the newest of an item, chunk and dump counts."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, func

from rag_bench.store.tables import metadata

stale_decision = Table(
    "stale_decision",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dataset_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("chunk_hash", Text, nullable=False),  # that the item names and the dump lacks
    Column("dump_sha256", Text, nullable=False),
    Column("decision", Text, nullable=False),  # confirm, replace or retire
    Column("new_chunk_hash", Text),  # that takes its place; null: none does
    Column("reference_answer", Text),  # the new one; null: as it was
    Column("who", Text),
    Column("why", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("stale_decision_by_dataset", "dataset_id", "dump_sha256", "id"),
)
