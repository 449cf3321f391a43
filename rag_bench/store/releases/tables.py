"""Tables of releases; all are only appended to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from rag_bench.store.tables import metadata

# The texts behind a hash of prompts, by the prompt's name: what `evaluation.prompt_hash` names.
prompt_text = Table(
    "prompt_text",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("texts", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# What is held to be good. The newest row counts; one without a side unpins. `newest_evaluation`
# bounds it: what is measured later under the same settings is no part of it.
baseline = Table(
    "baseline",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("side", Text),
    Column("newest_evaluation", BigInteger, nullable=False),
    Column("who", Text),
    Column("why", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# What a gate said of a release, with everything that it was said by.
release_verdict = Table(
    "release_verdict",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("settings_hash", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("said", JSONB, nullable=False),
    Column("dagster_run_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("release_verdict_by_settings", "settings_hash", "id"),
)
