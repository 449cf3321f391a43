"""Models of topics: generations of centroids and names that later questions are assigned to

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        'create table rag_bench.topic_model ('
        'id text primary key, kind text not null, line text not null, '
        'generation integer not null, parent text references rag_bench.topic_model (id), '
        'content jsonb not null, created_at timestamptz not null default now())'
    )
    op.execute(
        'create unique index topic_model_by_line on rag_bench.topic_model (line, generation)'
    )


def downgrade() -> None:
    op.execute('drop table rag_bench.topic_model')
