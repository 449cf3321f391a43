"""Answers of two models, and a file with functions of a user's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_metrics_world import FUNCTIONS, MODELS
from small_world import ANSWERS, Done, World
from small_world import _made_once as made_once
from small_world import opened_world as opened

from rag_bench.store.embedded import EmbeddedServer


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def answers_done(
    server: EmbeddedServer,
    free_part: Done,
    world_data: Path,
    quick_encoder: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Done]:
    reports = tmp_path_factory.mktemp("reports")
    yield from made_once(
        server,
        free_part.database,
        world_data,
        reports,
        lambda world: [world.run(ANSWERS, MODELS)],
    )


@pytest.fixture
def answered(
    server: EmbeddedServer, answers_done: Done, world_data: Path, tmp_path: Path
) -> Iterator[World]:
    """A database of the test's own, in which two models have answered all questions."""
    with opened(server, answers_done.database, world_data, tmp_path / "reports") as world:
        yield world
