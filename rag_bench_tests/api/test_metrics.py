"""`/metrics` as Prometheus reads it: right sums, bounded labels, few queries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_access import a_key, bearer, open_client, reader
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event, text
from webhook_receiver import a_finished_run

from rag_bench.api import metrics
from rag_bench.api.metrics import Metrics
from rag_bench.store.eval_runs.figures import Calls, CallSums


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with reader(engine) as made:
        yield made


def call(engine: Engine, model: str, status: str = "ok", cost: str | None = "0.25") -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into rag_bench.llm_call (key, role, provider, base_url, model, replicate, "
                "request, status, prompt_tokens, completion_tokens, cost_usd) values "
                "(gen_random_uuid()::text, 'generation', 'shop', 'http://x', :model, 0, '{}', "
                ":status, 10, 5, cast(:cost as numeric))"
            ),
            {"model": model, "status": status, "cost": cost},
        )


def scraped(client: TestClient) -> dict[str, dict[tuple[str, ...], float]]:
    reply = client.get("/metrics")
    assert reply.status_code == 200
    return _by_name(reply.text)


def _by_name(page: str) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_the_figures_are_those_of_the_tables(client: TestClient, engine: Engine) -> None:
    a_finished_run(engine, "https://example.org/x", "r1")
    waited = datetime.now(UTC) - timedelta(seconds=90)
    waits = {"status": "queued", "place": "dagster", "n_cases": 7, "counts": {}}
    a_finished_run(engine, None, "r2", created_at=waited, **waits)
    for model, status, cost in (("a", "ok", "0.25"), ("a", "discarded", "0.25"), ("b", "ok", None)):
        call(engine, model, status, cost)
    call(engine, "a", "error", None)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into rag_bench.provider_limit (account, provider) values ('x', 'shop');"
                "insert into rag_bench.provider_lease (account, holder, process, slots, rate, "
                "wanted, wanted_rate, slots_in_all, expires_at) values "
                "('x', 'h1', 'p', 3, 1, 5, 1, 8, now() + interval '9 s'), "
                "('x', 'h2', 'p', 2, 1, 2, 1, 8, now() + interval '9 s'), "
                "('x', 'h3', 'p', 3, 1, 2, 1, 8, now() - interval '1 s')"
            )
        )
    found = scraped(client)
    assert found["rag_bench_runs"] == {("service", "succeeded"): 1, ("dagster", "queued"): 1}
    assert found["rag_bench_runs_waiting"] == {("dagster",): 1}
    assert 90 <= found["rag_bench_oldest_waiting_seconds"][("dagster",)] < 300
    assert found["rag_bench_cases"] == {
        ("scored",): 2, ("failed",): 0, ("errored",): 0, ("missing",): 7,
    }  # fmt: skip
    assert found["rag_bench_callbacks"] == {("waiting",): 1}
    assert found["rag_bench_calls_total"] == {
        ("shop/a", "answered"): 2, ("shop/a", "failed"): 1,
        ("shop/b", "answered"): 1, ("shop/b", "failed"): 0,
    }  # fmt: skip
    assert found["rag_bench_tokens_total"][("prompt", "shop/a")] == 30
    assert found["rag_bench_cost_usd_total"] == {("shop/a",): 0.5, ("shop/b",): 0}
    assert found["rag_bench_lease_processes"] == {("shop",): 2}
    assert found["rag_bench_lease_slots"] == {("shop",): 5}
    assert found["rag_bench_lease_wanted"] == {("shop",): 7}


def test_requests_are_counted_by_template_and_a_strangers_words_are_no_label(
    client: TestClient,
) -> None:
    for path in ("/eval/runs/secret1", "/eval/runs/secret2", "/no/such/secret3"):
        client.get(path)
    client.get("/datasets")
    client.request("SECRET", "/datasets")
    client.get("/datasets", headers={"Authorization": "secret"})
    page = client.get("/metrics").text
    assert "secret" not in page.lower()
    found = _by_name(page)
    assert found["rag_bench_http_requests_total"] == {
        ("GET", "/eval/runs/{run_id}", "404"): 2,
        ("GET", "-", "404"): 1,
        ("GET", "/datasets", "200"): 1,
        ("other", "/datasets", "405"): 1,
        ("GET", "-", "401"): 1,
    }
    assert found["rag_bench_http_request_seconds_count"][("GET", "/eval/runs/{run_id}")] == 2
    assert scraped(client)["rag_bench_http_requests_total"][("GET", "/metrics", "200")] == 1


def test_both_forms_are_spoken_and_scrapes_are_no_acts(client: TestClient, engine: Engine) -> None:
    call(engine, "a")
    reply = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert {one.name for one in open_metrics(reply.text)} >= {"rag_bench_runs", "rag_bench_calls"}
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    with open_client(engine) as stranger:
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/metrics", headers=bearer(a_key(engine, ["run"]))).status_code == 403
    with engine.connect() as connection:
        told = connection.execute(
            text("select status from rag_bench.audit order by id")
        ).scalars().all()  # fmt: skip
    assert told == [401, 403], "refused ones are recorded, scrapes are not"


def test_models_beyond_the_cap_are_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST_MODELS", 2)
    time = [0.0]
    made = Metrics(engine, lambda: time[0])
    for model in ("a", "b", "b", "c"):
        call(engine, model)

    def calls() -> dict[str, float]:
        family: Any = next(one for one in made.collect() if one.name == "rag_bench_calls")
        return {
            sample.labels["model"]: sample.value
            for sample in family.samples if sample.labels["outcome"] == "answered"
        }  # fmt: skip

    assert calls() == {"shop/b": 2, "shop/a": 1, "other": 1}
    for model in ("c", "c", "c", "d"):
        call(engine, model)
    assert calls()["other"] == 1, "fresh for some seconds"
    time[0] += metrics.FRESH + 1
    # c has more calls than a now; but a counter that changed its label would fall.
    assert calls() == {"shop/b": 2, "shop/a": 1, "other": 5}


def test_old_calls_are_read_once_and_late_ones_are_not_missed(engine: Engine) -> None:
    time = [0.0]
    sums = CallSums(lambda: time[0])

    def read() -> dict[str, Calls]:
        with engine.connect() as connection:
            return sums.read(connection)

    assert read() == {}
    call(engine, "a")
    with engine.connect() as late:
        transaction = late.begin()
        late.execute(
            text(
                "insert into rag_bench.llm_call (key, role, provider, base_url, model, replicate, "
                "request, status) values ('k', 'generation', 'shop', 'http://x', 'late', 0, '{}', "
                "'ok')"
            )
        )
        call(engine, "a")
        assert read()["shop/a"].answered == 2
        transaction.commit()
    assert read()["shop/late"].answered == 1
    time[0] += 700
    read()
    asked: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append(a[3]))
    call(engine, "b")
    found = read()
    assert (found["shop/a"].answered, found["shop/late"].answered) == (2, 1)
    assert found["shop/b"].answered == 1
    [above] = [one["above"] for one in asked if isinstance(one, dict) and "above" in one]
    assert above >= 3, "what is settled is not read again"
