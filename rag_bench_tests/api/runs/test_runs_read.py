"""Runs as a client reads them: pages that hold still, filters, one run's state, its cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from api_access import reader
from api_runs import CONFIG, a_run, change, result
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine

from rag_bench.api.eval_runs import models
from rag_bench.store.access.audit import actions
from rag_bench.store.eval_runs import queueing


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with reader(engine) as made:
        yield made


def ids(client: TestClient, **asked: Any) -> list[str]:
    reply = client.get("/eval/runs", params=asked)
    assert reply.status_code == 200, reply.text
    return [one["run_id"] for one in reply.json()["runs"]]


def test_pages_hold_still_while_runs_begin(client: TestClient, engine: Engine) -> None:
    for number in range(7):
        a_run(engine, f"r{number}")
    seen, cursor = [], None
    for page in range(4):
        asked = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        reply = client.get("/eval/runs", params=asked).json()
        seen += [one["run_id"] for one in reply["runs"]]
        cursor = reply["next_cursor"]
        a_run(engine, f"s{page}")
    assert seen == [f"r{number}" for number in range(6, -1, -1)]
    assert cursor is None
    assert len(ids(client)) == 11


def test_a_cursor_is_good_for_its_own_question_only(client: TestClient, engine: Engine) -> None:
    for number in range(3):
        a_run(engine, f"r{number}")
    cursor = client.get("/eval/runs?limit=1&user=anna").json()["next_cursor"]
    assert ids(client, cursor=cursor, user="anna", limit=2) == ["r1", "r0"]
    for asked in (
        {"cursor": cursor},
        {"cursor": cursor, "user": "boris"},
        {"cursor": cursor[:-2], "user": "anna"},
        {"cursor": "ключ", "user": "anna"},
        {"cursor": "W10", "user": "anna"},
    ):
        reply = client.get("/eval/runs", params=asked)
        assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
        assert reply.json()["errors"][0]["parameter"] == "cursor"
    reply = client.get("/eval/runs/r0/cases", params={"cursor": cursor})
    assert reply.status_code == 400


def test_runs_are_filtered(client: TestClient, engine: Engine) -> None:
    a_run(engine, "r1", user_id="boris", created_at="2026-01-01T00:00:00Z")
    a_run(engine, "r2", status="running", flags=["missing_chunk"])
    a_run(engine, "r3", config={**CONFIG, "judge_model": "other/judge"})
    a_run(engine, "r4", labels={"branch": "a:b", "nightly": "yes"})
    assert ids(client, user="boris") == ["r1"]
    assert ids(client, status="running") == ["r2"]
    assert ids(client, flag="missing_chunk") == ["r2"]
    assert ids(client, model="other/judge") == ["r3"]
    assert ids(client, model="simulator/sim-strong", until="2026-02-01T00:00:00+03:00") == ["r1"]
    assert ids(client, since="2026-02-01T00:00:00Z") == ["r4", "r3", "r2"]
    assert ids(client, label="branch:a:b") == ["r4"]
    assert ids(client, label=["branch:a:b", "nightly:no"]) == []
    for wrong in (
        {"status": "done"},
        {"limit": 0},
        {"limit": 1001},
        {"since": "2026-02-01T00:00:00"},
        {"label": "branch"},
        {"user": "a\0b"},
        {"flags": "missing_chunk"},
    ):
        reply = client.get("/eval/runs", params=wrong)
        assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT"), wrong
        assert reply.json()["errors"][0]["parameter"] in wrong


def test_a_run_says_how_far_it_is_until_it_changes(client: TestClient, engine: Engine) -> None:
    a_run(engine, "r1", [result(1), None, None], status="queued")
    first = client.get("/eval/runs/r1")
    TypeAdapter(models.RunSummary).validate_json(first.content)
    assert first.json()["counts"]["missing"] == 3
    assert first.json()["partial"] is True
    mark = {"If-None-Match": f'"x", {first.headers["etag"]}'}
    same = client.get("/eval/runs/r1", headers=mark)
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    counts = {"scored": 1, "failed": 0, "errored": 0, "missing": 2}
    with engine.begin() as connection:
        change(
            connection,
            "r1",
            status="running",
            counts=counts,
            started_at="2026-01-01T00:00:00Z",
            cost_usd="0.25",
        )
    other = client.get("/eval/runs/r1", headers=mark)
    assert other.status_code == 200
    assert other.json()["counts"] | counts == other.json()["counts"]
    assert other.json()["estimate"]["seconds_left"] > 0
    assert actions(engine)[0].run_id == "r1"


@pytest.mark.parametrize("run_id", ["nothing", "a%00b", "..%2F..", "x" * 64, "%D1%8F"])
@pytest.mark.parametrize("rest", ["", "/cases", "/events"])
def test_a_run_that_is_not_there_is_404(client: TestClient, run_id: str, rest: str) -> None:
    reply = client.get(f"/eval/runs/{run_id}{rest}")
    assert (reply.status_code, reply.json()["code"]) == (404, "NOT_FOUND")


RESULTS = [
    result(1),
    result(2, 0.4, flags=["missing_chunk"]),
    result(3, None, errors=[{"code": "LLM_FAILED", "detail": "It did not answer."}]),
    result(4, 0.5, metrics={"rougeL_f": 0.1, "odd": "0.0"}),
    None,
]


def cases(client: TestClient, **asked: Any) -> list[Any]:
    reply = client.get("/eval/runs/r1/cases", params=asked)
    assert reply.status_code == 200, reply.text
    return [one["case_id"] for one in reply.json()["cases"]]


def test_cases_are_filtered_and_paged_in_their_order(client: TestClient, engine: Engine) -> None:
    a_run(engine, "r1", RESULTS)
    assert cases(client) == [1, 2, 3, 4, 5]
    assert cases(client, errored=True) == [3]
    assert cases(client, flagged=True) == [2]
    assert cases(client, below="faithfulness:0.5") == [2]
    assert cases(client, below="rougeL_f:0.5") == [4]
    assert cases(client, below="odd:1") == cases(client, below="no_such:1") == []
    first = client.get("/eval/runs/r1/cases?limit=3").json()
    TypeAdapter(models.Cases).validate_python(first)
    for found, stored in zip(first["cases"], RESULTS, strict=False):
        assert stored is not None
        assert {name: found[name] for name in stored} == stored
    assert cases(client, limit=3, cursor=first["next_cursor"]) == [4, 5]
    for wrong in ("faithfulness", "faithfulness:x", "faithfulness:nan", ":1", "a\0:1"):
        reply = client.get("/eval/runs/r1/cases", params={"below": wrong})
        assert reply.status_code == 400, wrong
        assert "METRIC:VALUE" in reply.text, wrong


def test_all_cases_are_a_stream_of_lines(client: TestClient, engine: Engine) -> None:
    n = 450  # of more than two queries
    a_run(engine, "r1", [result(number, llm_answer="Да. " * 50) for number in range(n)])
    headers = {"Accept": "application/x-ndjson", "Accept-Encoding": "identity"}
    plain = client.get("/eval/runs/r1/cases", headers=headers)
    assert plain.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in plain.content.splitlines()]
    assert [one["case_id"] for one in lines] == list(range(1, n + 1))
    packed = client.get("/eval/runs/r1/cases", headers={**headers, "Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content, "the client unpacks it"
    assert int(packed.headers.get("content-length", 0)) == 0, "nothing is held back to be counted"
    some = client.get("/eval/runs/r1/cases?below=faithfulness:0.1", headers=headers)
    assert some.content == b""
    refused = {**headers, "Accept-Encoding": "gzip;q=0"}
    assert "content-encoding" not in client.get("/eval/runs/r1/cases", headers=refused).headers


def test_a_run_is_a_page_that_loads_and_runs_nothing(client: TestClient, engine: Engine) -> None:
    evil = "<script>alert(1)</script>"
    a_run(
        engine,
        "r1",
        [result(1, llm_answer="fine"), *RESULTS[1:4], result(5, llm_answer=evil, flags=[evil])],
        user_id=evil,
        baseline="r0",
        comparison={"baseline": "r0", "error": "The baseline has not ended."},
        errors={"LLM_FAILED": 1},
        aggregates={
            "faithfulness": {
                **{"value": 0.6, "n_scored": 3, "n_expected": 4, "ci_low": 0.4, "ci_high": 0.8},
                **{"low_if_missing": 0.45, "high_if_missing": 0.7},
            }
        },
        counts={"scored": 4, "failed": 0, "errored": 1},
    )
    reply = client.get("/eval/runs/r1/report")
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    page = reply.text
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
    for said in ("0.600", "0.400 … 0.800", "0.450 … 0.700", "3/4", "A model did not answer"):
        assert said in page
    assert "The baseline has not ended." in page
    assert "missing_chunk" in page
    assert "fine" not in page, "only cases that somebody should look at"


def test_a_cancelled_run_says_by_whom_when_and_how_to_get_the_rest(
    client: TestClient, engine: Engine
) -> None:
    failed = result(2, None, errors=[{"code": "LLM_FAILED", "detail": "No answer."}])
    a_run(engine, "r1", [result(1), failed, None, None], status="running")
    with engine.begin() as connection:
        queueing.request_cancel(connection, "r1", "boris")
    [note] = client.get("/eval/runs/r1").json()["notes"]
    assert "by boris" in note
    assert "calls in flight end" in note
    counts = {"scored": 1, "failed": 0, "errored": 1}
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    with engine.begin() as connection:
        change(connection, "r1", status="cancelled", counts=counts, cancelled_at=at)
    [note] = client.get("/eval/runs/r1").json()["notes"]
    assert note == (
        "Cancelled by boris at 2026-03-04 05:06:07 UTC. Everything that was answered is kept: 2 of "
        "4 cases have a result, 1 of them not all that was asked for. POST /eval/runs/r1/complete "
        "asks for the rest, and for nothing twice."
    )
    # Queued once more nothing is left of it; of one of an earlier version only the end is known.
    with engine.begin() as connection:
        queueing.requeue(connection, "r1")
    assert client.get("/eval/runs/r1").json()["notes"] == []
    a_run(engine, "r2", [None], status="cancelled", finished_at=at)
    [note] = client.get("/eval/runs/r2").json()["notes"]
    assert note.startswith("Cancelled at 2026-03-04 05:06:07 UTC. ")


def test_requests_of_http_are_told_beside_calls_and_unknown_ones_are_no_zero(
    client: TestClient, engine: Engine
) -> None:
    a_run(engine, "r1", n_calls=3, n_attempts=5)
    a_run(engine, "r2", n_calls=3)  # of an earlier version
    a_run(engine, "r3")
    told = [client.get(f"/eval/runs/r{n}").json()["cost"]["n_attempts"] for n in (1, 2, 3)]
    assert told == [5, None, 0]


def test_what_is_said_of_few_pages_fits_the_interval_that_there_is(
    client: TestClient, engine: Engine
) -> None:
    old = "fewer than 10 pages or users (1): the interval is too narrow"
    one = {"value": 0.5, "n_scored": 3, "n_expected": 3, "n_clusters": 1, "note": old}
    a_run(
        engine,
        "r1",
        aggregates={
            "none": {**one, "ci_low": None, "ci_high": None},
            "wide": {**one, "n_clusters": 4, "ci_low": 0.2, "ci_high": 0.8},
            "many": {**one, "n_clusters": 12, "ci_low": 0.2, "ci_high": 0.8},
        },
    )
    told = client.get("/eval/runs/r1").json()["aggregates"]
    assert told["none"]["note"] == "too few pages or users (1) for an interval"
    assert told["wide"]["note"] == "fewer than 10 pages or users (4): the interval is too narrow"
    assert "note" not in told["many"]


def test_a_run_has_its_own_status_in_its_comparison(client: TestClient, engine: Engine) -> None:
    sides = {"a": {"id": "r0", "status": "succeeded"}, "b": {"id": "r1", "status": "running"}}
    a_run(engine, "r1", status="partial", baseline="r0", comparison={"baseline": "r0", **sides})
    told = client.get("/eval/runs/r1").json()["comparison"]
    assert (told["a"]["status"], told["b"]["status"]) == ("succeeded", "partial")
