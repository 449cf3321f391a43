"""Ctrl-C, and "Terminate" in the UI: a run stops between calls, and nothing that came is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import killed_sweep
import pytest
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from local_provider import LocalProvider
from small_world import World
from test_kill import dagster_environment  # noqa: F401  a fixture

from rag_bench.definitions import build_defs
from rag_bench.simulator.answer_key import answer_key_from_database

LATENCY = 0.3  # seconds: an interrupt finds calls in flight


@pytest.fixture
def slow_provider(free_world: World) -> Iterator[LocalProvider]:
    key = answer_key_from_database(free_world.engine)
    free_world.engine.dispose()
    with LocalProvider(lambda: key, latency_seconds=LATENCY).serving() as provider:
        yield provider


def environment_of(world: World) -> dict[str, str]:
    return {
        "RAG_BENCH_DATABASE_URL": world.url,
        "RAG_BENCH_DATA_DIR": str(world.data),
        "RAG_BENCH_REPORTS_DIR": str(world.reports),
    }


def nothing_was_lost(provider: LocalProvider, world: World) -> None:
    """Every call that the provider got is kept, and no claim or lease is left."""
    assert provider.count == world.count("llm_call", "status = 'ok'")
    assert provider.repeated == 0
    assert world.count("provider_lease") == 0
    assert world.count("call_claim") == 0


def test_ctrl_c_stops_a_sweep_between_calls(
    free_world: World,
    slow_provider: LocalProvider,
    dagster_environment: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    environment = {**dagster_environment, **environment_of(free_world)}
    log = tmp_path / "sweep.log"
    at = 2 * killed_sweep.SLOTS + 1
    assert killed_sweep.sweep_until(slow_provider, environment, at, log, signal.SIGINT)
    assert slow_provider.count <= at + killed_sweep.SLOTS, "nothing more was asked"
    nothing_was_lost(slow_provider, free_world)
    free_world.engine.dispose()


def test_terminate_in_the_ui_stops_a_run_between_calls(
    free_world: World,
    slow_provider: LocalProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {**environment_of(free_world), **killed_sweep.provider_environment(slow_provider)}
    given["X_GEN_MODELS"] = "sim-strong"
    for name, content in given.items():
        monkeypatch.setenv(name, content)
    target = ModuleTarget("rag_bench.definitions", "defs", str(tmp_path), "rag_bench")
    home = tmp_path / "instance"
    home.mkdir()
    job = build_defs().resolve_implicit_global_asset_job_def()
    with (
        dg.instance_for_test(temp_dir=str(home)) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        context = workspace.create_request_context()
        repository = next(iter(context.get_code_location("rag_bench").get_repositories().values()))
        launched = repository.get_full_job(job.name)
        run = instance.create_run_for_job(
            job,
            asset_selection={dg.AssetKey("tier2_answers")},
            tags={"dagster/partition": "x/sim-strong"},
            remote_job_origin=launched.get_remote_origin(),
            job_code_origin=launched.get_python_origin(),
        )
        instance.launch_run(run.run_id, context)
        wait_until(lambda: slow_provider.count > killed_sweep.SLOTS)
        assert instance.run_launcher.terminate(run.run_id)
        wait_until(lambda: status_of(instance, run.run_id).is_finished)
        assert status_of(instance, run.run_id).status is dg.DagsterRunStatus.CANCELED
        nothing_was_lost(slow_provider, free_world)
        assert slow_provider.count < 14, "some of the questions were not asked"
    free_world.engine.dispose()


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run
    return run


def wait_until(there: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)
