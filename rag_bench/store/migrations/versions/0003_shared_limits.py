"""Processes share the providers' limits and a budget, and do not ask the same twice

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        'create table rag_bench.provider_limit ('
        'account text primary key, provider text not null, version bigint not null default 0, '
        'learned_window double precision, learned_rate double precision, learned_by text, '
        'learned_at timestamptz, paused_until timestamptz)'
    )
    op.execute(
        'create table rag_bench.provider_lease ('
        'account text not null references rag_bench.provider_limit (account), '
        'holder text not null, process text not null, slots integer not null, '
        'rate double precision not null, wanted integer not null, '
        'wanted_rate double precision not null, slots_in_all integer not null, '
        'expires_at timestamptz not null, primary key (account, holder))'
    )
    op.execute('create index provider_lease_by_holder on rag_bench.provider_lease (holder)')
    op.execute(
        'create unlogged table rag_bench.call_claim ('
        'key text primary key, holder text not null, '
        'created_at timestamptz not null default now())'
    )
    op.execute(
        'create table rag_bench.budget (name text primary key, '
        'version bigint not null default 0, created_at timestamptz not null default now())'
    )
    op.execute(
        'create table rag_bench.budget_share ('
        'budget text not null references rag_bench.budget (name), holder text not null, '
        'granted_calls bigint not null, granted_usd numeric not null, '
        'spent_calls bigint not null, spent_usd numeric not null, '
        'open boolean not null, expires_at timestamptz not null, primary key (budget, holder))'
    )


def downgrade() -> None:
    for table in ('budget_share', 'budget', 'call_claim', 'provider_lease', 'provider_limit'):
        op.execute(f'drop table rag_bench.{table}')
