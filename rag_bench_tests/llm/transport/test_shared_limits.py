"""Several processes on one provider: real processes, counted by the provider."""

from __future__ import annotations

import signal
import time

import pytest
from sharing_processes import counting_provider, workers
from sqlalchemy import Engine, text

from rag_bench.llm.sharing.shares import EXPIRY

SLOTS = 8


@pytest.mark.parametrize("n", [2, 4])
def test_never_more_in_flight_than_slots_and_all_is_answered(
    n: int, database_url: str, engine: Engine
) -> None:
    calls = [(f"w{i}", 120) for i in range(n)]
    with (
        counting_provider(0.03) as provider,
        workers(provider, database_url, SLOTS, calls) as started,
    ):
        for worker in started:
            worker.go()
        results = [worker.result() for worker in started]
        told = provider.told()
    assert [(one["answered"], one["failed"]) for one in results] == [(120, [])] * n
    assert told["most"] <= SLOTS
    assert (told["total"], told["repeated"]) == (120 * n, 0)
    with engine.connect() as connection:
        kept = connection.execute(text("select count(*) from rag_bench.llm_call")).scalar_one()
        left = connection.execute(text("select count(*) from rag_bench.provider_lease"))
        assert kept == 120 * n
        assert left.scalar_one() == 0, "what ended has given its lease back"


def test_the_share_of_a_killed_process_comes_back_and_a_stopped_one_starts_nothing(
    database_url: str, engine: Engine
) -> None:
    calls = [("killed", 100_000), ("stopped", 100_000), ("lives", 100_000)]
    with (
        counting_provider(0.05) as provider,
        workers(provider, database_url, SLOTS, calls) as (killed, stopped, lives),
    ):
        for worker in (killed, stopped, lives):
            worker.go()
        for worker in (killed, stopped, lives):
            provider.wait_for(worker.name, 20)
        killed.send(signal.SIGKILL)
        stopped.send(signal.SIGSTOP)
        slots = text("select max(slots), count(*) from rag_bench.provider_lease")
        deadline = time.monotonic() + EXPIRY + 30
        with engine.connect() as connection:
            while (found := tuple(connection.execute(slots).one())) != (SLOTS, 1):
                assert time.monotonic() < deadline, found
                connection.rollback()
                time.sleep(0.05)
        before = provider.calls_of("stopped")
        stopped.send(signal.SIGCONT)  # it finds its lease over, and waits for a share
        provider.wait_for("stopped", before + 20)
        told = provider.told()
    assert told["most"] <= SLOTS


def test_two_processes_that_want_the_same_replies_pay_for_each_once(
    database_url: str, engine: Engine
) -> None:
    calls = [("one", 150), ("other", 150)]
    with (
        counting_provider(0.05) as provider,
        workers(provider, database_url, SLOTS, calls, SHARED_QUESTIONS="same") as started,
    ):
        for worker in started:
            worker.go()
        results = [worker.result() for worker in started]
        told = provider.told()
    assert [(one["answered"], one["failed"]) for one in results] == [(150, [])] * 2
    assert (told["total"], told["repeated"]) == (150, 0)
    with engine.connect() as connection:
        query = text("select status, count(*) from rag_bench.llm_call group by 1")
        assert [tuple(row) for row in connection.execute(query)] == [("ok", 150)]
        assert not connection.execute(text("select * from rag_bench.call_claim")).all()


def test_what_a_killed_process_was_about_to_ask_is_asked_by_the_other(
    database_url: str,
) -> None:
    calls = [("killed", 60), ("lives", 60)]
    with (
        counting_provider(0.5) as provider,
        workers(provider, database_url, SLOTS, calls, SHARED_QUESTIONS="same") as (killed, lives),
    ):
        killed.go()
        provider.wait_for("same", 10)
        # In the middle of the calls that follow the first ones, whose replies are stored by then: a
        # reply that came and is not stored yet is asked for again as well.
        time.sleep(0.25)
        killed.send(signal.SIGKILL)
        lives.go()
        result = lives.result()
        told = provider.told()
    assert (result["answered"], result["failed"]) == (60, [])
    assert told["repeated"] <= SLOTS, "no more than was in flight"


def test_a_budget_holds_for_several_processes_together(database_url: str) -> None:
    calls = [("one", 200), ("other", 200)]
    with (
        counting_provider(0.02) as provider,
        workers(provider, database_url, SLOTS, calls, SHARED_MAX_CALLS="90") as started,
    ):
        for worker in started:
            worker.go()
        results = [worker.result() for worker in started]
        told = provider.told()
    assert told["total"] == sum(one["answered"] for one in results) == 90
    assert all("call cap reached" in detail for one in results for detail in one["failed"])
    assert sum(len(one["failed"]) for one in results) == 310


def test_what_a_killed_process_may_have_spent_is_counted(database_url: str, engine: Engine) -> None:
    calls = [("killed", 200), ("lives", 200)]
    with (
        counting_provider(0.2) as provider,
        workers(provider, database_url, SLOTS, calls, SHARED_MAX_CALLS="90") as (killed, lives),
    ):
        killed.go()
        provider.wait_for("killed", 10)
        killed.send(signal.SIGKILL)
        with engine.begin() as connection:  # hope for its block is over
            connection.execute(text("update rag_bench.budget_share set expires_at = now()"))
            granted = connection.execute(
                text("select granted_calls from rag_bench.budget_share")
            ).scalar_one()
        lives.go()
        result = lives.result()
        told = provider.told()
    assert result["answered"] == 90 - granted
    assert told["total"] <= 90
