"""`POST /eval/run` as a client sends it: waited for or not, once for each key, all or nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from api_access import a_key, bearer
from api_runs import request_of
from local_provider import served
from sqlalchemy import Engine, text

from rag_bench.api.app import build
from rag_bench.api.eval_runs import starting
from rag_bench.eval_runs import runner
from rag_bench.eval_runs.executing import execute
from rag_bench.settings import Settings
from rag_bench.store.access.audit import actions

SETTINGS = Settings(
    api_requests_per_minute=100_000,
    eval_wait_seconds=30,
    eval_wait_cases=3,
    eval_wait_most_cases=6,
)


class Work:
    """Executes runs, after it has held them up for as long as it is told to."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(
        self, engine: Engine, settings: Settings, run_id: str, *, holder: str, **more: Any
    ) -> Any:
        while not self.may_end.wait(0.05):
            if more["cancelled"]():
                break
        return execute(engine, settings, run_id, holder=holder, **more)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    made = Work()
    monkeypatch.setattr(runner, "_executor", lambda: made)
    monkeypatch.setattr(starting, "_MOST_HERE", 0)  # what asks nobody takes the queue, too
    yield made
    made.may_end.set()


@pytest.fixture
def client(engine: Engine, work: Work) -> Iterator[httpx.Client]:
    with (
        served(build(engine, SETTINGS, executes=True), lifespan="on") as address,
        httpx.Client(
            base_url=address, headers=bearer(a_key(engine, ["read", "run"])), timeout=30
        ) as made,
    ):
        yield made


def count(engine: Engine, table: str = "eval_run") -> int:
    with engine.connect() as connection:
        return connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one()


def test_a_short_run_is_waited_for(client: httpx.Client, engine: Engine) -> None:
    reply = client.post("/eval/run", json=request_of(2))
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert (found["mode"], found["status"], len(found["cases"])) == ("sync", "succeeded", 2)
    assert "3 cases" in found["mode_reason"]
    assert reply.headers["location"] == f"/eval/runs/{found['run_id']}"
    assert found["trace_id"] == reply.headers["x-trace-id"]
    done = [one for one in actions(engine) if one.action == "POST /eval/run"]
    assert [(one.run_id, one.outcome, one.user_id) for one in done] == [
        (found["run_id"], "ok", "anna")
    ]


def test_what_has_not_ended_in_time_goes_on(client: httpx.Client, work: Work) -> None:
    work.may_end.clear()
    reply = client.post("/eval/run", json=request_of(), headers={"Prefer": "wait=1"})
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "wait=1"
    assert int(reply.headers["retry-after"]) >= 1
    found = reply.json()
    assert found["mode"] == "async"
    assert "1 s" in found["mode_reason"]
    assert found["status"] in ("queued", "running")
    work.may_end.set()
    assert ended(client, reply.headers["location"])["status"] == "succeeded"


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(location).json()
        if found["status"] not in ("queued", "running"):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_who_does_not_want_to_wait_is_answered_at_once(client: httpx.Client, work: Work) -> None:
    work.may_end.clear()
    for body, headers, applied in (
        (request_of(), {"Prefer": "respond-async"}, "respond-async"),
        (request_of(mode="async"), {}, None),
        (request_of(), {"Prefer": 'wait="0"; x=y'}, None),
        (request_of(7), {"Prefer": "wait=5"}, None),  # too many for any wait
    ):
        reply = client.post("/eval/run", json=body, headers=headers)
        assert (reply.status_code, reply.json()["mode"]) == (202, "async"), reply.text
        assert reply.headers.get("preference-applied") == applied


def test_in_between_the_estimate_decides(client: httpx.Client, engine: Engine) -> None:
    known = client.post("/eval/run", json=request_of(5))
    assert (known.status_code, known.json()["mode"]) == (200, "sync"), "5 × 0.3 s are below 30 s"
    with engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.eval_run set started_at = now() - interval '500 s', "
                "finished_at = now()"
            )
        )
    slow = client.post("/eval/run", json=request_of(5))
    assert (slow.status_code, slow.json()["mode"]) == (202, "async")
    assert "500 s" in slow.json()["mode_reason"]
    assert client.post("/eval/run", json=request_of(5, mode="sync")).status_code == 200
    with engine.connect() as connection:
        places = connection.execute(text("select place from rag_bench.eval_run order by id"))
        assert list(places.scalars()) == ["service", "dagster", "service"]


def test_a_client_that_hangs_up_loses_nothing(
    client: httpx.Client, engine: Engine, work: Work
) -> None:
    work.may_end.clear()
    key = {"Idempotency-Key": '"mine"'}
    with pytest.raises(httpx.ReadTimeout):
        client.post("/eval/run", json=request_of(), headers=key, timeout=0.5)
    end = time.monotonic() + 20
    while not (found := client.get("/eval/runs").json()["runs"]):
        assert time.monotonic() < end
    (found,) = found
    again = client.post("/eval/run", json=request_of(), headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "IN_FLIGHT")
    assert again.headers["location"] == f"/eval/runs/{found['run_id']}"
    assert "Location" in again.json()["detail"]
    work.may_end.set()
    ended(client, again.headers["location"])
    end = time.monotonic() + 20
    while (again := client.post("/eval/run", json=request_of(), headers=key)).status_code == 409:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (again.status_code, again.json()["run_id"]) == (200, found["run_id"])
    assert count(engine) == 1


