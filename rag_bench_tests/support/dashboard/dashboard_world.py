"""A store with everything that the dashboard shows: measured twice, analysed, with failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_world import (
    ANSWERS,
    FREE,
    LAB,
    PRODUCTION,
    SCORES,
    Done,
    World,
    drop_database,
    opened_world,
)

from rag_bench.store.embedded import EmbeddedServer

ANALYTICS = (
    *("chunk_utilization", "topic_coverage", "domain_insights", "vector_map"),
    "near_duplicates",
    "benchmark_topics",
)


def analysed(world: World) -> None:
    """Measure and analyse everything in an empty world."""
    results = [*world.run_all(), world.run(("benchmark_judge_quality",)), world.run(ANALYTICS)]
    assert all(result.success for result in results)


@contextmanager
def measured_twice(
    server: EmbeddedServer, whole: Done, data: Path, reports: Path
) -> Iterator[World]:
    """The whole graph, then once more with one context for an answer, and the analyses.

    Only made under its environment: what lives as long as the session must not leave that to
    every later test.
    """
    with opened_world(server, whole.database, data, reports, keep=True) as world:
        for stage in (FREE[-1:], ANSWERS, SCORES, PRODUCTION, LAB[:2]):
            assert world.run(stage, benchmark={"contexts_per_answer": 1}).success
        assert world.run(ANALYTICS).success
    yield world
    world.engine.dispose()
    drop_database(server, str(world.engine.url.database))
