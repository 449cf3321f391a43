"""One populated store for all tests of this folder: they only read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_world import measured_twice
from small_world import Done, World

from rag_bench.store.embedded import EmbeddedServer


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