def test_a_key_gives_the_first_answer_to_the_byte(client: httpx.Client, engine: Engine) -> None:
    key = {"Idempotency-Key": '"a \\"key\\""'}
    first = client.post("/eval/run", json=request_of(), headers=key)
    backwards = dict(reversed(request_of().items()))
    again = client.post(
        "/eval/run",
        content=json.dumps(backwards, indent=3),
        headers={**key, "Content-Type": "application/json"},
    )
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    other = client.post("/eval/run", json=request_of(2), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    anybody = {**key, **bearer(a_key(engine, ["run"]))}
    assert client.post("/eval/run", json=request_of(2), headers=anybody).status_code == 200
    assert count(engine) == 2
    with engine.begin() as connection:
        connection.execute(
            text("update rag_bench.idempotency set created_at = now() - interval '25 hours'")
        )
    assert client.post("/eval/run", json=request_of(2), headers=key).status_code == 200
    assert count(engine) == 3
    for wrong in ("", '"', "a b", '""', "я".encode(), "x" * 256):
        reply = client.post("/eval/run", json=request_of(), headers={"Idempotency-Key": wrong})
        assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (
            400,
            "Idempotency-Key",
        ), wrong


def test_of_two_at_once_there_is_one_run(client: httpx.Client, engine: Engine, work: Work) -> None:
    work.may_end.clear()
    n = 8
    together = threading.Barrier(n)

    def one(number: int) -> int:
        together.wait()
        return client.post(
            "/eval/run", json=request_of(), headers={"Idempotency-Key": "one", "Prefer": "wait=1"}
        ).status_code

    with ThreadPoolExecutor(n) as threads:
        statuses = sorted(threads.map(one, range(n)))
    assert statuses == [202] + [409] * (n - 1)
    assert count(engine) == count(engine, "idempotency") == 1


def test_a_request_whose_service_died_finds_its_run(
    client: httpx.Client, engine: Engine, work: Work
) -> None:
    key = {"Idempotency-Key": "k"}
    first = client.post("/eval/run", json=request_of(), headers=key).json()
    with engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.idempotency set status = null, headers = '{\"wait\": 5}', "
                "created_at = now() - interval '41 s'"
            )
        )
    again = client.post("/eval/run", json=request_of(), headers=key)
    assert (again.status_code, again.json()["run_id"]) == (200, first["run_id"])
    assert count(engine) == 1


def test_what_is_refused_leaves_only_its_row_in_the_audit(
    client: httpx.Client, engine: Engine
) -> None:
    wrong = request_of(2)
    wrong["cases"][1] |= {"question": "?" * 501, "colour": "red"}
    key = {"Idempotency-Key": "k"}
    reply = client.post("/eval/run", json=wrong, headers=key)
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
    places = {one["pointer"] for one in reply.json()["errors"]}
    assert places == {"#/cases/1/question", "#/cases/1/colour"}
    for body, status in (
        ({"content": b""}, 400),
        ({"content": b"[]", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"json": request_of(), "params": {"llm_model": "x"}}, 400),
        ({"json": request_of(), "params": {"dry_run": "perhaps"}}, 400),
    ):
        assert client.post("/eval/run", **body).status_code == status, body
    assert [count(engine, name) for name in ("eval_run", "idempotency", "eval_event")] == [0] * 3
    assert {one.outcome for one in actions(engine)} == {"refused"}
    assert client.post("/eval/run", json=request_of(), headers=key).status_code == 200


