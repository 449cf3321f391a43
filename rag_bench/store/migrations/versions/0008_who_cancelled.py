"""Runs of the service: who cancelled one, and how many requests its calls took

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of runs that ended before nobody counted the requests: that stays null.
    op.execute(
        "alter table rag_bench.eval_run add column n_attempts integer, "
        "add column cancelled_by text, add column cancelled_at timestamptz"
    )
