"""Requests a minute, and the audit of who did what."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_access import IdentityProvider, a_key, bearer, open_client
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from rag_bench.access.keys import make_key
from rag_bench.settings import Settings
from rag_bench.store.access import rates
from rag_bench.store.access.audit import Action, actions, record
from rag_bench.store.database import make_engine

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with open_client(engine, Settings(api_refused_per_minute=3)) as made:
        yield made


def set_back(engine: Engine, seconds: float) -> None:
    """Let so much time pass for whoever is counted."""
    with engine.begin() as connection:
        connection.execute(
            text("update rag_bench.request_rate set free_at = free_at - make_interval(secs => :s)"),
            {"s": seconds},
        )


def test_the_rate_is_that_of_the_generic_cell_rate_algorithm(engine: Engine) -> None:
    with engine.begin() as connection:
        assert [rates.take(connection, "a", 3) for _ in range(3)] == [None] * 3
        wait = rates.take(connection, "a", 3)
        assert wait is not None
        assert 10 <= wait <= 20, "60 / 3 seconds after a full burst, less what has passed"
        assert rates.take(connection, "b", 1) is None
        wait = rates.take(connection, "b", 1)
        assert wait is not None
        assert 50 <= wait <= 60
    set_back(engine, 20)
    with engine.begin() as connection:
        assert rates.take(connection, "a", 3) is None
        assert rates.take(connection, "a", 3) is not None
    set_back(engine, 3600)
    with engine.begin() as connection:
        rates.prune(connection)
        assert connection.execute(text("select count(*) from rag_bench.request_rate")).scalar() == 0


def test_processes_count_together(engine: Engine, database_url: str) -> None:
    def one(number: int) -> bool:
        own = make_engine(database_url)  # as another process has its own
        try:
            with own.begin() as connection:
                return rates.take(connection, "all", 2) is None
        finally:
            own.dispose()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(12))) == 2


def test_a_key_has_its_requests_a_minute(client: TestClient, engine: Engine) -> None:
    few, many = a_key(engine, per_minute=2), a_key(engine)
    assert [client.get("/datasets", headers=bearer(few)).status_code for _ in range(2)] == [200] * 2
    refused = client.get("/datasets", headers=bearer(few))
    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert client.get("/datasets", headers=bearer(many)).status_code == 200
    set_back(engine, 30)
    assert client.get("/datasets", headers=bearer(few)).status_code == 200


def test_a_tokens_user_has_the_settings_number(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    provider = IdentityProvider(tmp_path_factory.mktemp("provider"))
    settings = provider.settings(api_requests_per_minute=2)
    with open_client(engine, settings) as client:
        for sub, expected in (("a", 200), ("a", 200), ("a", 429), ("b", 200)):
            reply = client.get("/datasets", headers=bearer(provider.token(sub=sub)))
            assert reply.status_code == expected


def test_rows_of_the_past_go(client: TestClient, engine: Engine) -> None:
    with engine.begin() as connection:
        rates.take(connection, "address:old", 60)
        rates.take(connection, "address:new", 1)
        connection.execute(
            text("update rag_bench.request_rate set free_at = now() where subject like '%old'")
        )
    key = a_key(engine)
    assert client.get("/datasets", headers=bearer(key)).status_code == 200
    with engine.connect() as connection:
        found = connection.execute(text("select subject from rag_bench.request_rate"))
        assert set(found.scalars()) == {"address:new", f"key:{key.split('_')[1]}"}


def test_reads_are_not_held_up_by_a_limit_that_cannot_be_counted(
    client: TestClient, engine: Engine
) -> None:
    key = a_key(engine)
    assert client.get("/datasets", headers=bearer(key)).status_code == 200
    with engine.begin() as other:
        other.execute(text("lock table rag_bench.request_rate in access exclusive mode"))
        assert client.get("/datasets", headers=bearer(key)).status_code == 200
        refused = client.post("/datasets", headers=bearer(key))
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")


def test_strangers_of_one_address_are_held_back_and_do_not_fill_the_audit(
    client: TestClient, engine: Engine
) -> None:
    statuses = [client.get("/datasets", headers=bearer(make_key().text)) for _ in range(6)]
    assert [one.status_code for one in statuses] == [401] * 3 + [429] * 3
    assert int(statuses[-1].headers["retry-after"]) <= 20
    assert len(actions(engine)) == 3
    assert client.get("/datasets", headers=bearer(a_key(engine))).status_code == 200


def test_every_request_is_in_the_audit_with_who_what_and_how_it_ended(
    client: TestClient, engine: Engine
) -> None:
    key = a_key(engine, user="anna")
    traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
    reply = client.get("/datasets", headers={**bearer(key), "traceparent": traceparent})
    assert reply.headers["x-trace-id"] == TRACE
    client.get("/leaderboard", headers=bearer(key))
    client.get("/no/such/path?secret=1", headers=bearer(key))
    client.post("/datasets", headers=bearer(key))
    client.get("/datasets", headers=bearer(a_key(engine, ["label"], user="boris")))
    client.get("/health")
    client.get("/healthz")
    found = [
        (one.user_id, one.action, one.outcome, one.code, one.status)
        for one in reversed(actions(engine))
    ]
    assert found == [
        ("anna", "GET /datasets", "ok", None, 200),
        ("anna", "GET /leaderboard", "refused", "NOT_FOUND", 404),
        ("anna", "GET -", "refused", "NOT_FOUND", 404),
        ("anna", "POST /datasets", "refused", "METHOD_NOT_ALLOWED", 405),
        ("boris", "GET /datasets", "refused", "MISSING_SCOPE", 403),
        (None, "GET -", "refused", "NO_CREDENTIALS", 401),
    ]
    first = actions(engine)[-1]
    assert first.trace_id == TRACE
    assert first.key_id == key.split("_")[1]
    assert first.address == "testclient"
    assert [one.trace_id for one in actions(engine, trace_id=TRACE)] == [TRACE]
    assert len(actions(engine, user_id="boris")) == 1
    assert len(actions(engine, outcome="refused", limit=2)) == 2


@pytest.mark.parametrize(
    "given",
    [
        *("", "x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01"),
        *(f"00-{TRACE.upper()}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01"),
        f"00-{TRACE}-00f067aa0ba902b7-01x",
    ],
)
def test_a_traceparent_that_is_none_is_not_taken_over(client: TestClient, given: str) -> None:
    trace = client.get("/healthz", headers={"traceparent": given}).headers["x-trace-id"]
    assert trace != TRACE
    assert len(trace) == 32
    assert int(trace, 16)


def test_a_revoked_key_is_named_in_the_audit(client: TestClient, engine: Engine) -> None:
    key = a_key(engine, user="anna")
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.api_key set revoked_at = now()"))
    client.get("/datasets", headers=bearer(key))
    (found,) = actions(engine)
    assert (found.user_id, found.outcome, found.code) == ("anna", "refused", "REVOKED_KEY")


@pytest.mark.parametrize(
    "statement",
    [
        "update rag_bench.audit set user_id = 'nobody'",
        "delete from rag_bench.audit",
        "truncate rag_bench.audit",
    ],
)
def test_the_audit_is_only_appended_to(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        record(connection, Action("GET /datasets", "ok", TRACE, user_id="anna"))
    with pytest.raises(DBAPIError, match="only appended to"), engine.begin() as connection:
        connection.execute(text(statement))
    assert [one.user_id for one in actions(engine)] == ["anna"]


def test_an_audit_that_cannot_be_written_holds_up_no_read(
    client: TestClient, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    key = a_key(engine)
    with engine.begin() as connection:
        connection.execute(text("alter table rag_bench.audit rename to elsewhere"))
    with caplog.at_level(logging.ERROR, "rag_bench.api"):
        assert client.get("/datasets", headers=bearer(key)).status_code == 200
    assert "The audit could not be written." in caplog.text


def test_the_last_use_is_noted(client: TestClient, engine: Engine) -> None:
    key = a_key(engine)

    def last_used() -> object:
        with engine.connect() as connection:
            return connection.execute(text("select last_used_at from rag_bench.api_key")).scalar()

    assert last_used() is None
    client.get("/datasets", headers=bearer(key))
    first = last_used()
    assert first is not None
    client.get("/datasets", headers=bearer(key))
    assert last_used() == first, "once a minute is enough"
