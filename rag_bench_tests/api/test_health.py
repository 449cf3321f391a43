"""Probes: whether the service lives and is ready, asked by anybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_access import a_key, bearer, open_client
from api_runs import request_of
from dagster import DagsterInstance
from dagster._daemon.types import DaemonHeartbeat
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from rag_bench.api import app
from rag_bench.api.health import Readiness
from rag_bench.api.warming import Step, Warming, steps_of
from rag_bench.dagster_home import daemon_lives
from rag_bench.errors import RagBenchError
from rag_bench.settings import Settings
from rag_bench.store.access.audit import actions
from rag_bench.store.database import make_engine
from rag_bench.store.migrate import is_current

NO_DATABASE = "postgresql://me:s3cret@127.0.0.1:1/nothing"


@contextmanager
def asked(engine: Engine, daemon: Callable[[], bool | None] | None = None) -> Iterator[TestClient]:
    with open_client(engine, daemon=daemon) as client:
        yield client


def test_all_is_there(engine: Engine) -> None:
    with asked(engine, lambda: True) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        reply = client.get("/readyz")
    assert reply.status_code == 200
    assert reply.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "dagster_daemon": "ok",
        "warming": [],
        "notes": [],
    }
    assert actions(engine) == [], "probes are no actions"


@pytest.mark.parametrize("daemon", [lambda: False, lambda: None, lambda: 1 / 0, None])
def test_without_the_daemon_it_is_degraded_and_not_dead(
    engine: Engine, daemon: Callable[[], bool | None] | None
) -> None:
    with asked(engine, daemon) as client:
        reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (200, "degraded")
    state = "missing" if daemon and daemon.__code__.co_consts[-1] is False else "not checked"
    assert reply.json()["dagster_daemon"] == state
    assert "long runs" in reply.json()["notes"][0]
    assert "division" not in reply.text


def test_without_a_database_it_lives_and_is_not_ready() -> None:
    with asked(make_engine(NO_DATABASE), lambda: True) as client:
        assert client.get("/healthz").status_code == 200
        reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (503, "unavailable")
    assert reply.json()["database"] == "failed"
    assert "s3cret" not in reply.text
    assert "127.0.0.1" not in reply.text


def test_tables_of_another_version_are_not_ready(engine: Engine) -> None:
    assert is_current(engine)
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.alembic_version set version_num = '0001'"))
    assert not is_current(engine)
    with asked(engine, lambda: True) as client:
        reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["migrations"]) == (503, "failed")
    assert "another version" in reply.json()["notes"][0]


def test_many_who_ask_cost_one_look_a_second(engine: Engine) -> None:
    looked: list[int] = []
    now = [100.0]

    def daemon() -> bool:
        looked.append(1)
        return True

    readiness = Readiness(engine, daemon, clock=lambda: now[0])
    for _ in range(5):
        assert readiness.look().status == "ready"
    assert len(looked) == 1
    now[0] += 1.1
    readiness.look()
    assert len(looked) == 2


def test_the_daemon_lives_while_it_gives_signs(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_required_daemon_types()
        assert not daemon_lives(instance), "none was ever started"
        for age, lives in ((0, True), (60, True), (180, False)):
            beat = DaemonHeartbeat(time.time() - age, "QUEUED_RUN_COORDINATOR", "id", [])
            instance.add_daemon_heartbeat(beat)
            assert daemon_lives(instance) is lives


def test_what_runs_need_is_loaded_before_any_is_executed_and_holds_up_no_probe(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, order = threading.Event(), list[str]()

    def slow() -> None:
        assert may_end.wait(60)
        order.append("loaded")

    def absent() -> None:
        raise RagBenchError("There is no encoder here.")

    def encoder() -> None:
        assert encodes.wait(60)
        order.append("encodes")

    encodes = threading.Event()
    steps = [
        Step("the encoder", encoder, holds=False),
        *(Step("the judges", slow), Step("what is absent", absent), Step("a toy", lambda: 1 / 0)),
    ]
    monkeypatch.setattr(app, "steps_of", lambda settings, daemon: steps)
    settings = Settings(eval_results=tmp_path, eval_wait_seconds=60)
    headers = bearer(a_key(engine, scopes=("read", "run")))
    built = app.build(engine, settings, lambda: True, executes=True, warms=True)
    with TestClient(built, headers=headers) as client:
        assert client.get("/healthz").status_code == 200
        told = client.get("/readyz")
        assert (told.status_code, told.json()["status"]) == (200, "warming")
        assert told.json()["warming"] == [
            *("the encoder", "the judges", "what is absent", "a toy"),
        ]
        assert "Runs wait" in told.json()["notes"][0]
        # What takes nothing is answered at once; what is queued waits.
        assert client.post("/eval/run", json=request_of()).status_code == 200
        queued = client.post("/eval/run", json=request_of(30, mode="async"))
        assert queued.status_code == 202
        time.sleep(1.5)
        run = queued.headers["location"]
        assert client.get(run).json()["status"] == "queued"
        may_end.set()
        end = time.monotonic() + 60
        while client.get(run).json()["status"] != "succeeded":
            assert time.monotonic() < end
            time.sleep(0.1)
        # Who needs the encoder waits for it, and nobody else.
        time.sleep(1.1)
        told = client.get("/readyz")
        assert (told.json()["status"], told.json()["warming"]) == ("warming", ["the encoder"])
        assert "Runs that need it wait" in told.json()["notes"][0]
        encodes.set()
        while client.get("/readyz").json()["status"] != "ready":
            assert time.monotonic() < end
            time.sleep(0.2)
    assert order == ["loaded", "encodes"]


def test_a_service_that_ends_while_it_loads_executes_nothing() -> None:
    may_end, begun, called = threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        begun.set()
        assert may_end.wait(60)

    steps = [Step("one", slow), Step("two", lambda: called.append("two"))]
    warming = Warming(steps, lambda: called.append("runs"))
    warming.start()
    assert begun.wait(60)
    warming.stop()
    may_end.set()
    assert warming._thread is not None
    warming._thread.join(60)
    assert (called, warming.waiting) == ([], ["two"])


def test_what_is_loaded_is_what_runs_need() -> None:
    steps = steps_of(Settings(), lambda: True)
    assert [(one.name, one.holds) for one in steps] == [
        *(("Dagster", True), ("RAGAS", True), ("the encoder", False)),
    ]
    assert [one.name for one in steps_of(Settings(), None)] == ["RAGAS", "the encoder"]
