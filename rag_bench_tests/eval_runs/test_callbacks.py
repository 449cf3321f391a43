"""Callbacks over real sockets: signed, tried again, told once, never sent where they may not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, insert, select, text
from standardwebhooks import Webhook
from starlette.responses import RedirectResponse, Response
from webhook_receiver import TRACE, Receiver, a_finished_run, receiving

from rag_bench.access.guard import Guard, allowed
from rag_bench.access.webhooks import Signer, signer
from rag_bench.errors import ConfigurationError
from rag_bench.eval_runs.callbacks import (
    JITTER,
    SCHEDULE,
    Deliverer,
    deliverer,
    refusal,
    seconds_of,
    verdict,
)
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import callbacks as stored
from rag_bench.store.eval_runs import hooks, tables

OLD, NEW = "whsec_" + "A" * 32, "whsec_" + "B" * 40


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(autouse=True)
def _fresh(receiver: Receiver) -> None:
    receiver.came.clear()
    receiver.answers.clear()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(minutes=10)  # ahead of what the test itself takes

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def sign() -> Signer:
    made = signer(SecretStr(f"{OLD}, {NEW}"), "X")
    assert made is not None
    return made


def made(engine: Engine, clock: Clock | None = None, guard: Guard | None = None) -> Deliverer:
    guard = guard or Guard(allowed("127.0.0.1"))
    return Deliverer(engine, sign(), guard, now=clock, jitter=lambda: 1.0)


def test_a_callback_is_signed_with_each_secret_and_thin(engine: Engine, receiver: Receiver) -> None:
    told = a_finished_run(engine, f"{receiver.url}/took?key=1", labels={"team": "справка"})
    assert made(engine).deliver_one()
    assert not made(engine).deliver_one()
    [came] = receiver.came
    for secret in (OLD, NEW):  # a receiver knows one of them, before and after a rotation
        payload = Webhook(secret).verify(came.body, dict(came.headers))
    assert came.headers["webhook-id"] == told
    assert came.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert payload["type"] == "eval.run.succeeded"
    data = payload["data"]
    assert (data["run_id"], data["trace_id"], data["status"]) == ("r1", TRACE, "succeeded")
    told = {"value": 0.5, "n_scored": 2, "n_expected": 2, "interval": [0.25, 0.75]}
    assert data["aggregates"] == {"chrf": told}
    assert data["links"]["self"] == "/eval/runs/r1"
    assert data["labels"] == {"team": "справка"}
    [row] = stored.listed(engine, run_id="r1")
    assert (row["status"], row["attempts"]) == ("delivered", 1)
    assert [(one["number"], one["http_status"], one["error"]) for one in row["log"]] == [
        (1, 204, None)
    ]


def test_a_long_payload_leaves_out_what_is_long(engine: Engine, receiver: Receiver) -> None:
    many = {f"метрика {n}": {"value": n / 7, "n_scored": 1, "n_expected": 1} for n in range(500)}
    a_finished_run(engine, receiver.url + "/", labels={"x": "ж" * 15_000}, aggregates=many)
    made(engine).deliver_one()
    [came] = receiver.came
    assert len(came.body) < 20_000
    data = json.loads(came.body)["data"]
    assert data["left_out"] == ["labels", "aggregates"]
    assert data["counts"]["scored"] == 2


def test_a_run_without_an_address_tells_nobody(engine: Engine) -> None:
    assert a_finished_run(engine, None) is None
    assert stored.listed(engine) == []


def test_failures_are_tried_again_over_the_schedule(engine: Engine, receiver: Receiver) -> None:
    receiver.answers["/down"] = lambda: Response(status_code=500)
    told = a_finished_run(engine, f"{receiver.url}/down")
    clock = Clock()
    delivering = made(engine, clock)
    assert delivering.deliver_one()
    for seconds in SCHEDULE:
        clock.pass_by(seconds * (1 + JITTER) - 1)
        assert not delivering.deliver_one(), "before its time"
        clock.pass_by(2)
        assert delivering.deliver_one()
    assert {one.headers["webhook-id"] for one in receiver.came} == {told}
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.came]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert len({one.body for one in receiver.came}) == 1
    [row] = stored.listed(engine)
    assert (row["status"], row["attempts"]) == ("failed", 1 + len(SCHEDULE))
    clock.pass_by(30 * 86400)
    assert not delivering.deliver_one()
    # By hand: from the beginning of the schedule, under the same id, and its log goes on.
    receiver.answers.clear()
    with engine.begin() as connection:
        assert stored.replay(connection, str(told))
        assert not stored.replay(connection, "cb_no")
    assert delivering.deliver_one()
    [row] = stored.listed(engine, status="delivered")
    assert (row["id"], row["attempts"], len(row["log"])) == (told, 11, 11)


def test_redirects_fail_410_ends_and_busy_receivers_are_spared(
    engine: Engine, receiver: Receiver
) -> None:
    clock = Clock()
    delivering = made(engine, clock)
    receiver.answers["/moved"] = lambda: RedirectResponse("/inside", 307)
    receiver.answers["/gone"] = lambda: Response(status_code=410)
    receiver.answers["/busy"] = lambda: Response(status_code=429, headers={"Retry-After": "900"})
    for path in ("moved", "gone"):
        a_finished_run(engine, f"{receiver.url}/{path}", path)
        assert delivering.deliver_one()
    rows = {row["run_id"]: row for row in stored.listed(engine)}
    assert (rows["moved"]["status"], rows["moved"]["log"][0]["http_status"]) == ("waiting", 307)
    assert "redirect" in rows["moved"]["log"][0]["error"]
    assert (rows["gone"]["status"], rows["gone"]["log"][0]["http_status"]) == ("ended", 410)
    assert "/inside" not in {one.path for one in receiver.came}
    a_finished_run(engine, f"{receiver.url}/busy", "busy")
    assert delivering.deliver_one()
    a_finished_run(engine, f"{receiver.url}/other", "other")
    with engine.begin() as connection:  # made before the host said that it is busy
        connection.execute(text("update rag_bench.callback set due_at = now() - interval '1 h' "
                                "where run_id = 'other'"))  # fmt: skip
    assert delivering.deliver_one(), "one that is made later is not held"
    clock.pass_by(890)
    assert not delivering.deliver_one(), "all that waited for the host waits as long as it said"
    clock.pass_by(20)
    assert delivering.deliver_one()


def test_what_a_verdict_is() -> None:
    assert verdict(200, 1).status == verdict(299, 10).status == "delivered"
    slow = verdict(503, 1, None, lambda: 0.0)
    assert (slow.wait, slow.hold_off) == (2 * SCHEDULE[0], SCHEDULE[0])
    assert verdict(None, 1, None, lambda: 0.0).wait == SCHEDULE[0]
    assert verdict(404, 2, None, lambda: 0.5).wait == SCHEDULE[1] * (1 + JITTER / 2)
    assert verdict(500, 1, 1e9).wait == 24 * 3600
    assert verdict(500, len(SCHEDULE)).status == "waiting"
    assert verdict(429, len(SCHEDULE) + 1, 5).status == "failed"
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert seconds_of({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, now) == 60
    assert seconds_of({"retry-after": "soon"}, now) is seconds_of({}, now) is None


def test_an_address_inside_is_refused_at_once_and_later(engine: Engine, receiver: Receiver) -> None:
    settings = Settings(webhook_secret=SecretStr(NEW))
    for url in (receiver.url, "https://169.254.169.254/", "http://example.org/", "ftp://x", "x"):
        assert refusal(settings, url)
    assert "RAG_BENCH_WEBHOOK_SECRET" in str(refusal(Settings(), "https://example.org/"))
    may = Settings(webhook_secret=SecretStr(NEW), outgoing_allowed="127.0.0.1")
    assert refusal(may, receiver.url) is None
    assert "letters" in str(refusal(may, receiver.url + "/" + "x" * 2000))
    port = receiver.url.rpartition(":")[2]
    names = iter([["93.184.216.34"], ["127.0.0.1"]])
    guard = Guard(allowed(f"93.184.216.34:{port}"), resolve=lambda host, port: next(names))
    url = f"http://hooks.example.com:{port}/"
    guard.check(url, encrypted=True)  # what the request saw
    a_finished_run(engine, url)
    clock = Clock()
    assert made(engine, clock, guard).deliver_one()
    [row] = stored.listed(engine)
    assert (row["status"], row["log"][0]["http_status"]) == ("waiting", None)
    assert "127.0.0.1" not in row["log"][0]["error"]
    assert receiver.came == []


def test_a_receiver_that_hangs_is_cut_off(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_bench.eval_runs.callbacks.TIME_LIMIT", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        a_finished_run(engine, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert made(engine).deliver_one()
    [row] = stored.listed(engine)
    assert (row["status"], row["log"][0]["http_status"]) == ("waiting", None)
    assert row["log"][0]["latency_ms"] < 10_000


def test_a_dead_deliverers_claim_ends_and_its_late_word_changes_nothing(engine: Engine) -> None:
    told = a_finished_run(engine, "https://example.org/")
    clock = Clock()
    dead = stored.claim(engine, now=clock())
    assert dead is not None
    assert stored.claim(engine, now=clock()) is None
    clock.pass_by(stored.CLAIM_SECONDS + 1)
    other = stored.claim(engine, now=clock())
    assert other is not None
    assert (other.id, other.number) == (told, 2)
    attempt = stored.Attempt(clock(), 410, "gone", 1)
    stored.record(engine, dead, attempt, "ended")
    [row] = stored.listed(engine)
    assert (row["status"], [one["number"] for one in row["log"]]) == ("waiting", [1])


def test_what_nobody_foresaw_is_a_failed_attempt(engine: Engine) -> None:
    a_finished_run(engine, "https://127.0.0.1:9/")
    guard = Guard(allowed("127.0.0.1"), resolve=_odd)
    assert made(engine, guard=guard).deliver_one()
    [row] = stored.listed(engine)
    assert (row["status"], row["log"][0]["error"]) == (
        "waiting",
        "It could not be sent (ZeroDivisionError).",
    )


def _odd(host: str, port: int) -> list[str]:
    raise ZeroDivisionError


def test_two_deliverers_tell_each_once(engine: Engine, receiver: Receiver) -> None:
    hosts = (receiver.url, receiver.url.replace("127.0.0.1", "localhost"))
    for n in range(30):
        a_finished_run(engine, f"{hosts[n % 2]}/{n}", f"r{n}")
    settings = Settings(webhook_secret=SecretStr(NEW), outgoing_allowed="127.0.0.1, localhost, ::1")
    two = [deliverer(engine, settings) for _ in range(2)]
    for one in two:
        assert one is not None
        one.start()
    try:
        receiver.wait_for(30)
    finally:
        for one in two:
            assert one is not None
            one.stop()
    assert sorted(int(one.path[1:]) for one in receiver.came) == list(range(30))
    assert {row["status"] for row in stored.listed(engine)} == {"delivered"}
    assert deliverer(engine, Settings()) is None


@pytest.mark.parametrize("secret", ["hunter2", "whsec_AAAA", "whsec_" + "A" * 100, "whsec_?"])
def test_what_is_no_secret_is_said_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="RAG_BENCH_WEBHOOK_SECRET") as refused:
        deliverer(None, Settings(webhook_secret=SecretStr(secret)))  # type: ignore[arg-type]
    assert secret not in str(refused.value)


def test_old_deliveries_are_forgotten_and_what_waits_is_kept(engine: Engine) -> None:
    def told(age: int, status: str, tried: int | None = None) -> str:
        made = f"cb_{int((datetime.now(UTC) - timedelta(days=age)).timestamp() * 1000):012x}{age}"
        with engine.begin() as connection:
            row = {"url": "https://x/", "kind": "k", "payload": {}, "status": status}
            connection.execute(insert(tables.callback).values(id=made, attempts=1, **row))
            at = datetime.now(UTC) - timedelta(days=age if tried is None else tried)
            attempt = {"callback_id": made, "number": 1, "at": at}
            connection.execute(insert(tables.callback_attempt).values(attempt))
        return made

    told(40, "delivered")
    told(41, "failed")
    told(42, "ended")
    waits, again, young = told(43, "waiting"), told(44, "delivered", tried=2), told(29, "delivered")
    with engine.begin() as connection:
        for outcome, days in (("started", 40), ("waiting", 40), ("nothing", 2)):
            connection.execute(
                insert(tables.hook).values(
                    id=f"{outcome} {days}",
                    route="/hooks/model-updated",
                    outcome=outcome,
                    received_at=datetime.now(UTC) - timedelta(days=days),
                )
            )
        assert stored.prune(connection, 30) == 3
        assert stored.prune(connection, 30) == 0
        assert hooks.prune(connection, 30) == 1
        left = connection.execute(select(tables.hook.c.id)).scalars()
        assert set(left) == {"waiting 40", "nothing 2"}
    assert {row["id"] for row in stored.listed(engine)} == {waits, again, young}
