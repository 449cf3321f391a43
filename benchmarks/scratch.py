"""Databases of a benchmark's own, with the tests' small world in them; dropped at the end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import URL

from rag_bench.dagster_home import instance_yaml
from rag_bench.settings import PROJECT_ROOT, get_settings
from rag_bench.store.database import ensure_database, libpq_url, make_engine, parse_url
from rag_bench.store.migrate import migrate

# The small world, the local provider and the killing of sweeps are the tests' own.
sys.path.insert(0, str(PROJECT_ROOT / "rag_bench_tests" / "support"))

from folders import support_folders

sys.path.extend(support_folders())

import killed_sweep
import small_world
from local_provider import LocalProvider

__all__ = ["LocalProvider", "killed_sweep", "small_world"]


@cache
def _server() -> URL:
    """Return the server's own URL, asked for before any benchmark points the settings at another
    database of it.
    """
    return parse_url(ensure_database(get_settings()), "psycopg")


@contextmanager
def database(template: str | None = None) -> Iterator[str]:
    """Create a database, as a copy of ``template`` if given; yield its libpq URL."""
    url = _server()
    name = f"bench_{uuid.uuid4().hex[:12]}"
    admin_url = libpq_url(url.render_as_string(hide_password=False))
    copied = f' template "{template}"' if template else ""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f'create database "{name}"{copied}')
    try:
        yield libpq_url(url.set(database=name).render_as_string(hide_password=False))
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(f'drop database "{name}" with (force)')


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is removed at the end, with the world as a data folder in it."""
    made = Path(tempfile.mkdtemp(prefix="rag_bench_"))
    try:
        small_world.write_data(made / "data")
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def project_instance(place: Path) -> Iterator[dict[str, str]]:
    """Dagster's storage in a database of its own; yield the environment that names it."""
    home = place / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(instance_yaml(), encoding="utf-8")
    with database() as url:
        yield {"DAGSTER_HOME": str(home), "RAG_BENCH_DAGSTER_DATABASE_URL": url}


@contextmanager
def world(place: Path, template: str | None = None) -> Iterator[small_world.World]:
    """The world over a database of its own, the environment of this process pointing at it."""
    from dagster import DagsterInstance

    with ExitStack() as stack:
        url = stack.enter_context(database(template))
        engine = make_engine(url)
        stack.callback(engine.dispose)
        if template is None:
            migrate(engine)
        os.environ |= {
            "RAG_BENCH_DATABASE_URL": url,
            "RAG_BENCH_DATA_DIR": str(place / "data"),
            "RAG_BENCH_REPORTS_DIR": str(place / "reports"),
        }
        instance = stack.enter_context(DagsterInstance.ephemeral())
        yield small_world.World(engine, url, place / "data", place / "reports", instance)
