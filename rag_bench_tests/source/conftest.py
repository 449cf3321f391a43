"""Real dumps of a real database, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag_bench.store.embedded import EmbeddedServer
from rag_bench_tests.source.production_database import SCHEMA, Database, create, drop, fill


@pytest.fixture(scope="session")
def scratch(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database that tests fill anew (creating and dropping one each would take longer)."""
    database = create(server, tmp_path_factory.mktemp("scratch"))
    yield database
    drop(database)


@pytest.fixture
def make_database(scratch: Database) -> Callable[[str], Database]:
    """Empty the scratch database and run SQL in it; only the last one made is there."""

    def make(sql: str) -> Database:
        with scratch.connect() as connection:
            schemas = connection.execute(
                "select nspname from pg_namespace where nspname !~ '^pg_|information_schema'"
            ).fetchall()
            for (schema,) in schemas:
                connection.execute(f'drop schema "{schema}" cascade')
            connection.execute("create schema public")
            connection.execute(sql)
        return scratch

    return make


@pytest.fixture(scope="session")
def production(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The production schema with Russian rows."""
    database = create(server, tmp_path_factory.mktemp("dumps"))
    with database.connect() as connection:
        connection.execute(SCHEMA)
        fill(connection)
    yield database
    drop(database)


@pytest.fixture(scope="session")
def plain(production: Database) -> Path:
    return production.dump("--format=plain")


@pytest.fixture(scope="session")
def custom(production: Database) -> Path:
    return production.dump("--format=custom")


@pytest.fixture(scope="session")
def tar(production: Database) -> Path:
    return production.dump("--format=tar")
