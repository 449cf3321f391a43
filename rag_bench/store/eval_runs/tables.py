"""The tables of the evaluation service; the migrations create them, and a test compares the two."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_bench.store.tables import evaluation, metadata


def _now(name: str = "created_at") -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _object(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"))


# One evaluation that somebody asked for. The table is the truth; the file of results is a copy.
eval_run = Table(
    "eval_run",
    metadata,
    Column("id", Text, primary_key=True),  # sorts by time
    Column("trace_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("subject", Text, nullable=False),  # whose limits it counts for
    Column(
        "status", Text, nullable=False
    ),  # queued, running, succeeded, partial, failed, cancelled
    Column("mode", Text, nullable=False),  # sync or async
    Column("mode_reason", Text),  # why, in a sentence
    Column("place", Text, nullable=False),  # who executes it: service or dagster
    Column("n_cases", Integer, nullable=False),
    _object("request"),  # as it was sent, without its cases
    _object("config"),  # what was made of it: models, retriever, dataset, metrics, settings
    _object("labels"),
    Column("baseline", Text),  # the run that it is compared with
    Column("callback_url", Text),
    Column("max_calls", Integer),
    Column("max_cost_usd", Numeric),
    # How far it is: cases by scored, failed, errored, missing; metrics; what the comparison says.
    _object("counts"),
    _object("aggregates"),
    _object("comparison"),
    Column("flags", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _object("errors"),  # cases by code
    Column("error_code", Text),  # of the run itself
    Column("error_detail", Text),
    Column("n_calls", Integer, nullable=False, server_default=text("0")),
    Column("n_attempts", Integer),  # requests of HTTP for those; null: nobody counted them
    Column("cost_usd", Numeric, nullable=False, server_default=text("0")),
    _object("timings"),  # seconds by what they were spent on
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("cancelled_by", Text),  # who asked for that, and when
    Column("cancelled_at", DateTime(timezone=True)),
    # Who executes it now, and until when that stands without a renewal.
    Column("holder", Text),
    Column("expires_at", DateTime(timezone=True)),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("dagster_run_id", Text),
    _now(),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False, server_default=text("0")),  # counts the writes
    Index("eval_run_by_user", "user_id", "id"),
    Index("eval_run_by_subject", "subject", "id"),
    Index("eval_run_by_labels", "labels", postgresql_using="gin"),
    Index(
        "eval_run_open", "status", "id", postgresql_where=text("status in ('queued', 'running')")
    ),
)

# The cases of a run in their order, as they were given, and what came of each.
eval_run_case = Table(
    "eval_run_case",
    metadata,
    Column("run_id", Text, ForeignKey(eval_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("case_id", Text, nullable=False),  # the client's, or its number
    _object("given"),  # the case as it was sent
    _object("known"),  # what was found out before it ran: language, chunks by hash, unknown ids
    Column("result", JSONB),  # the reply's object; null: nothing yet
    Column("errored", Boolean, nullable=False, server_default=text("false")),
    Column("flagged", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("run_id", "position"),
    Index("eval_run_case_by_id", "run_id", "case_id", unique=True),
)

# The evaluations that a run's results are made from.
eval_run_evaluation = Table(
    "eval_run_evaluation",
    metadata,
    Column("run_id", Text, ForeignKey(eval_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("evaluation_id", BigInteger, ForeignKey(evaluation.c.id), nullable=False),
    Column("part", Integer, nullable=False),  # of the run's cases
    PrimaryKeyConstraint("run_id", "evaluation_id"),
    Index("eval_run_evaluation_by_evaluation", "evaluation_id"),
)

# What happened to a run, in order; who follows it goes on after the last number that it saw.
eval_event = Table(
    "eval_event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("run_id", Text, ForeignKey(eval_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # queued, started, progress, part, finished, cancelled...
    _object("data"),
    _now("at"),
    Index("eval_event_by_run", "run_id", "id"),
)

# What Dagster is still to be told: a long run, which it is to start, or one that the service has
# executed, which it is to record. A row per queueing; `sent_at` is set once Dagster has it.
eval_outbox = Table(
    "eval_outbox",
    metadata,
    Column("run_id", Text, ForeignKey(eval_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    _now(),
    Column("sent_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("run_id", "attempt"),
    Index("eval_outbox_waiting", "run_id", postgresql_where=text("sent_at is null")),
)

# The first answer to a request that named a key, kept for a day.
idempotency = Table(
    "idempotency",
    metadata,
    Column("subject", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("run_id", Text),
    Column("status", Integer),  # null: it is being answered
    Column("response", JSONB),
    _object("headers"),
    _now(),
    PrimaryKeyConstraint("subject", "route", "key"),
)

# What clients call chunks.
chunk_alias = Table(
    "chunk_alias",
    metadata,
    Column("alias", Text, primary_key=True),
    Column("chunk_hash", Text, nullable=False),
    Column("user_id", Text),
    _now(),
    Index("chunk_alias_by_chunk", "chunk_hash"),
)

# Callbacks to be made, and what came of each attempt.
callback = Table(
    "callback",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id
    Column("run_id", Text, ForeignKey(eval_run.c.id, ondelete="CASCADE")),
    Column("url", Text, nullable=False),
    Column("kind", Text, nullable=False),
    _object("payload"),
    Column("status", Text, nullable=False),  # waiting, delivered, ended or failed
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Of those, since it was made or replayed: its place in the schedule.
    Column("round_attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True)),
    _now(),
    Index("callback_due", "due_at", postgresql_where=text("status = 'waiting'")),
    Index("callback_by_run", "run_id"),
)

callback_attempt = Table(
    "callback_attempt",
    metadata,
    Column("callback_id", Text, ForeignKey(callback.c.id, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("http_status", Integer),
    Column("error", Text),  # in our own words
    Column("latency_ms", Integer),
    PrimaryKeyConstraint("callback_id", "number"),
)

# Hooks that were received, each acted upon once.
hook = Table(
    "hook",
    metadata,
    Column("id", Text, primary_key=True),  # the sender's webhook-id, behind the route
    Column("route", Text, nullable=False),
    _object("payload"),
    Column("trace_id", Text),
    Column("outcome", Text, nullable=False),  # waiting, started, nothing
    Column("dagster_run_id", Text),
    _now("received_at"),
)

# Models that were changed behind their names, and how often.
model_revision = Table(
    "model_revision",
    metadata,
    Column("model", Text, primary_key=True),  # its key
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("cause", Text, nullable=False),
    _now("changed_at"),
)
