"""Scores of rerankers, by reranker, question and passage

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        'create table rag_bench.rerank_score ('
        'reranker text not null, question_hash text not null, text_hash text not null, '
        'score double precision not null, created_at timestamptz not null default now(), '
        'primary key (reranker, question_hash, text_hash))'
    )


def downgrade() -> None:
    op.execute('drop table rag_bench.rerank_score')
