from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from rag_bench.store.access import tables as _access  # noqa: F401
from rag_bench.store.drafts import tables as _drafts  # noqa: F401
from rag_bench.store.eval_runs import tables as _eval_runs  # noqa: F401
from rag_bench.store.labels import tables as _labels  # noqa: F401
from rag_bench.store.migrate import migrate
from rag_bench.store.releases import tables as _releases  # noqa: F401
from rag_bench.store.stale import tables as _stale  # noqa: F401
from rag_bench.store.tables import SCHEMA, metadata


def _ours(name: str | None, kind: str, parents: object) -> bool:
    return name == SCHEMA if kind == "schema" else True


def test_migrations_create_exactly_the_tables_that_the_code_describes(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": _ours,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing_and_keeps_the_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("insert into rag_bench.simulated_truth (answer_hash, quality) values ('a', 'b')")
        )
        before = connection.execute(text("select 'rag_bench.model_runs'::regclass::oid")).scalar()
    migrate(engine)
    with engine.connect() as connection:
        after = connection.execute(text("select 'rag_bench.model_runs'::regclass::oid")).scalar()
        rows = connection.execute(text("select count(*) from rag_bench.simulated_truth")).scalar()
    assert before == after, "an unchanged view is not replaced"
    assert rows == 1


def test_a_changed_view_is_replaced(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("comment on view rag_bench.model_runs is 'old'"))
        before = connection.execute(text("select 'rag_bench.model_runs'::regclass::oid")).scalar()
    migrate(engine)
    with engine.connect() as connection:
        after = connection.execute(text("select 'rag_bench.model_runs'::regclass::oid")).scalar()
    assert before != after
