"""The leaderboard follows what was measured, also where Dagster does not make it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from backfills import opened_daemon
from dagster._core.execution.backfill import BulkActionStatus
from small_world import ANSWERS, LAB, OFFLINE, PRODUCTION, SCORES, World, failure, materializations

from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists
from rag_bench.sensors.report_sensor import NAME

STRONG = "simulator/sim-strong"
MODELS = ModelLists([STRONG], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges[:1])
MORE = ModelLists([STRONG], OFFLINE.benchmark_judges[:2], OFFLINE.production_judges[:1])


class Looking:
    """The sensor over an instance, with its cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self._defs = build_defs(MODELS)

    def look(self) -> dg.RunRequest | str:
        """One tick: what it asks for, or why it does not."""
        repository = self._defs.get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=repository
        ) as context:
            found = repository.get_sensor_def(NAME).evaluate_tick(context)
        self.cursor = found.cursor
        if found.run_requests:
            [request] = found.run_requests
            return request
        return str(found.skip_message)


def measure(world: World, *stages: tuple[str, ...], models: ModelLists, limit: int | None = None):
    for stage in stages:
        result = world.run(stage, models, benchmark={"limit": limit} if limit else {})
        assert result.success, failure(result)


def test_it_reports_what_is_new_and_nothing_else(free_world: World) -> None:
    world, sensor = free_world, Looking(free_world.instance)
    assert sensor.look() == "No generation model was measured under the default settings."
    measure(world, ANSWERS, SCORES, models=MODELS)
    first = sensor.look()
    assert isinstance(first, dg.RunRequest)
    assert sensor.look() == "Nothing was measured since the last look."

    measure(world, LAB, models=MODELS)
    measure(world, ("tier1_retrieval",), ANSWERS, SCORES, models=MODELS, limit=3)
    assert sensor.look() == "The leaderboard shows all that was measured."  # a trial is not news

    # A judge more: the leaderboard, however many partitions there are, is of before.
    measure(world, SCORES, models=MORE)
    second = sensor.look()
    assert isinstance(second, dg.RunRequest)
    assert second.run_key != first.run_key
    measure(world, LAB, models=MORE)
    measure(world, PRODUCTION, models=MORE)
    assert isinstance(sensor.look(), dg.RunRequest)


def test_it_waits_for_runs_to_end(free_world: World) -> None:
    sensor = Looking(free_world.instance)
    measure(free_world, ANSWERS, models=MODELS)
    run = dg.DagsterRun(job_name="scores", status=dg.DagsterRunStatus.STARTED)
    free_world.instance.add_run(run)
    assert "under way" in str(sensor.look())
    free_world.instance.report_run_failed(run)
    assert isinstance(sensor.look(), dg.RunRequest)


def test_what_optional_work_stopped_is_reported_all_the_same(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's metric that cannot be loaded fails its own asset; the models were measured."""
    monkeypatch.setenv("RAG_BENCH_CUSTOM_METRICS", "mine=no_such_module:metric")
    assets = [*ANSWERS, "tier2_custom_metrics", *SCORES, *LAB]
    with opened_daemon(tmp_path / "dagster") as daemon:
        ended = daemon.materialize(assets)
        assert ended.status is BulkActionStatus.COMPLETED_FAILED
        assert "no_such_module" in daemon.words(ended)
        # Every generator and production/log, by each judge.
        n_cells = (len(OFFLINE.generation) + 1) * len(OFFLINE.benchmark_judges)
        assert len(daemon.recorded("tier3_scores")) == n_cells
        assert not daemon.recorded("leaderboard")
        assert isinstance(Looking(daemon.instance).look(), dg.RunRequest)
    result = free_world.run(LAB)
    assert result.success, failure(result)
    assert materializations(result, "leaderboard")
