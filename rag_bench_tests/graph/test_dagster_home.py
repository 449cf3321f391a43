"""Dagster's instance: where it lives, and runs whose process is gone."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster import DagsterRunStatus

from rag_bench.dagster_home import clear_dead_runs, open_instance, prepare
from rag_bench.processes import process_identity
from rag_bench.resources import PROCESS_TAG, PROCESS_TAG_BEFORE
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.embedded import EmbeddedServer

POOL = "llm"
CHANGED = ("RAG_BENCH_DATABASE_URL", "RAG_BENCH_DAGSTER_URL", "RAG_BENCH_HOME", "DAGSTER_HOME")


@pytest.fixture(scope="module")
def settings(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings with a database of this module's own, in which Dagster keeps its tables."""
    name = f"test_dagster_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    yield Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=server.url(name),
        dagster_database_url=server.url(name),
    )
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'drop database "{name}" with (force)')


@pytest.fixture(scope="module")
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance as `rag-bench` opens it: Dagster's own PostgreSQL storage."""
    patch = pytest.MonkeyPatch()
    for name in CHANGED:
        patch.setenv(name, "to be set")  # so that it is restored
        os.environ.pop(name)
    with open_instance(settings) as opened:
        yield opened
    patch.undo()


@dg.op(pool=POOL)
def ask() -> None: ...


@dg.job
def asking() -> None:
    ask()


def run_of(
    instance: dg.DagsterInstance,
    process: str | None,
    status: DagsterRunStatus = DagsterRunStatus.STARTED,
    tag: str = PROCESS_TAG,
) -> str:
    tags = {} if process is None else {tag: process}
    return instance.create_run_for_job(asking, status=status, tags=tags).run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process
        process.kill()


@pytest.fixture
def gone() -> str:
    """The identity of a process that was killed."""
    process = subprocess.Popen(["sleep", "300"])
    identity = process_identity(process.pid)
    assert identity
    process.kill()
    process.wait()
    return identity


def test_only_runs_whose_process_is_gone_are_ended(
    instance: dg.DagsterInstance, sleeper: subprocess.Popen[bytes], gone: str
) -> None:
    living = process_identity(sleeper.pid)
    assert living
    host, pid, start = living.split(":")
    canceling = DagsterRunStatus.CANCELING
    dead = {
        run_of(instance, gone),
        run_of(instance, gone, canceling),
        run_of(instance, gone, tag=PROCESS_TAG_BEFORE),
        run_of(instance, f"{host}:{pid}:{float(start) - 60:.2f}"),  # the id went to another process
    }
    alive = {
        run_of(instance, living): DagsterRunStatus.STARTED,
        run_of(instance, living, canceling): canceling,
        run_of(instance, f"other-{gone}"): DagsterRunStatus.STARTED,  # of another machine
        run_of(instance, None): DagsterRunStatus.STARTED,
        run_of(instance, "by hand"): DagsterRunStatus.STARTED,
        run_of(instance, f"{host}:not a number:1"): DagsterRunStatus.STARTED,
        run_of(instance, gone, DagsterRunStatus.SUCCESS): DagsterRunStatus.SUCCESS,
        run_of(instance, gone, DagsterRunStatus.NOT_STARTED): DagsterRunStatus.NOT_STARTED,
    }
    assert set(clear_dead_runs(instance)) == dead
    assert {status_of(instance, run) for run in dead} == {DagsterRunStatus.FAILURE}
    assert {run: status_of(instance, run) for run in alive} == alive
    logged = [
        record.event_log_entry.message
        for run in dead
        for record in instance.get_records_for_run(run).records
    ]
    assert sum("process that executed this run is gone" in (message or "") for message in logged)
    assert clear_dead_runs(instance) == [], "the second time there is nothing left"


def test_the_slot_of_a_dead_run_is_free_again_and_that_of_a_living_is_not(
    instance: dg.DagsterInstance, sleeper: subprocess.Popen[bytes], gone: str
) -> None:
    storage = instance.event_log_storage
    storage.set_concurrency_slots(POOL, 2)
    dead, alive = run_of(instance, gone), run_of(instance, process_identity(sleeper.pid))
    for run in (dead, alive):
        assert storage.claim_concurrency_slot(POOL, run, "ask").is_claimed
    waiting = run_of(instance, process_identity(os.getpid()))
    assert not storage.claim_concurrency_slot(POOL, waiting, "ask").is_claimed
    cleared = clear_dead_runs(instance)
    assert dead in cleared
    assert not {alive, waiting} & set(cleared)
    assert storage.claim_concurrency_slot(POOL, waiting, "ask").is_claimed
    holders = {slot.run_id for slot in storage.get_concurrency_info(POOL).claimed_slots}
    assert holders == {alive, waiting}


def test_the_instance_keeps_its_runs_in_postgresql(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    assert "Postgres" in type(instance.event_log_storage).__name__
    run = run_of(instance, None)
    with psycopg.connect(str(settings.database_url)) as connection:
        found = connection.execute("select count(*) from runs where run_id = %s", [run]).fetchone()
    assert found == (1,)


def test_prepare_writes_the_project_file_and_names_what_dagster_needs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    mine = settings.model_copy(update={"home": tmp_path / "home"})
    environment = prepare(mine)
    written = tmp_path / "home" / "dagster" / "dagster.yaml"
    assert environment == {
        "RAG_BENCH_DATABASE_URL": settings.database_url,
        "RAG_BENCH_DAGSTER_URL": str(settings.dagster_database_url).replace(
            "postgresql://", "postgresql+psycopg2://"
        ),
        "RAG_BENCH_HOME": str(tmp_path / "home"),
        "DAGSTER_HOME": str(written.parent),
    }
    project = written.read_text(encoding="utf-8")
    assert project.endswith((PROJECT_ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert "RAG_BENCH_DAGSTER_URL" in project
    before = written.stat()
    prepare(mine)
    assert written.stat().st_ino == before.st_ino, "an unchanged file is not replaced"
    written.write_text("old: version")
    prepare(mine)
    assert written.read_text(encoding="utf-8") == project
    assert [path.name for path in written.parent.iterdir()] == ["dagster.yaml"]


def test_an_instance_folder_of_the_users_is_left_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(own))
    mine = settings.model_copy(update={"home": tmp_path / "home"})
    assert prepare(mine)["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster"), "it has no file"
    (own / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    assert "DAGSTER_HOME" not in prepare(mine)
    assert (own / "dagster.yaml").read_text() == "telemetry:\n  enabled: false\n"


def test_a_command_keeps_its_connections(instance: dg.DagsterInstance) -> None:
    """Each query of Dagster's on a connection of its own took a fifth of a rerun's time."""

    def ours() -> set[int]:
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            return {connection.exec_driver_sql("select pg_backend_pid()").scalar_one()}

    assert len(ours() | ours() | ours()) == 1
