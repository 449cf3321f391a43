"""Terms of texts for a search by words, by version of the terms and text

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        'create table rag_bench.chunk_terms ('
        'version text not null, text_hash text not null, terms text not null, '
        'created_at timestamptz not null default now(), '
        'primary key (version, text_hash))'
    )


def downgrade() -> None:
    op.execute('drop table rag_bench.chunk_terms')
