"""Fixtures shared by all tests: the real embedded PostgreSQL, one fresh database per test."""

from __future__ import annotations

import os
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fresh_databases import FreshDatabases, close_all, copies_of
from sqlalchemy import Engine

from rag_bench.processes import look_for_garbage_rarely
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate

# Fixtures of the graph over a small made-up knowledge base.
pytest_plugins = ["small_world"]

# What a developer's own environment may hold must not change what the tests see.
_FOREIGN_PREFIXES = ("PROVIDER_", "RAG_BENCH_", "GENERATION_", "JUDGE_", "BENCHMARKS_JUDGE_")
_FOREIGN_SUFFIXES = ("_GEN_MODELS", "_JUDGE_MODELS")
_OWN = (
    *("RAG_BENCH_HOME", "RAG_BENCH_ENV_FILES"),
    *("RAG_BENCH_SELF_TEST_RUNS", "RAG_BENCH_SELF_TEST_FAULTS"),
)
_TEST_HOME = os.environ.get("RAG_BENCH_HOME")

#: What a module's text has if it reads the store of the whole graph, or one made of that. They all
#: run on one worker, or another would make that store once more, which takes a minute and more.
_OF_WHOLE_GRAPH = re.compile(
    r"\b(whole_graph|done_world|populated|large: Engine)\b|def test_\w+\([^)]*\bui: Ui\b"
)
#: Seconds from which a module should say that it is long, on an idle machine.
_LONG_SECONDS = 60.0


def _is_foreign(name: str) -> bool:
    return name.startswith(_FOREIGN_PREFIXES) or name.endswith(_FOREIGN_SUFFIXES)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # pytest-xdist keeps our order (`long`)
    for name in list(os.environ):
        if _is_foreign(name):
            del os.environ[name]
    # The embedded server and the converted weights are shared with the developer's runs.
    if _TEST_HOME:
        os.environ["RAG_BENCH_HOME"] = _TEST_HOME
    # Dagster would otherwise look for a .env in the current folder.
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    os.environ["RAG_BENCH_ENV_FILES"] = "0"
    # Whoever materializes everything tries the self-test, too; twenty of each line are quick.
    os.environ["RAG_BENCH_SELF_TEST_RUNS"] = "20"
    os.environ["RAG_BENCH_SELF_TEST_FAULTS"] = "none"
    look_for_garbage_rarely()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with modules that say they are long, the longest first, so that none of them is left to
    one worker when the others have nothing to do any more.
    """
    minutes: dict[Path, float] = {}
    for item in items:
        if (mark := item.get_closest_marker("long")) is not None:
            minutes[item.path] = max(minutes.get(item.path, 0.0), mark.kwargs.get("minutes", 1.0))
    items.sort(key=lambda item: -minutes.get(item.path, 0.0))


@pytest.hookimpl(trylast=True)  # of an interrupted session, fixtures are torn down in this hook
def pytest_sessionfinish() -> None:
    close_all()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the modules that took long, so that the marks follow what is measured."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    slow = [f"{name} {took:.0f} s" for name, took in seconds.most_common() if took > _LONG_SECONDS]
    if slow:
        terminalreporter.write_line(
            f"Modules of a minute and more (mark `long`): {', '.join(slow)}"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give workers modules as ``--dist loadfile`` does, those of the whole graph to one."""
    if config.option.dist != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByStore(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return "whole graph" if _reads_whole_graph(config.rootpath / module) else module

    return ByStore(config, log)


@cache
def _reads_whole_graph(module: Path) -> bool:
    return bool(_OF_WHOLE_GRAPH.search(module.read_text(encoding="utf-8")))


@pytest.fixture(scope="module", autouse=True)
def _own_environment() -> Iterator[None]:
    """What a module sets for its processes (`open_instance` does) is gone after it.

    Fixtures of the session come before this one, so none of them may leave its settings.
    """
    left = sorted(name for name in os.environ if _is_foreign(name) and name not in _OWN)
    assert not left, f"a fixture of the session left {', '.join(left)} in the environment"
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def server() -> EmbeddedServer:
    """The embedded server, started if it was not running."""
    embedded = EmbeddedServer(Settings().home)
    embedded.start()
    return embedded


def _admin(server: EmbeddedServer) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url("postgres"), autocommit=True)


@pytest.fixture(scope="session")
def template_database(server: EmbeddedServer) -> Iterator[str]:
    """A migrated, empty database, from which each test's own is copied."""
    name = f"test_template_{uuid.uuid4().hex[:12]}"
    with _admin(server) as connection:
        connection.execute(f'create database "{name}"')
    engine = make_engine(server.url(name))
    migrate(engine)
    engine.dispose()
    yield name
    with _admin(server) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture(scope="session")
def fresh_databases(server: EmbeddedServer, template_database: str) -> FreshDatabases:
    """Migrated, empty databases, each for one test."""
    return copies_of(server, template_database)


@pytest.fixture
def database_url(server: EmbeddedServer, fresh_databases: FreshDatabases) -> Iterator[str]:
    """The libpq URL of a fresh, migrated database."""
    name = fresh_databases.take()
    yield server.url(name)
    fresh_databases.give_back(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An SQLAlchemy engine on a fresh, migrated database."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def dagster_storage(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database for Dagster's tables, made once: it takes seconds."""
    name = f"test_dagster_{uuid.uuid4().hex[:12]}"
    with _admin(server) as admin:
        admin.execute(f'create database "{name}"')
    yield server.url(name)
    with _admin(server) as admin:
        admin.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def xquad() -> Path:
    """The folder with XQuAD; the test is skipped where it is absent."""
    folder = PROJECT_ROOT.parent / "shared" / "data" / "xquad"
    if not (folder / "xquad.ru.json").exists():
        pytest.skip("XQuAD is not beside the project")
    return folder


@pytest.fixture
def cases() -> Path:
    """The folder with inputs that people reported; the test is skipped where it is absent."""
    folder = PROJECT_ROOT.parent / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the reported inputs are not beside the project")
    return folder
