"""What a subject may have open and spend a day: refused with the time to wait, never outrun."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from decimal import Decimal

import pytest
from queued_runs import queued, row_of
from sqlalchemy import Engine, insert, text

from rag_bench.eval_runs import limits
from rag_bench.eval_runs.limits import LimitReached
from rag_bench.llm.transport.budget import CapReachedError
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import spent
from rag_bench.store.eval_runs.tables import eval_run


def refused(engine: Engine, settings: Settings, subject: str = "key a") -> LimitReached | None:
    try:
        with engine.begin() as connection:
            limits.admit(connection, settings, subject)
    except LimitReached as reached:
        return reached
    return None


async def spend(engine: Engine, settings: Settings, run_id: str, calls: int, usd: str) -> int:
    """Ask for so many calls at this price; return how many were let through."""
    budget = limits.budget_of(engine, settings, row_of(engine, run_id))
    assert budget is not None
    made = 0
    try:
        for _ in range(calls):
            (await budget.reserve("x/m", Decimal(usd))).settle(Decimal(usd))
            made += 1
    except CapReachedError:
        pass
    finally:
        await budget.give_back()
    return made


def test_too_many_open_runs_are_refused_for_their_subject_alone(engine: Engine) -> None:
    settings = Settings(eval_runs_open=2)
    queued(engine)
    assert refused(engine, settings) is None
    queued(engine)
    reached = refused(engine, settings)
    assert reached
    assert (reached.which, reached.seconds) == ("runs", 10)
    assert refused(engine, settings, "key b") is None


def test_two_requests_at_the_same_time_do_not_both_take_the_last_place(engine: Engine) -> None:
    settings, admitted = Settings(eval_runs_open=1), []

    def whole() -> None:
        try:
            with engine.begin() as connection:
                limits.admit(connection, settings, "key a")
                connection.execute(
                    insert(eval_run).values(
                        id=threading.current_thread().name,
                        trace_id="t",
                        user_id="u",
                        subject="key a",
                        status="queued",
                        mode="sync",
                        place="service",
                        n_cases=1,
                    )
                )
            admitted.append(True)
        except LimitReached:
            admitted.append(False)

    threads = [threading.Thread(target=whole) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admitted) == [False] * 5 + [True]


def test_the_days_calls_are_shared_by_a_subjects_runs_and_never_passed(engine: Engine) -> None:
    settings = Settings(eval_calls_per_day=50)
    runs = [queued(engine) for _ in range(3)]

    async def together() -> list[int]:
        return await asyncio.gather(*(spend(engine, settings, run, 40, "0") for run in runs))

    assert sum(asyncio.run(together())) == 50
    reached = refused(engine, settings)
    assert reached
    assert reached.which == "calls"
    assert 0 < reached.seconds <= 24 * 3600
    assert refused(engine, settings, "key b") is None
    assert asyncio.run(spend(engine, settings, queued(engine, "key b"), 3, "0")) == 3


def test_the_days_money_is_reserved_before_it_is_spent(engine: Engine) -> None:
    settings = Settings(eval_calls_per_day=None, eval_cost_usd_per_day=1.0)
    run = queued(engine)
    assert asyncio.run(spend(engine, settings, run, 20, "0.3")) == 3
    assert refused(engine, settings) is None, "0.1 USD are left"
    assert asyncio.run(spend(engine, settings, run, 20, "0.05")) == 2
    reached = refused(engine, settings)
    assert reached
    assert reached.which == "money"


@pytest.mark.parametrize("shared", [None, 1000])
def test_a_runs_own_caps_hold_beside_the_days_and_count_what_was_spent_before(
    engine: Engine, shared: int | None
) -> None:
    settings = Settings(eval_calls_per_day=shared)
    run = queued(
        engine, max_calls=10, n_calls=4, max_cost_usd=Decimal("1"), cost_usd=Decimal("0.5")
    )
    assert asyncio.run(spend(engine, settings, run, 20, "0")) == 6
    assert asyncio.run(spend(engine, settings, run, 20, "0.2")) == 2


def test_nothing_is_capped_where_nothing_is_limited(engine: Engine) -> None:
    settings = Settings(eval_calls_per_day=None)
    assert limits.budget_of(engine, settings, row_of(engine, queued(engine))) is None


def test_runs_that_shared_no_budget_count_by_their_rows_and_old_ones_are_not_read(
    engine: Engine,
) -> None:
    old, young = (f"{int(at * 1000):012x}" for at in (time.time() - 30 * 86400, time.time()))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into rag_bench.eval_run (id, trace_id, user_id, subject, status, mode, place, "
            "n_cases, n_calls, started_at) select %s || lpad(to_hex(n), 20, '0'), 't', 'u', "
            "'key a', 'succeeded', 'sync', 'service', 1, 1, now() - interval '30 days' "
            "from generate_series(1, 20000) as n",
            (old,),
        )
        for number, (subject, ago) in enumerate(
            [("key a", "0 s"), ("key a", "0 s"), ("key a", "25 hours"), ("key b", "0 s")]
        ):
            connection.exec_driver_sql(
                "insert into rag_bench.eval_run (id, trace_id, user_id, subject, status, mode, "
                "place, n_cases, n_calls, cost_usd, started_at) values (%s, 't', 'u', %s, "
                "'succeeded', 'sync', 'service', 1, 5, 0.25, now() - %s::interval)",
                (f"{young}{number:020x}", subject, ago),
            )
        connection.exec_driver_sql("analyze rag_bench.eval_run")
    with engine.begin() as connection:
        found = spent.spent(connection, "key a")
        assert (found.open, found.calls, found.usd) == (0, 10, Decimal("0.5"))
        plan = "\n".join(
            connection.execute(
                text(f"explain (analyze) {spent.SPENT}"),
                {"subject": "key a", "subject_day": spent.budget_name("key a")},
            ).scalars()
        )
    assert "Seq Scan on eval_run" not in plan
    read = [int(n) for n in re.findall(r"Removed by Filter: (\d+)", plan)]
    assert sum(read) < 100, plan
