"""The first tables

Revision ID: 0001
Revises: 
"""

from __future__ import annotations

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('dataset',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('n_items', sa.Integer(), nullable=False),
    sa.Column('source', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='rag_bench'
    )
    op.create_index('dataset_by_name', 'dataset', ['name', 'created_at'], unique=False, schema='rag_bench')
    op.create_table('dump',
    sa.Column('sha256', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('corpus_hash', sa.Text(), nullable=False),
    sa.Column('n_chunks', sa.Integer(), nullable=False),
    sa.Column('n_questions', sa.Integer(), nullable=False),
    sa.Column('default_dataset_id', sa.Text(), nullable=True),
    sa.Column('report', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('loaded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('sha256'),
    schema='rag_bench'
    )
    op.create_table('embedding',
    sa.Column('encoder', sa.Text(), nullable=False),
    sa.Column('text_hash', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('n_tokens', sa.Integer(), nullable=True),
    sa.Column('truncated', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('vector', pgvector.sqlalchemy.vector.VECTOR(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('encoder', 'text_hash'),
    schema='rag_bench'
    )
    op.create_table('llm_call',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('base_url', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('replicate', sa.Integer(), nullable=False),
    sa.Column('request', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('response', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('error_detail', sa.Text(), nullable=True),
    sa.Column('http_status', sa.Integer(), nullable=True),
    sa.Column('finish_reason', sa.Text(), nullable=True),
    sa.Column('prompt_tokens', sa.Integer(), nullable=True),
    sa.Column('completion_tokens', sa.Integer(), nullable=True),
    sa.Column('cost_usd', sa.Numeric(), nullable=True),
    sa.Column('latency_ms', sa.Float(), nullable=True),
    sa.Column('wait_ms', sa.Float(), nullable=True),
    sa.Column('retries', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('dagster_run_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    schema='rag_bench'
    )
    op.create_index('llm_call_by_model', 'llm_call', ['provider', 'model', 'role'], unique=False, schema='rag_bench')
    op.create_index('llm_call_one_reply_per_key', 'llm_call', ['key'], unique=True, schema='rag_bench', postgresql_where=sa.text("status = 'ok'"))
    op.create_table('simulated_truth',
    sa.Column('answer_hash', sa.Text(), nullable=False),
    sa.Column('quality', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('answer_hash'),
    schema='rag_bench'
    )
    op.create_table('synthetic_item',
    sa.Column('recipe_hash', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('chunk_hash', sa.Text(), nullable=False),
    sa.Column('question', sa.Text(), nullable=True),
    sa.Column('reference_answer', sa.Text(), nullable=True),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('error_detail', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('recipe_hash', 'item_id'),
    schema='rag_bench'
    )
    op.create_table('chunk',
    sa.Column('dump_sha256', sa.Text(), nullable=False),
    sa.Column('chunk_hash', sa.Text(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('source_id', sa.BigInteger(), nullable=True),
    sa.Column('page_url', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('text_hash', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['dump_sha256'], ['rag_bench.dump.sha256'], ),
    sa.PrimaryKeyConstraint('dump_sha256', 'chunk_hash'),
    schema='rag_bench'
    )
    op.create_index('chunk_by_hash', 'chunk', ['chunk_hash'], unique=False, schema='rag_bench')
    op.create_table('current_snapshot',
    sa.Column('only_row', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('dump_sha256', sa.Text(), nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['dump_sha256'], ['rag_bench.dump.sha256'], ),
    sa.PrimaryKeyConstraint('only_row'),
    schema='rag_bench'
    )
    op.create_table('dataset_item',
    sa.Column('dataset_id', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('reference_answer', sa.Text(), nullable=True),
    sa.Column('chunk_hashes', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('page_urls', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['rag_bench.dataset.id'], ),
    sa.PrimaryKeyConstraint('dataset_id', 'item_id'),
    schema='rag_bench'
    )
    op.create_table('evaluation',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('tier', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('generation_model', sa.Text(), nullable=True),
    sa.Column('benchmark_judge_model', sa.Text(), nullable=True),
    sa.Column('production_judge_model', sa.Text(), nullable=True),
    sa.Column('embedding_model', sa.Text(), nullable=True),
    sa.Column('dataset_id', sa.Text(), nullable=True),
    sa.Column('dump_sha256', sa.Text(), nullable=True),
    sa.Column('settings_hash', sa.Text(), nullable=False),
    sa.Column('settings', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('prompt_hash', sa.Text(), nullable=True),
    sa.Column('code_version', sa.Text(), nullable=True),
    sa.Column('git_commit', sa.Text(), nullable=True),
    sa.Column('dagster_run_id', sa.Text(), nullable=True),
    sa.Column('trace_id', sa.Text(), nullable=True),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('input_hash', sa.Text(), nullable=True),
    sa.Column('inputs', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('metrics', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('errors', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['rag_bench.dataset.id'], ),
    sa.ForeignKeyConstraint(['dump_sha256'], ['rag_bench.dump.sha256'], ),
    sa.PrimaryKeyConstraint('id'),
    schema='rag_bench'
    )
    op.create_index('evaluation_by_input', 'evaluation', ['input_hash'], unique=False, schema='rag_bench')
    op.create_index('evaluation_by_settings', 'evaluation', ['settings_hash', 'tier', 'kind'], unique=False, schema='rag_bench')
    op.create_table('question_answer',
    sa.Column('dump_sha256', sa.Text(), nullable=False),
    sa.Column('source_id', sa.BigInteger(), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('answer', sa.Text(), nullable=True),
    sa.Column('page_url', sa.Text(), nullable=True),
    sa.Column('score', sa.Integer(), nullable=True),
    sa.Column('user_id', sa.BigInteger(), nullable=True),
    sa.Column('stop_point', sa.Boolean(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['dump_sha256'], ['rag_bench.dump.sha256'], ),
    sa.PrimaryKeyConstraint('dump_sha256', 'source_id'),
    schema='rag_bench'
    )
    op.create_table('evaluation_case',
    sa.Column('evaluation_id', sa.BigInteger(), nullable=False),
    sa.Column('case_id', sa.Text(), nullable=False),
    sa.Column('repeat', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('answer', sa.Text(), nullable=True),
    sa.Column('retrieved', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('citations', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('scores', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column('error_code', sa.Text(), nullable=True),
    sa.Column('error_detail', sa.Text(), nullable=True),
    sa.Column('flags', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False),
    sa.ForeignKeyConstraint(['evaluation_id'], ['rag_bench.evaluation.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('evaluation_id', 'case_id', 'repeat'),
    schema='rag_bench'
    )


def downgrade() -> None:
    op.drop_table('evaluation_case', schema='rag_bench')
    op.drop_table('question_answer', schema='rag_bench')
    op.drop_index('evaluation_by_settings', table_name='evaluation', schema='rag_bench')
    op.drop_index('evaluation_by_input', table_name='evaluation', schema='rag_bench')
    op.drop_table('evaluation', schema='rag_bench')
    op.drop_table('dataset_item', schema='rag_bench')
    op.drop_table('current_snapshot', schema='rag_bench')
    op.drop_index('chunk_by_hash', table_name='chunk', schema='rag_bench')
    op.drop_table('chunk', schema='rag_bench')
    op.drop_table('synthetic_item', schema='rag_bench')
    op.drop_table('simulated_truth', schema='rag_bench')
    op.drop_index('llm_call_one_reply_per_key', table_name='llm_call', schema='rag_bench', postgresql_where=sa.text("status = 'ok'"))
    op.drop_index('llm_call_by_model', table_name='llm_call', schema='rag_bench')
    op.drop_table('llm_call', schema='rag_bench')
    op.drop_table('embedding', schema='rag_bench')
    op.drop_table('dump', schema='rag_bench')
    op.drop_index('dataset_by_name', table_name='dataset', schema='rag_bench')
    op.drop_table('dataset', schema='rag_bench')