def test_models_that_may_cost_money_need_their_scope(
    client: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = bearer(a_key(engine, ["run:paid"]))
    reply = client.post("/eval/run", json=request_of(), headers=paid)
    assert (reply.status_code, reply.json()["code"]) == (403, "MISSING_SCOPE")
    monkeypatch.setenv("PROVIDER_FIRM_API_KEY", "x")
    monkeypatch.setenv("PROVIDER_FIRM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("FIRM_JUDGE_MODELS", "dear")
    body = request_of(eval_type="rubric", judge_model="firm/dear")
    reply = client.post("/eval/run", json=body)
    assert (reply.status_code, reply.json()["code"]) == (403, "MISSING_SCOPE"), reply.text
    assert "run:paid" in reply.headers["www-authenticate"]
    started = client.post("/eval/run", json={**body, "mode": "async"}, headers=paid)
    assert started.status_code == 202


def test_limits_of_runs_are_told_with_when_to_come_back(
    engine: Engine, work: Work, database_url: str
) -> None:
    work.may_end.clear()
    settings = SETTINGS.model_copy(update={"eval_runs_open": 1})
    with (
        served(build(engine, settings, executes=True), lifespan="on") as address,
        httpx.Client(base_url=address, headers=bearer(a_key(engine, ["run"]))) as client,
    ):
        assert client.post("/eval/run", json=request_of(mode="async")).status_code == 202
        reply = client.post("/eval/run", json=request_of(mode="async"))
        assert (reply.status_code, reply.json()["code"]) == (429, "LIMIT_REACHED")
        assert int(reply.headers["retry-after"]) >= 1
        work.may_end.set()
    assert count(engine) == 1


def test_a_run_is_cancelled_by_its_own_user_or_an_admin(
    client: httpx.Client, engine: Engine, work: Work
) -> None:
    work.may_end.clear()
    location = client.post("/eval/run", json=request_of(mode="async")).headers["location"]
    stranger = bearer(a_key(engine, ["run"], user="boris"))
    reply = client.delete(location, headers=stranger)
    assert (reply.status_code, reply.json()["code"]) == (403, "MISSING_SCOPE")
    assert reply.json()["detail"].startswith("A run of somebody else needs the scope admin")
    admin = bearer(a_key(engine, ["admin"], user="boris"))
    assert client.delete(location, headers=admin).status_code == 202
    assert client.delete(location).status_code == 202
    assert ended(client, location)["status"] == "cancelled"
    work.may_end.set()
    over = client.post("/eval/run", json=request_of()).headers["location"]
    reply = client.delete(over)
    assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT")
    assert "DELETE /eval/runs/{run_id}" in {one.action for one in actions(engine)}


def test_cases_come_as_lines_and_as_a_form(client: httpx.Client, engine: Engine) -> None:
    body = request_of(2)
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in body["cases"]).encode()
    fields = {"eval_type": "retrieval", "metrics": "ROUGE"}
    kind = {"Content-Type": "application/x-ndjson"}
    sent = client.post("/eval/run", content=lines, params=fields, headers=kind)
    assert (sent.status_code, sent.json()["n_cases"]) == (200, 2), sent.text
    form = {"eval_type": "retrieval", "metrics": ["ROUGE"], "labels": {"a": "b"}}
    key = {"Idempotency-Key": "form"}
    replies = [
        client.post(
            "/eval/run",
            files={"file": ("cases.jsonl", lines)},
            data={"request": json.dumps(form)},
            headers=key,
        )
        for _ in range(2)  # with another boundary each
    ]
    assert [one.status_code for one in replies] == [200, 200], replies[0].text
    assert replies[0].content == replies[1].content
    assert replies[0].json()["labels"] == {"a": "b"}
    broken = client.post("/eval/run", content=lines + b"\n{", params=fields, headers=kind)
    assert (broken.status_code, broken.json()["errors"][0]["line"]) == (400, 3)
    unknown = client.post("/eval/run", content=lines, params={"colour": "red"}, headers=kind)
    assert (unknown.status_code, unknown.json()["errors"][0]["parameter"]) == (400, "colour")
    for files in ({"other": b"x"}, {"file": b"x", "more": b"y"}):
        assert client.post("/eval/run", files=files).status_code == 400
    two = client.post("/eval/run", files=[("file", ("a", lines)), ("file", ("b", lines))])
    assert (two.status_code, "Too many files" in two.json()["detail"]) == (400, True)
    kind = {"Content-Type": "multipart/form-data"}
    unbounded = client.post("/eval/run", content=lines, headers=kind)
    assert (unbounded.status_code, "boundary" in unbounded.json()["detail"]) == (400, True)
    assert count(engine) == 2


def test_a_dry_run_stores_nothing(client: httpx.Client, engine: Engine) -> None:
    key = {"Idempotency-Key": "dry"}
    reply = client.post("/eval/run?dry_run=true", json=request_of(2), headers=key)
    assert reply.status_code == 200, reply.text
    assert reply.json()["n_to_send"] == 0
    assert [count(engine, name) for name in ("eval_run", "idempotency", "dataset")] == [0] * 3
    assert [one.action for one in actions(engine)] == ["POST /eval/run"]
    assert client.post("/eval/run", json=request_of(2), headers=key).status_code == 200


def test_a_run_is_completed_with_a_further_metric(client: httpx.Client, engine: Engine) -> None:
    first = client.post("/eval/run", json=request_of(2))
    run = first.headers["location"]
    wait = {"Prefer": "wait=30"}
    stranger = {**wait, **bearer(a_key(engine, ["run"], user="boris"))}
    assert client.post(f"{run}/complete", headers=stranger).status_code == 403
    wrong = client.post(f"{run}/complete", json={"metrics": ["nothing"]}, headers=wait)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "#/metrics/0")
    more = client.post(f"{run}/complete", json={"metrics": ["chrF"]}, headers=wait)
    assert more.status_code == 200, more.text
    assert more.json()["run_id"] == first.json()["run_id"]
    assert set(more.json()["aggregates"]) > set(first.json()["aggregates"])
    assert count(engine) == 1
