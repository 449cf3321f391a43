"""The tables of labels; a migration creates them, and a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from rag_bench.store.tables import evaluation, metadata

# What annotators go by. A changed text is a new version; none is ever changed.
label_guideline = Table(
    "label_guideline",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("user_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("name", "version"),
    UniqueConstraint("name", "text_hash"),
)

# Cases drawn at random from the answers of one evaluation, for people to label.
label_draw = Table(
    "label_draw",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("evaluation_id", BigInteger, ForeignKey(evaluation.c.id), nullable=False),
    Column("metric", Text, nullable=False),  # a rubric's
    Column("seed", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("n_cases", Integer, nullable=False),  # that it was drawn from
    Column("n_shared", Integer, nullable=False),  # that all annotators label; of none named: all
    Column("annotators", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("purpose", Text, nullable=False),  # check, or tune: prompts may be tuned on it
    Column("guideline", Text, nullable=False),
    Column("guideline_version", Integer, nullable=False),
    Column("user_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("purpose in ('check', 'tune')", name="label_draw_purpose"),
    ForeignKeyConstraint(
        ["guideline", "guideline_version"],
        [label_guideline.c.name, label_guideline.c.version],
    ),
    Index("label_draw_by_evaluation", "evaluation_id"),
)

label_draw_case = Table(
    "label_draw_case",
    metadata,
    Column("draw_id", BigInteger, ForeignKey(label_draw.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("case_id", Text, nullable=False),
    PrimaryKeyConstraint("draw_id", "position"),
    UniqueConstraint("draw_id", "case_id"),
)

# A label of one case by one annotator. A later one of the same annotator supersedes it; a trigger
# refuses every change of a row. Without a value the annotator could not tell.
label = Table(
    "label",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("evaluation_id", BigInteger, ForeignKey(evaluation.c.id), nullable=False),
    Column("case_id", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", Float),
    Column("annotator", Text, nullable=False),
    Column("annotator_kind", Text, nullable=False),  # person, model or user
    Column("settles", Boolean, nullable=False, server_default=text("false")),
    Column("guideline", Text),
    Column("guideline_version", Integer),
    Column("note", Text),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("annotator_kind in ('person', 'model', 'user')", name="label_annotator_kind"),
    Index("label_by_case", "evaluation_id", "metric", "case_id"),
)
