"""The recorded store in a database of its own, and ``rag-bench`` on it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from recording import DATA, environment, load
from sqlalchemy import Engine

from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate


@pytest.fixture(scope="module")
def old_store(
    server: EmbeddedServer, dagster_storage: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """The store of the version before, migrated, with the variables that it was made under."""
    name = f"test_recorded_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute("create extension vector")
    load(server.url(name))
    engine = make_engine(server.url(name))
    migrate(engine)
    folder: Path = tmp_path_factory.mktemp("recorded")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(DATA))
    for variable, value in {
        **environment(server.url(name), folder / "reports"),
        "RAG_BENCH_HOME": str(folder / "home"),
        "RAG_BENCH_DAGSTER_DATABASE_URL": dagster_storage,
        # Commands set these; named here so that they are restored.
        "RAG_BENCH_DAGSTER_URL": "",
        "DAGSTER_HOME": "",
    }.items():
        patch.setenv(variable, value)
    there = Path.cwd()
    os.chdir(folder)
    yield engine
    os.chdir(there)
    patch.undo()
    engine.dispose()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'drop database "{name}" with (force)')
