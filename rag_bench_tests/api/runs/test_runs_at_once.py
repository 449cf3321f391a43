"""Small runs are measured where they are asked for, and stored with their results as one: the same
records as those of a run that is queued and executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_access import a_key, bearer
from api_runs import request_of
from local_provider import served
from sqlalchemy import Engine, text

from rag_bench.api.app import build
from rag_bench.api.eval_runs import starting
from rag_bench.eval_runs.result_file import path_of
from rag_bench.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(eval_results=tmp_path / "results")


@pytest.fixture
def client(engine: Engine, settings: Settings) -> Iterator[httpx.Client]:
    with (
        served(build(engine, settings, executes=True), lifespan="on") as address,
        httpx.Client(
            base_url=address, headers=bearer(a_key(engine, ["read", "run"])), timeout=60
        ) as made,
    ):
        yield made


def rows(engine: Engine, query: str, run_id: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), {"id": run_id}).mappings()]


#: What differs from run to run, or from one evaluation to the next.
OWN = {
    *("id", "run_id", "evaluation_id", "trace_id", "at", "created_at", "started_at"),
    *("finished_at", "version", "sent_at", "timings", "links"),
}


def without_own(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in OWN}


def records(engine: Engine, run_id: str) -> dict[str, Any]:
    of_run = "from rag_bench.{} where run_id = :id order by {}"
    evaluation = (
        "from rag_bench.eval_run_evaluation l join rag_bench.evaluation e on e.id = l.evaluation_id"
    )
    queries = {
        "run": "select * from rag_bench.eval_run where id = :id",
        "cases": "select * " + of_run.format("eval_run_case", "position"),
        "events": "select kind, data " + of_run.format("eval_event", "id"),
        "outbox": "select * " + of_run.format("eval_outbox", "attempt"),
        "audit": "select * from rag_bench.audit where run_id = :id and action like 'POST%'",
        "evaluation": f"select e.* {evaluation} where l.run_id = :id",
        "answers": f"select c.* {evaluation} join rag_bench.evaluation_case c "
        "on c.evaluation_id = e.id where l.run_id = :id order by c.case_id",
        "questions": f"select i.* {evaluation} join rag_bench.dataset_item i "
        "on i.dataset_id = e.dataset_id where l.run_id = :id order by i.item_id",
    }
    return {
        name: [without_own(row) for row in rows(engine, query, run_id)]
        for name, query in queries.items()
    }


def test_what_is_measured_at_once_leaves_the_records_of_a_run_that_was_queued(
    client: httpx.Client, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = request_of(3, labels={"suite": "nightly"})
    here = client.post("/eval/run", json=body)
    assert here.status_code == 200, here.text
    found = here.json()
    assert client.get(found["links"]["self"]).json()["aggregates"] == found["aggregates"]
    assert json.loads(path_of(settings, found["run_id"]).read_text("utf-8")) == found
    left = records(engine, found["run_id"])
    assert [event["kind"] for event in left["events"]] == ["queued", "started", "finished"]
    assert len(left["audit"]) == len(left["outbox"]) == len(left["evaluation"]) == 1
    assert len(left["cases"]) == len(left["answers"]) == len(left["questions"]) == 3
    [times] = rows(
        engine,
        "select created_at <= started_at and started_at <= finished_at as fit "
        "from rag_bench.eval_run where id = :id",
        found["run_id"],
    )
    assert times["fit"]

    again = client.post("/eval/run", json=body).json()
    assert records(engine, again["run_id"]) == left  # of the same evaluation

    monkeypatch.setattr(starting, "measure_new", lambda *_: None)
    queued = client.post("/eval/run", json=body)
    assert queued.status_code == 200, queued.text
    usual = records(engine, queued.json()["run_id"])
    assert usual == left
    assert without_own(queued.json()) == without_own(found)


def test_what_cannot_be_measured_at_once_is_queued(
    client: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: Any, *_: Any) -> None:
        connection.execute(text("select 1 / 0"))

    monkeypatch.setattr(starting, "measure_new", fails)
    headers = {"Idempotency-Key": "one"}
    first = client.post("/eval/run", json=request_of(), headers=headers)
    assert first.status_code == 200, first.text
    assert first.json()["status"] == "succeeded"
    run_id = first.json()["run_id"]
    assert len(rows(engine, "select id from rag_bench.audit where run_id = :id", run_id)) == 1
    second = client.post("/eval/run", json=request_of(), headers=headers)
    assert second.json() == first.json()


def test_a_key_that_is_sent_twice_makes_one_run(client: httpx.Client, engine: Engine) -> None:
    headers = {"Idempotency-Key": "two"}
    replies = [client.post("/eval/run", json=request_of(), headers=headers) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json() == replies[1].json()
    other = client.post("/eval/run", json=request_of(2), headers=headers)
    assert other.status_code == 422
    with engine.connect() as connection:
        n_runs = connection.execute(text("select count(*) from rag_bench.eval_run")).scalar_one()
    assert n_runs == 1
