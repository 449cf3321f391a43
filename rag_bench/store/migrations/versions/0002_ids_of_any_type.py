"""Ids of a dump may be of any type, ratings any number

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        'alter table rag_bench.chunk alter column source_id type text using source_id::text'
    )
    op.execute(
        'alter table rag_bench.question_answer '
        'alter column source_id type text using source_id::text, '
        'alter column user_id type text using user_id::text, '
        'alter column score type double precision'
    )


def downgrade() -> None:
    op.execute(
        'alter table rag_bench.question_answer '
        'alter column source_id type bigint using source_id::bigint, '
        'alter column user_id type bigint using user_id::bigint, '
        'alter column score type integer'
    )
    op.execute(
        'alter table rag_bench.chunk alter column source_id type bigint using source_id::bigint'
    )
