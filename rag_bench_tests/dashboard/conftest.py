"""One populated store for all tests of this folder: they only read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from dashboard_world import measured_twice
from large_store import SMALL, enlarge
from small_world import Done, World, drop_database
from sqlalchemy import Engine

from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.evaluations import Case, NewEvaluation, save_evaluation

REFUSED = "acme/large: http 401: wrong key"


@pytest.fixture(scope="session")
def populated(
    server: EmbeddedServer,
    whole_graph: Done,
    world_data: Path,
    quick_encoder: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    reports = tmp_path_factory.mktemp("dashboard_reports")
    with measured_twice(server, whole_graph, world_data, reports) as world:
        yield world


@pytest.fixture(scope="session")
def large(server: EmbeddedServer, populated: World) -> Iterator[Engine]:
    """A thousand combinations and a hundred runs, made from what is in the populated store."""
    populated.engine.dispose()
    name = f"{populated.engine.url.database}_large"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{populated.engine.url.database}"')
    engine = make_engine(server.url(name))
    enlarge(engine, SMALL)
    yield engine
    engine.dispose()
    drop_database(server, name)


@pytest.fixture
def failed(engine: Engine) -> Engine:
    """A store in which everything failed."""
    new = NewEvaluation(
        tier="3",
        kind="answers",
        settings_hash="f" * 64,
        settings={"limit": None},
        input_hash="a" * 64,
        started_at=datetime.now(UTC),
        generation_model="acme/large",
        metrics={"rougeL_f": {"value": None, "n_scored": 0, "n_expected": 3}},
    )
    cases = [Case(f"q{n}", error_code="LLM_FAILED", error_detail=REFUSED) for n in range(3)]
    save_evaluation(engine, new, cases, n_scored=0)
    return engine
