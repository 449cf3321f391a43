"""Bring the schema ``rag_bench`` to the version of this code; safe to call at every start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.hashing import text_hash
from rag_bench.store.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

# Any number, the same in every process: only one migrates at a time.
_LOCK = 7_240_613_001
_VIEWS = {"model_runs": Path(__file__).parent / "model_runs.sql"}


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration, bound to an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Apply the missing migrations and refresh the views, in one transaction.

    Raises:
        RagBenchError: the server has no pgvector, or the schema is newer than this code.
    """
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        try:
            with connection.begin_nested():
                connection.execute(text("create extension if not exists vector"))
        except DBAPIError as error:
            raise RagBenchError(
                "The database has no pgvector extension and it could not be created. Ask its "
                f"administrator to run CREATE EXTENSION vector ({error.orig})."
            ) from None
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
        try:
            command.upgrade(alembic_config(connection), "head")
        except CommandError as error:
            raise RagBenchError(
                f"The tables in schema {SCHEMA} belong to another version of rag_bench "
                f"({error}). Update the program, or use another database."
            ) from None
        for name, path in _VIEWS.items():
            _refresh_view(connection, name, path.read_text(encoding="utf-8"))


def is_current(engine: Engine) -> bool:
    """Whether the tables are exactly those of this code; changes nothing."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        head = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
        return context.get_current_revision() == head


def _refresh_view(connection: Connection, name: str, query: str) -> None:
    # Replaced only when its text changed, as a replacement waits for every reader.
    from sqlalchemy import text

    mark = text_hash(query)
    found = connection.execute(
        text("select obj_description(to_regclass(:view), 'pg_class')"),
        {"view": f"{SCHEMA}.{name}"},
    ).scalar()
    if found == mark:
        return
    connection.execute(text(f"drop view if exists {SCHEMA}.{name}"))
    connection.exec_driver_sql(f"create view {SCHEMA}.{name} as\n{query}")
    connection.exec_driver_sql(f"comment on view {SCHEMA}.{name} is '{mark}'")
