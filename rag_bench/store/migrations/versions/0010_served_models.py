"""Who served a call: the model and the build that its reply names

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rows of earlier versions stay empty: what they say is in their replies, and read from there.
    op.execute(
        'alter table rag_bench.llm_call '
        'add column served_model text, add column system_fingerprint text'
    )


def downgrade() -> None:
    op.execute(
        'alter table rag_bench.llm_call drop column served_model, drop column system_fingerprint'
    )
