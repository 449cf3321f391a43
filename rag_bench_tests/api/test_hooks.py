"""Hooks: believed when signed, once per id, and what follows from them in Dagster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from api_access import a_key, bearer, open_client
from fastapi.testclient import TestClient
from hooked_dagster import DOCUMENTS, MODEL, TRACE, HookedDagster, received
from pydantic import SecretStr
from sqlalchemy import Engine, text
from standardwebhooks import Webhook

from rag_bench.api.gate import SIGNED
from rag_bench.observing.trace import TRACE_TAG
from rag_bench.sensors.hooks import HOOK_TAG
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import hooks as stored
from rag_bench.store.eval_runs.model_revisions import revisions

OLD, NEW, FOREIGN = (f"whsec_{letter * 32}" for letter in "ABC")
UPDATED = {"type": "model.updated", "data": {"model": "simulator/sim-strong"}}


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    settings = Settings(hook_secret=SecretStr(f"{OLD} {NEW}"))
    with open_client(engine, settings) as made:
        yield made


def signed(
    body: bytes, message_id: str = "msg_1", secret: str = NEW, age: timedelta = timedelta(0)
) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
    }


def send(client: TestClient, payload: Any, path: str = MODEL, **how: Any) -> Any:
    body = json.dumps(payload, ensure_ascii=False).encode()
    return client.post(path, content=body, headers=signed(body, **how))


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("select * from rag_bench.hook order by id")))


def test_a_signed_hook_is_taken_once(client: TestClient, engine: Engine) -> None:
    first = send(client, UPDATED)
    assert (first.status_code, first.json()) == (202, {"id": "msg_1", "new": True})
    again = send(client, UPDATED)
    assert (again.status_code, again.json()) == (200, {"id": "msg_1", "new": False})
    assert send(client, UPDATED, message_id="msg_2", secret=OLD).status_code == 202
    # Ids are the senders' own: the same one may name another thing elsewhere.
    assert send(client, {"type": "documents.updated"}, DOCUMENTS).status_code == 202
    assert [(row.route, row.outcome) for row in rows(engine)] == [
        (DOCUMENTS, "waiting"), (MODEL, "waiting"), (MODEL, "waiting"),
    ]  # fmt: skip
    with engine.connect() as connection:
        told = connection.execute(
            text("select action, outcome, user_id from rag_bench.audit order by id")
        ).all()
    assert told[:2] == [
        (f"POST {MODEL}", "ok", "hook"),
        (f"POST {MODEL}", "ok", "hook"),
    ]
    assert len(told) == 4, "one row each"
    # What the ledger has of the model answers no more: changed twice, whatever is sent again.
    assert revisions(engine) == {"simulator/sim-strong": 2}


def forged(name: str, body: bytes) -> dict[str, Any]:
    good = signed(body)
    return {
        "nothing": {},
        "another secret": signed(body, secret=FOREIGN),
        "too old": signed(body, age=timedelta(seconds=301)),
        "of later": signed(body, age=timedelta(seconds=-310)),
        "another id": {**good, "webhook-id": "msg_2"},
        "another time": {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        "another body": signed(body + b" "),
        "no version": {**good, "webhook-signature": good["webhook-signature"][3:]},
        "another version": {**good, "webhook-signature": "v2" + good["webhook-signature"][2:]},
        "no base64": {**good, "webhook-signature": "v1,ж".encode()},
        "no number": {**good, "webhook-timestamp": "nan"},
        "a full stop": signed(body, message_id="a.b"),
        "a long id": signed(body, message_id="m" * 201),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "another secret", "too old", "of later", "another id", "another time"),
        *("another body", "no version", "another version", "no base64", "no number"),
        *("a full stop", "a long id"),
    ],
)
def test_what_is_not_signed_is_refused(client: TestClient, engine: Engine, name: str) -> None:
    body = json.dumps(UPDATED).encode()
    for given in ({}, bearer(a_key(engine, ["admin"]))):  # a key is no signature
        reply = client.post(MODEL, content=body, headers={**forged(name, body), **given})
        assert (reply.status_code, reply.json()["code"]) == (401, "INVALID_SIGNATURE")
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["www-authenticate"].startswith("Webhook-Signature")
    assert rows(engine) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"type": "model.deleted", "data": {"model": "x"}}, "#/type"),
        ({"type": "model.updated"}, "#/data"),
        ({"type": "model.updated", "data": {"model": "ollama/никакая"}}, "#/data/model"),
        ({"type": "model.updated", "data": {"model": 1}}, "#/data/model"),
        (
            {"type": "model.updated", "data": {"model": "sim-strong", "options": ["x"]}},
            "#/data/options/0",
        ),
    ],
)
def test_what_cannot_be_meant_is_located(
    client: TestClient, engine: Engine, body: Any, pointer: str
) -> None:
    reply = send(client, body)
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer]
    assert rows(engine) == []


def test_bodies_are_short_and_json(client: TestClient, engine: Engine) -> None:
    long = b" " * (64 << 10) + b"1"
    reply = client.post(MODEL, content=long, headers=signed(long))
    assert (reply.status_code, reply.json()["code"]) == (413, "TOO_LARGE")
    twice = b'{"type": "model.updated", "type": "x"}'
    reply = client.post(MODEL, content=twice, headers=signed(twice))
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
    assert client.get(MODEL).status_code == 405
    assert rows(engine) == []


def test_strangers_are_counted_and_without_a_secret_nobody_gets_in(engine: Engine) -> None:
    with open_client(engine, Settings(hook_requests_per_minute=2)) as client:
        reply = send(client, UPDATED)
        assert (reply.status_code, reply.json()["code"]) == (401, "INVALID_SIGNATURE")
        assert "RAG_BENCH_HOOK_SECRET" in reply.json()["detail"]
        assert send(client, UPDATED).status_code == 401
        limited = send(client, UPDATED, DOCUMENTS)
    assert (limited.status_code, limited.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert int(limited.headers["retry-after"]) >= 1
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from rag_bench.audit")).scalar() == 2
    assert {MODEL, DOCUMENTS} == SIGNED


@pytest.fixture
def dagster(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookedDagster]:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    with dg.DagsterInstance.ephemeral() as instance:
        yield HookedDagster(instance)


def test_a_changed_generator_runs_its_cells_stage_by_stage(
    engine: Engine, dagster: HookedDagster
) -> None:
    received(engine, "m1", "a/1")
    [answers] = dagster.look()
    assert answers.job_name == "answers"
    assert answers.run_key == answers.tags[HOOK_TAG] == f"{MODEL} m1 answers a/1...a/1"
    assert answers.tags[TRACE_TAG] == TRACE
    # Asked for again until Dagster has it, under the same key; then the next one waits for its end.
    assert [one.run_key for one in dagster.look()] == [answers.run_key]
    run_id = dagster.run(answers, dg.DagsterRunStatus.STARTED)
    assert dagster.look() == []
    dagster.instance.delete_run(run_id)
    assert dagster.follow() == [("answers", "a/1", "a/1"), ("scores", "j/1|a/1", "j/2|a/1")]
    [row] = rows(engine)
    assert row.outcome == "started"
    assert row.dagster_run_id
    assert dagster.look() == []


def test_each_role_of_a_model_and_what_is_asked_for(engine: Engine, dagster: HookedDagster) -> None:
    received(engine, "m1", "a/2", "ragas")
    assert dagster.follow() == [
        ("answers", "a/2", "a/2"), ("scores", "j/1|a/2", "j/2|a/2"),
        ("ragas", "j/1|a/2", "j/2|a/2"),
        ("production_judges", "a/2", "a/2"),
    ]  # fmt: skip
    received(engine, "m2", "j/2", "ragas")
    assert dagster.follow() == [
        ("scores", "j/2|a/1", "j/2|a/2"), ("ragas", "j/2|a/1", "j/2|a/2"),
        ("ragas_contexts", "j/2", "j/2"), ("benchmark_judges", "j/2", "j/2"),
    ]  # fmt: skip
    # In no list any more when its turn comes.
    received(engine, "m3", "z/9")
    assert dagster.follow() == []
    assert [row.outcome for row in rows(engine)] == ["started", "started", "nothing"]


def test_documents_refresh_and_a_cancelled_run_ends_a_hook(
    engine: Engine, dagster: HookedDagster
) -> None:
    with engine.begin() as connection:
        stored.receive(connection, DOCUMENTS, "d1", {"type": "documents.updated"}, TRACE)
    received(engine, "m1", "a/1")
    [refresh] = dagster.look()
    assert refresh.job_name == "refresh"
    run_id = dagster.run(refresh, dg.DagsterRunStatus.STARTED)
    assert dagster.look() == [], "a model waits for documents that came before"
    dagster.instance.delete_run(run_id)
    dagster.run(refresh, dg.DagsterRunStatus.SUCCESS)
    [answers] = dagster.look()
    dagster.run(answers, dg.DagsterRunStatus.CANCELED)
    assert dagster.look() == []
    assert {row.outcome for row in rows(engine)} == {"started"}
