"""The tables of schema ``rag_bench``: immutable rows addressed by content, and one pointer.

The migrations in ``store/migrations`` create them; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "rag_bench"
metadata = MetaData(schema=SCHEMA)


def _now() -> Column[datetime]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


# A snapshot: what one file held. `report` keeps format, server version, counts and the
# difference to the snapshot that was current before.
dump = Table(
    "dump",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # "dump" or "squad"
    Column("size_bytes", BigInteger, nullable=False),
    Column("corpus_hash", Text, nullable=False),
    Column("n_chunks", Integer, nullable=False),
    Column("n_questions", Integer, nullable=False),
    Column("default_dataset_id", Text),
    Column("report", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("loaded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# The one pointer: which snapshot is current. No row: nothing was loaded.
current_snapshot = Table(
    "current_snapshot",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    Column("dump_sha256", Text, ForeignKey(dump.c.sha256), nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# Chunks of a snapshot. `source_id` is the database id inside the dump: for people to look up,
# never a key, as a reindex renumbers it.
chunk = Table(
    "chunk",
    metadata,
    Column("dump_sha256", Text, ForeignKey(dump.c.sha256), nullable=False),
    Column("chunk_hash", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("source_id", Text),
    Column("page_url", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("created_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("dump_sha256", "chunk_hash"),
    Index("chunk_by_hash", "chunk_hash"),
    Index("chunk_by_source_id", "dump_sha256", "source_id"),
)

# Questions of real users in a snapshot, as the production system stored them.
question_answer = Table(
    "question_answer",
    metadata,
    Column("dump_sha256", Text, ForeignKey(dump.c.sha256), nullable=False),
    Column("source_id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text),
    Column("page_url", Text),
    Column("score", Float),
    Column("user_id", Text),
    Column("stop_point", Boolean),
    Column("created_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("dump_sha256", "source_id"),
)

# Vectors by encoder and exact text encoded (prefix included). `encoder` is the hash of model
# name, weights, prefixes and maximum length; `model` is its readable name.
embedding = Table(
    "embedding",
    metadata,
    Column("encoder", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("n_tokens", Integer),
    Column("truncated", Boolean, nullable=False, server_default=text("false")),
    Column("vector", Vector(), nullable=False),
    _now(),
    PrimaryKeyConstraint("encoder", "text_hash"),
)

# Terms of texts for a search by words, between single spaces. `version` says by which rules.
chunk_terms = Table(
    "chunk_terms",
    metadata,
    Column("version", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("terms", Text, nullable=False),
    _now(),
    PrimaryKeyConstraint("version", "text_hash"),
)

# Scores of rerankers by the hash of all that they depend on, of the question and of the passage.
rerank_score = Table(
    "rerank_score",
    metadata,
    Column("reranker", Text, nullable=False),
    Column("question_hash", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("score", Float, nullable=False),
    _now(),
    PrimaryKeyConstraint("reranker", "question_hash", "text_hash"),
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # manual, synthetic, squad, show_hide
    Column("n_items", Integer, nullable=False),
    Column("source", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _now(),
    Index("dataset_by_name", "name", "created_at"),
)

dataset_item = Table(
    "dataset_item",
    metadata,
    Column("dataset_id", Text, ForeignKey(dataset.c.id), nullable=False),
    Column("item_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("reference_answer", Text),
    Column("chunk_hashes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("page_urls", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # show/hide pairs: answer, context, ground_truth_show, rationale; otherwise language, type.
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    PrimaryKeyConstraint("dataset_id", "item_id"),
)

# Synthetic questions as they are made: one row per chunk and settings, so that a killed run
# goes on where it stopped. Finished, they become a dataset.
synthetic_item = Table(
    "synthetic_item",
    metadata,
    Column("recipe_hash", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("chunk_hash", Text, nullable=False),
    Column("question", Text),
    Column("reference_answer", Text),
    Column("error_code", Text),
    Column("error_detail", Text),
    _now(),
    PrimaryKeyConstraint("recipe_hash", "item_id"),
)

# The call ledger. `key` addresses the request: provider, base URL, model, body, replicate.
# One reusable reply per key; failed attempts are kept beside it and never reused.
llm_call = Table(
    "llm_call",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("response", JSONB),
    Column("status", Text, nullable=False),  # ok, error, or discarded (asked again on demand)
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("http_status", Integer),
    Column("finish_reason", Text),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cost_usd", Numeric),
    Column("latency_ms", Float),  # of the provider's own call; waits and retries apart
    Column("wait_ms", Float),
    Column("retries", Integer, nullable=False, server_default=text("0")),
    Column("dagster_run_id", Text),
    _now(),
    # What the reply says of who made it; empty in rows of earlier versions.
    Column("served_model", Text),
    Column("system_fingerprint", Text),
    Index("llm_call_one_reply_per_key", "key", unique=True, postgresql_where=text("status = 'ok'")),
    Index("llm_call_by_model", "provider", "model", "role"),
    Index("llm_call_by_run", "dagster_run_id"),
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("tier", Text, nullable=False),  # 0, 1, 2, 3, judge, judge_pipeline, ux
    Column("kind", Text, nullable=False),  # metrics, answers or scores
    Column("status", Text, nullable=False),  # running, succeeded, partial, failed
    Column("generation_model", Text),
    Column("benchmark_judge_model", Text),
    Column("production_judge_model", Text),
    Column("embedding_model", Text),
    Column("dataset_id", Text, ForeignKey(dataset.c.id)),
    Column("dump_sha256", Text, ForeignKey(dump.c.sha256)),
    Column("settings_hash", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("prompt_hash", Text),
    Column("code_version", Text),
    Column("git_commit", Text),
    Column("dagster_run_id", Text),
    Column("trace_id", Text),
    Column("user_id", Text),
    # The hash of everything that this evaluation read: equal inputs are not evaluated again.
    Column("input_hash", Text),
    Column("inputs", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    Column("metrics", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("errors", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("evaluation_by_settings", "settings_hash", "tier", "kind"),
    Index("evaluation_by_input", "input_hash"),
)

evaluation_case = Table(
    "evaluation_case",
    metadata,
    Column(
        "evaluation_id",
        BigInteger,
        ForeignKey(evaluation.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("case_id", Text, nullable=False),
    Column("repeat", Integer, nullable=False, server_default=text("0")),
    Column("answer", Text),
    Column("retrieved", JSONB),
    Column("citations", JSONB),
    Column("scores", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("flags", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    # The ledger's rows that it rests on: [{id, for, role, how}]. Null: stored before those were.
    Column("calls", JSONB(none_as_null=True)),
    PrimaryKeyConstraint("evaluation_id", "case_id", "repeat"),
)

# What the simulated models know about the answers that they made up, by question and answer.
simulated_truth = Table(
    "simulated_truth",
    metadata,
    Column("answer_hash", Text, primary_key=True),
    Column("quality", Text, nullable=False),
    _now(),
)

# One account at a provider whose limits processes share, and what its 429s have taught.
# `version` counts the writes: who read an earlier one reads again.
provider_limit = Table(
    "provider_limit",
    metadata,
    Column("account", Text, primary_key=True),  # name and a hash of address and key
    Column("provider", Text, nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("learned_window", Float),  # calls in flight, of all processes
    Column("learned_rate", Float),  # starts a second, of all processes
    Column("learned_by", Text),
    Column("learned_at", DateTime(timezone=True)),
    Column("paused_until", DateTime(timezone=True)),
)

# What each process holds of it. The slots of an account never add up to more than it has.
provider_lease = Table(
    "provider_lease",
    metadata,
    Column("account", Text, ForeignKey(provider_limit.c.account), nullable=False),
    Column("holder", Text, nullable=False),
    Column("process", Text, nullable=False),  # host and process id, for people
    Column("slots", Integer, nullable=False),
    Column("rate", Float, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("wanted_rate", Float, nullable=False),
    Column("slots_in_all", Integer, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("account", "holder"),
    Index("provider_lease_by_holder", "holder"),
)

# Which process is about to get the reply of a key; it stands as long as its holder has a lease.
# Unlogged: after a crash of the server nobody asks any more.
call_claim = Table(
    "call_claim",
    metadata,
    Column("key", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    _now(),
    prefixes=["UNLOGGED"],
)

# A budget that several processes spend from, and what each has been granted of it.
budget = Table(
    "budget",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    _now(),
)

budget_share = Table(
    "budget_share",
    metadata,
    Column("budget", Text, ForeignKey(budget.c.name), nullable=False),
    Column("holder", Text, nullable=False),
    Column("granted_calls", BigInteger, nullable=False),  # since its beginning
    Column("granted_usd", Numeric, nullable=False),
    Column("spent_calls", BigInteger, nullable=False),
    Column("spent_usd", Numeric, nullable=False),
    Column("open", Boolean, nullable=False),  # it may give some back still
    Column("expires_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("budget", "holder"),
)

# A generation of topics (see analytics/topic_model.py): never changed, the newest of a line counts.
topic_model = Table(
    "topic_model",
    metadata,
    Column("id", Text, primary_key=True),  # of what it was made from
    Column("kind", Text, nullable=False),  # hash of encoder and settings
    Column("line", Text, nullable=False),  # id of the first generation
    Column("generation", Integer, nullable=False),
    Column("parent", Text, ForeignKey("rag_bench.topic_model.id")),
    Column("content", JSONB, nullable=False),
    _now(),
    Index("topic_model_by_line", "line", "generation", unique=True),
)
