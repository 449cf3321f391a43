"""Probes: whether the service lives and is ready, asked by anybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_access import open_client
from dagster import DagsterInstance
from dagster._daemon.types import DaemonHeartbeat
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from rag_bench.api.health import Readiness
from rag_bench.dagster_home import daemon_lives
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
