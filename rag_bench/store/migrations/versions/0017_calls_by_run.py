"""Calls by their Dagster run: what a run cost was looked for in the whole ledger

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index llm_call_by_run on rag_bench.llm_call (dagster_run_id)")


def downgrade() -> None:
    op.execute("drop index rag_bench.llm_call_by_run")
