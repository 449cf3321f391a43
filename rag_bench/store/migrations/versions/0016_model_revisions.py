"""Models that were changed behind their names

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create table rag_bench.model_revision (model text not null, revision integer default 1 "
        "not null, cause text not null, changed_at timestamptz default now() not null, "
        "primary key (model))"
    )
