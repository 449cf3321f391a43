"""The calls behind each case

Cases that are there stay without: which calls they rest on was not recorded.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('alter table rag_bench.evaluation_case add column calls jsonb')


def downgrade() -> None:
    op.execute('alter table rag_bench.evaluation_case drop column calls')
