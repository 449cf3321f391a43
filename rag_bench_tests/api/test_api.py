"""The HTTP API, asked as a client asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_access import bearer, open_client, reader
from fastapi.testclient import TestClient
from measured import GATES, GENERATORS, JUDGES, metric, store, store_sweep
from sqlalchemy import Engine

from rag_bench.access.keys import make_key
from rag_bench.provenance import version
from rag_bench.store.database import make_engine
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, clear_current, save_snapshot


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with reader(engine) as made:
        yield made


def test_before_anything_was_measured(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok", "version": version(), "snapshot": None}
    assert client.get("/datasets").json() == {"datasets": []}
    assert client.get("/model_runs").json() == {"settings_hash": None, "model_runs": []}
    for query in ("", "?settings_hash=unknown"):
        answer = client.get(f"/leaderboard{query}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "NOT_FOUND"
        assert "rag-bench sweep" in answer.json()["detail"]


def test_health_names_the_current_snapshot(client: TestClient, engine: Engine) -> None:
    chunk = ChunkRecord("hash", 0, 1, "https://help.example.org/a", "Текст")
    save_snapshot(engine, NewSnapshot("abc", "a.dump", "dump", 1, [chunk], []))
    assert client.get("/health").json() == {"status": "ok", "version": version(), "snapshot": "abc"}
    clear_current(engine)
    assert client.get("/health").json()["snapshot"] is None


def test_health_without_a_database_is_an_error() -> None:
    engine = make_engine("postgresql://me:s3cret@127.0.0.1:1/nothing")
    with open_client(engine) as client:
        answer = client.get("/health", headers=bearer(make_key().text))
    assert answer.status_code == 503
    assert answer.json()["code"] == "UNAVAILABLE"
    assert answer.json()["detail"] == "The database cannot be reached."
    assert "s3cret" not in answer.text


def test_datasets(client: TestClient, engine: Engine) -> None:
    made = store_sweep(engine, name="золотой")
    assert client.get("/datasets").json() == {
        "datasets": [{"id": made.id, "name": "золотой", "kind": "manual", "n_items": 20}]
    }


def test_model_runs_of_the_newest_settings_and_of_others(
    client: TestClient, engine: Engine
) -> None:
    store_sweep(engine, settings="old", generators={"a/old": 2.0})
    made = store_sweep(engine, settings="new")
    store(engine, "3", "answers", {"rougeL_f": metric(None)}, generation="a/un", settings="new")
    found = client.get("/model_runs").json()
    assert found["settings_hash"] == "new"
    assert len(found["model_runs"]) == 2 * 2 * 2 + 2
    assert found["model_runs"][-1] == {
        "generation_model": GENERATORS[1],
        "benchmark_judge_model": JUDGES[1],
        "production_judge_model": GATES[1],
        "dataset_id": made.id,
        "settings_hash": "new",
        "metrics": found["model_runs"][-1]["metrics"],
    }
    unjudged = [r for r in found["model_runs"] if r["generation_model"] == "a/un"]
    assert [r["benchmark_judge_model"] for r in unjudged] == [None, None]
    assert unjudged[0]["metrics"]["tier_3"]["rougeL_f"]["value"] is None

    old = client.get("/model_runs", params={"settings_hash": "old"}).json()
    assert {run["generation_model"] for run in old["model_runs"]} == {"a/old"}
    unknown = client.get("/model_runs", params={"settings_hash": "x' or '1'='1"}).json()
    assert unknown["model_runs"] == []


def test_the_leaderboard(client: TestClient, engine: Engine) -> None:
    store_sweep(engine, settings="old", generators={"a/old": 2.0})
    store_sweep(engine, settings="new")
    board = client.get("/leaderboard").json()
    assert board["settings_hash"] == "new"
    assert [row["rank"] for row in board["rows"]] == list(range(1, 9))
    assert [row["generation_model"] for row in board["rows"]] == (
        [GENERATORS[0]] * 4 + [GENERATORS[1]] * 4
    )
    old = client.get("/leaderboard?settings_hash=old").json()
    assert {row["generation_model"] for row in old["rows"]} == {"a/old"}


def test_a_settings_hash_may_be_cut_short(client: TestClient, engine: Engine) -> None:
    store_sweep(engine, settings="f31b26f711c7", generators={"a/old": 2.0})
    store_sweep(engine, settings="f4")
    for path in ("/leaderboard", "/model_runs"):
        found = client.get(f"{path}?settings_hash=f31b").json()
        assert found["settings_hash"] == "f31b26f711c7"
        answer = client.get(f"{path}?settings_hash=f")
        assert answer.status_code == 404
        assert "write more of it" in answer.json()["detail"]
    runs = client.get("/model_runs?settings_hash=f31b").json()["model_runs"]
    assert {run["generation_model"] for run in runs} == {"a/old"}


def test_nothing_can_be_written_and_unknown_paths_are_404(client: TestClient) -> None:
    for path in ("/datasets", "/model_runs", "/leaderboard", "/health"):
        for method in ("post", "put", "delete", "patch"):
            assert getattr(client, method)(path).status_code == 405
    answer = client.get("/no/such/path")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
