"""Which database is used, what is said when it cannot be, and how its tables come to be."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.database import (
    dagster_url,
    database_url,
    ensure_database,
    libpq_url,
    make_engine,
    only_one,
    parse_url,
    quick_engine,
)
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate

SECRET = "s3cret-пароль"


def admin(server: EmbeddedServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url("postgres"), autocommit=True)


@pytest.fixture
def empty_database(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database in which nothing was ever made."""
    name = f"test_empty_{uuid.uuid4().hex[:12]}"
    with admin(server) as connection:
        connection.execute(f'create database "{name}"')
    yield server.url(name)
    with admin(server) as connection:
        for made in (name, f"{name}_dagster"):
            connection.execute(f'drop database if exists "{made}" with (force)')


def test_a_server_of_the_users_is_used_and_none_is_started(
    empty_database: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=empty_database)
    assert ensure_database(settings) == database_url(settings) == empty_database
    assert not (tmp_path / "home").exists()
    engine = make_engine(empty_database)
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from rag_bench.model_runs")).scalar() == 0
    engine.dispose()


def test_the_driver_in_the_url_does_not_matter(empty_database: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"):
        url = empty_database.replace("postgresql", scheme, 1)
        engine = make_engine(url)
        with engine.connect() as connection:
            assert connection.execute(text("select 1")).scalar() == 1
        engine.dispose()
        assert ensure_database(Settings(database_url=url)) == url


@pytest.mark.parametrize(
    "url",
    [
        f"{SECRET}",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgresql://me:{SECRET}:x@y:z@host/db",
        f"mysql://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@127.0.0.1:1/db",
        f"postgresql://me:{SECRET}@127.0.0.1:1/db?no_such_option={SECRET}",
        f"postgresql://me@127.0.0.1:1/db?password={SECRET}",
        "postgresql://me:s3cret%2Fwith%20signs@no-such-host.invalid/db",
    ],
)
def test_a_bad_url_is_an_error_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RAG_BENCH_DATABASE_URL") as raised:
        ensure_database(Settings(home=tmp_path, database_url=url))
    shown = f"{raised.value!r} {raised.value}"
    assert "s3cret" not in shown
    assert "\n" not in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__


def test_a_refused_password_is_not_shown(empty_database: str, tmp_path: Path) -> None:
    url = empty_database.replace("postgres@", f"nobody_like_this:{SECRET}@")
    with pytest.raises(ConfigurationError, match='role "nobody_like_this" does not exist') as why:
        ensure_database(Settings(home=tmp_path, database_url=url))
    assert SECRET not in str(why.value)


def test_libpq_reads_the_url_as_sqlalchemy_does() -> None:
    url = "postgresql+psycopg://me:p%20w%2B%40@/my%20db?host=%2Fhome%2FMy+Files%2Fa%2Bb%25&port=5"
    read = conninfo_to_dict(libpq_url(url))
    assert read == {
        "user": "me",
        "password": "p w+@",
        "dbname": "my db",
        "host": "/home/My Files/a+b%",
        "port": "5",
    }
    assert parse_url(libpq_url(url), "psycopg") == parse_url(url, "psycopg")


def test_dagster_gets_a_database_of_its_own_beside_ours(
    server: EmbeddedServer, empty_database: str, tmp_path: Path
) -> None:
    mine = Settings(home=tmp_path, database_url=empty_database)
    url = dagster_url(mine, empty_database)
    assert url.startswith("postgresql+psycopg2://")
    name = parse_url(empty_database, "psycopg").database
    assert parse_url(url, "psycopg").database == f"{name}_dagster"
    with psycopg.connect(libpq_url(url)) as connection:
        assert connection.execute("select current_database()").fetchone() == (f"{name}_dagster",)
    assert dagster_url(mine, empty_database) == url, "the second time it is there"

    given = Settings(home=tmp_path, dagster_database_url="postgresql://me:word@host/d")
    assert dagster_url(given, empty_database) == "postgresql+psycopg2://me:word@host/d"


@pytest.fixture
def humble_role(server: EmbeddedServer) -> Iterator[str]:
    """A role that may not create anything."""
    name = f"humble_{uuid.uuid4().hex[:8]}"
    with admin(server) as connection:
        connection.execute(f'create role "{name}" login')
    yield name
    with admin(server) as connection:
        connection.execute(f'drop role "{name}"')


def test_a_user_who_may_create_no_database_keeps_dagsters_tables_in_ours(
    empty_database: str, humble_role: str, tmp_path: Path
) -> None:
    url = empty_database.replace("postgres@", f"{humble_role}@")
    found = dagster_url(Settings(home=tmp_path, database_url=url), url)
    assert parse_url(found, "psycopg") == parse_url(url, "psycopg")


def test_a_database_where_pgvector_cannot_be_had_is_a_clear_error(
    empty_database: str, humble_role: str
) -> None:
    engine = make_engine(empty_database.replace("postgres@", f"{humble_role}@"))
    with pytest.raises(RagBenchError, match=r"pgvector.*CREATE EXTENSION vector"):
        migrate(engine)
    engine.dispose()


def test_tables_of_a_newer_version_are_refused(empty_database: str) -> None:
    engine = make_engine(empty_database)
    migrate(engine)
    with engine.begin() as connection:
        changed = connection.execute(
            text("update rag_bench.alembic_version set version_num = '9999'")
        )
        assert changed.rowcount == 1
    with pytest.raises(RagBenchError, match="another version of rag_bench"):
        migrate(engine)
    engine.dispose()


MIGRATE = """
import sys
from rag_bench.store.database import make_engine
from rag_bench.store.migrate import migrate
engine = make_engine(sys.argv[1])
with engine.connect():
    print("ready", flush=True)
    sys.stdin.readline()
    migrate(engine)
"""


def test_two_processes_migrate_a_fresh_database_at_once(empty_database: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_database],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert ends == [("", "", 0)] * 2
    with psycopg.connect(empty_database) as connection:
        rows = connection.execute("select version_num from rag_bench.alembic_version").fetchall()
        assert len(rows) == 1
        assert connection.execute("select count(*) from rag_bench.model_runs").fetchone() == (0,)


def test_a_failed_migration_leaves_nothing_behind(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text("select no_such_column from rag_bench.evaluation")
    monkeypatch.setattr("rag_bench.store.migrate._VIEWS", {"model_runs": broken})
    engine = make_engine(empty_database)
    with pytest.raises(Exception, match="no_such_column"):
        migrate(engine)
    with engine.connect() as connection:
        found = connection.execute(text("select to_regnamespace('rag_bench')")).scalar()
    assert found is None
    monkeypatch.undo()
    migrate(engine)
    engine.dispose()


def test_one_run_at_a_time_and_a_lost_session_gives_the_lock_back(
    engine: Engine,
) -> None:
    other = make_engine(engine.url.render_as_string(hide_password=False))
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with only_one(other, "models", waiting.set):
            order.append("second")

    with only_one(engine, "models", lambda: order.append("waited for nothing")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        with only_one(engine, "another thing", lambda: order.append("waited for another lock")):
            order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    other.dispose()


def _process(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select pg_backend_pid()")).scalar_one())


@pytest.fixture
def lone(empty_database: str) -> Iterator[Engine]:
    engine = make_engine(empty_database)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("engine_of", [lambda engine: engine, quick_engine])
def test_connections_that_the_server_ended_are_replaced_unnoticed(
    lone: Engine, empty_database: str, engine_of: Callable[[Engine], Engine]
) -> None:
    engine = engine_of(lone)
    with engine.connect() as one, engine.connect() as other:  # two in the pool
        pids = {c.execute(text("select pg_backend_pid()")).scalar_one() for c in (one, other)}
    with psycopg.connect(libpq_url(empty_database), autocommit=True) as other_client:
        for pid in pids:
            other_client.execute("select pg_terminate_backend(%s, 5000)", [pid])
    with engine.connect() as one, engine.connect() as other:
        later = {c.execute(text("select pg_backend_pid()")).scalar_one() for c in (one, other)}
    assert len(later) == 2
    assert not later & pids
    engine.dispose()


def test_taking_a_connection_sends_nothing(lone: Engine, empty_database: str) -> None:
    pid = _process(lone)
    with lone.connect(), psycopg.connect(libpq_url(empty_database)) as other_client:
        last = other_client.execute("select query from pg_stat_activity where pid = %s", [pid])
        # What the pool sent last, when it took the connection back.
        assert last.fetchone() == ("ROLLBACK",)


def test_a_connection_with_something_to_tell_is_kept_if_it_lives(
    lone: Engine, empty_database: str
) -> None:
    with lone.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("listen heard"))
    pid = _process(lone)
    with psycopg.connect(libpq_url(empty_database), autocommit=True) as other_client:
        other_client.execute("notify heard")
    assert _process(lone) == pid


def test_an_error_names_no_values(engine: Engine) -> None:
    # It goes into logs, and values are users' words.
    for one in (engine, quick_engine(engine)):
        with one.connect() as connection, pytest.raises(DBAPIError) as caught:
            connection.execute(text("select cast(1 / 0 as int), :words"), {"words": "Кузнецова"})
        assert "division by zero" in str(caught.value)
        assert "Кузнецова" not in str(caught.value)
