"""The tables of drafts; the migrations create them, and a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from rag_bench.store.tables import metadata

dataset_draft = Table(
    "dataset_draft",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_by", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_id", Text),  # the dataset that it was last published as
    Column("published_at", DateTime(timezone=True)),
)

# Users' words stand here as they are; whoever shows them masks them. `folded_hash` is of the
# question as texts are compared: two of one hash are one question.
dataset_draft_item = Table(
    "dataset_draft_item",
    metadata,
    Column("place", BigInteger, Identity(), nullable=False),
    Column("draft", Text, ForeignKey(dataset_draft.c.name, ondelete="CASCADE"), nullable=False),
    Column("item_id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("reference_answer", Text),
    Column("chunk_hashes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("page_urls", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("folded_hash", Text, nullable=False),
    Column("from_dataset", Text, nullable=False),
    Column("from_case", Text, nullable=False),
    Column("added_by", Text),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("draft", "item_id"),
    UniqueConstraint("draft", "from_dataset", "from_case"),
)
