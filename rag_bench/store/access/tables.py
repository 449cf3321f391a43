"""The tables of access; the migrations create them, and a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import ARRAY

from rag_bench.store.tables import metadata

# A key is known by the hash of all of it; `id` is the part that is shown.
api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("requests_per_minute", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),  # to a minute
    Column("replaced_by", Text),  # the key that it was rotated to
)

# When all of a minute's requests are free again for a key, a user or an address. Unlogged.
request_rate = Table(
    "request_rate",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("free_at", DateTime(timezone=True), nullable=False),
    prefixes=["UNLOGGED"],
)

# Who did what, refused or not. A trigger refuses every change of a row.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("user_id", Text),
    Column("key_id", Text),
    Column("action", Text, nullable=False),  # method and path's template, or a command
    Column("outcome", Text, nullable=False),  # ok, refused or failed
    Column("code", Text),  # of the problem
    Column("status", Integer),
    Column("run_id", Text),
    Column("trace_id", Text, nullable=False),
    Column("address", Text),
    Index("audit_by_user", "user_id", "id"),
    Index("audit_by_run", "run_id", postgresql_where="run_id is not null"),
)
