"""Whatever is killed while a run is at work, the run ends by itself, and next to nothing is asked
twice: at most the calls that were in flight.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from backfills import opened_daemon
from dagster_runs import Sensing
from embedded_servers import postmaster
from folders import support_folders
from local_provider import LocalProvider
from queued_runs import events_of, expire, row_of, wait_for
from run_processes import (
    SLOTS,
    ProcessLauncher,
    asked,
    kill_at,
    provider_variables,
    replies,
    service,
    unanswered,
)
from sqlalchemy import Engine

from rag_bench.eval_runs.runner import Runner
from rag_bench.settings import Settings
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.eval_runs import queueing
from rag_bench.store.migrate import migrate

pytestmark = pytest.mark.long

N_CASES = 24


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalProvider]:
    with LocalProvider(AnswerKey, 0.02).serving() as serving:
        for name, value in provider_variables(serving).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path / "results"))
        yield serving


def ended_well(engine: Engine, provider: LocalProvider, run_id: str, lost: int) -> None:
    """Check that nothing is missing and nothing was repeated but what was in flight."""
    wait_for(engine, run_id, "succeeded", 120)
    assert unanswered(engine, run_id) == 0
    assert provider.repeated <= lost <= 2 * SLOTS
    assert len(provider.by_body) == replies(engine)


def test_the_service_is_killed(
    engine: Engine, database_url: str, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    run_id = asked(engine, N_CASES)
    with service() as process:
        kill_at(provider, 20, process.kill)
        process.wait(60)
    provider.on_request = None
    lost = provider.count - replies(engine)
    assert row_of(engine, run_id).status == "running"
    expire(engine, run_id)
    # Whoever comes next; another process's start would only take longer.
    runner = Runner(engine, Settings())
    runner.start()
    ended_well(engine, provider, run_id, lost)
    runner.stop()
    assert events_of(engine, run_id).count("interrupted") == 1


def test_postgresql_is_killed(
    tmp_path: Path, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "LEASE", 3.0)
    server = EmbeddedServer(tmp_path / "home")
    engine = make_engine(server.start())
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", server.url())
    try:
        migrate(engine)
        run_id = asked(engine, N_CASES)
        killed = threading.Event()

        def kill() -> None:
            os.kill(postmaster(server), signal.SIGKILL)
            killed.set()

        kill_at(provider, 20, kill)
        runner = Runner(engine, Settings())
        runner.start()
        assert killed.wait(60)
        time.sleep(1)
        server.start()
        # In flight at the kill, and replies that had come and were not written yet.
        ended_well(engine, provider, run_id, 2 * SLOTS)
        runner.stop()
    finally:
        engine.dispose()
        server.delete()


@pytest.fixture
def sensing(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sensing]:
    """Dagster's daemon whose runs are processes."""
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    launcher = {"module": "run_processes", "class": "ProcessLauncher"}
    paths = os.pathsep.join([*support_folders(), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", paths)
    with opened_daemon(tmp_path / "dagster", launcher) as daemon:
        yield Sensing(daemon)
    for process in ProcessLauncher.processes.values():
        process.kill()
        process.wait()
    ProcessLauncher.processes.clear()


def test_the_process_of_dagsters_run_is_killed(
    engine: Engine, provider: LocalProvider, sensing: Sensing
) -> None:
    run_id = asked(engine, N_CASES, "dagster")
    sensing.tick()
    [process] = ProcessLauncher.processes.values()
    kill_at(provider, 20, process.kill)
    process.wait(60)
    provider.on_request = None
    lost = provider.count - replies(engine)
    sensing.tick()  # notes that Dagster has the run
    expire(engine, run_id)
    sensing.tick()
    assert sensing.runs()[0].status is dg.DagsterRunStatus.FAILURE, "nobody else has noticed"
    ended_well(engine, provider, run_id, lost)
    assert events_of(engine, run_id).count("interrupted") == 1


def test_a_run_is_cancelled_in_dagsters_ui(
    engine: Engine, provider: LocalProvider, sensing: Sensing
) -> None:
    n_cases = 120

    async def slowly(body: dict[str, Any], number: int) -> None:
        await asyncio.sleep(0.15)

    provider.misbehave = slowly
    run_id = asked(engine, n_cases, "dagster")
    sensing.tick()
    [dagster_run_id] = ProcessLauncher.processes
    asked_for = threading.Event()
    kill_at(provider, 20, asked_for.set)
    assert asked_for.wait(60)
    assert sensing.instance.run_launcher.terminate(dagster_run_id)
    row = wait_for(engine, run_id, "cancelled", 60)
    assert ProcessLauncher.processes[dagster_run_id].wait(60) is not None
    run = sensing.instance.get_run_by_id(dagster_run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert provider.count == replies(engine) < n_cases, "calls in flight came to their end"
    assert row.counts["scored"] + row.counts["failed"] == provider.count, "and are kept"
    # Somebody wants the rest after all.
    provider.misbehave = None
    with engine.begin() as connection:
        assert queueing.requeue(connection, run_id)
    sensing.tick()
    ended_well(engine, provider, run_id, 0)
