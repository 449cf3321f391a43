"""The queue of the service's runs: fair, nobody works on a run twice, none is lost."""

from __future__ import annotations

import threading

import pytest
from queued_runs import events_of, expire, queued, row_of, succeed
from sqlalchemy import Engine, text

from rag_bench.store.eval_runs import queueing


def claimed(engine: Engine, holder: str = "h", at_once: int = 100) -> str | None:
    found = queueing.claim(engine, holder, at_once=at_once)
    return found and found.run_id


def test_the_subject_with_the_fewest_runs_at_work_comes_first_then_the_oldest_run(
    engine: Engine,
) -> None:
    many = [queued(engine, "many") for _ in range(5)]
    few = [queued(engine, "few") for _ in range(2)]
    order = [claimed(engine) for _ in range(7)]
    assert order == [many[0], few[0], many[1], few[1], many[2], many[3], many[4]]
    assert claimed(engine) is None


def test_only_so_many_of_one_subject_are_at_work_also_when_many_claim_at_the_same_time(
    engine: Engine,
) -> None:
    for _ in range(10):
        queued(engine, "many")
    other = queued(engine, "other")
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(claimed(engine, f"h{n}", 3)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [run for run in found if run]
    assert len(taken) == len(set(taken)) == 4
    assert other in taken
    succeed(engine, other, holder=row_of(engine, other).holder)
    assert claimed(engine, "h", 3) is None, "the other subject's end makes no room for this one"


def test_a_claim_stands_while_it_is_renewed_and_is_taken_over_after_that(engine: Engine) -> None:
    run = queued(engine)
    assert claimed(engine, "first") == run
    assert claimed(engine, "second") is None
    assert queueing.renew(engine, run, "first") == queueing.Renewal(True, False)
    expire(engine, run)
    again = queueing.claim(engine, "second", at_once=1)
    assert again == queueing.Claimed(run, "key a", 1, True, f"trace-{run}", "key a")
    assert not queueing.renew(engine, run, "first").held
    with engine.begin() as connection:
        assert not queueing.release(connection, run, "first")
        assert queueing.release(connection, run, "second")
    assert row_of(engine, run).status == "queued"
    assert claimed(engine) == run
    assert events_of(engine, run) == ["queued", "started", "interrupted", "started", "started"]


def test_a_run_given_back_for_later_waits_and_holds_up_nobody(engine: Engine) -> None:
    later, other = queued(engine), queued(engine)
    assert claimed(engine) == later
    with engine.begin() as connection:
        queueing.release(connection, later, "h", wait=60)
    assert claimed(engine) == other
    assert claimed(engine) is None
    expire(engine, later)
    assert claimed(engine) == later


def test_a_run_that_is_lost_again_and_again_is_given_up_until_somebody_asks_for_it(
    engine: Engine,
) -> None:
    run, after = queued(engine), queued(engine)
    for _ in range(queueing.MOST_INTERRUPTIONS):
        assert claimed(engine) == run
        expire(engine, run)
    assert claimed(engine) == after
    row = row_of(engine, run)
    assert (row.status, row.error_code) == ("failed", "INTERRUPTED")
    assert events_of(engine, run)[-1] == "finished"
    with engine.begin() as connection:
        assert queueing.requeue(connection, run)
        assert not queueing.requeue(connection, run), "it waits already"
    assert claimed(engine) == run
    assert row_of(engine, run).attempt == 2
    assert row_of(engine, run).error_code is None


def test_cancelling_ends_a_waiting_run_at_once_and_tells_the_holder_of_one_at_work(
    engine: Engine,
) -> None:
    at_work, waiting = queued(engine), queued(engine)
    assert claimed(engine) == at_work
    with engine.begin() as connection:
        assert queueing.request_cancel(connection, waiting, "anna") == "cancelled"
        assert queueing.request_cancel(connection, at_work, "anna") == "running"
        assert queueing.request_cancel(connection, "nobody", "anna") is None
    assert queueing.renew(engine, at_work, "h") == queueing.Renewal(True, True)
    assert events_of(engine, waiting) == ["queued", "cancelled"]
    succeed(engine, at_work, holder="h")
    with engine.begin() as connection:
        with pytest.raises(queueing.EndedError, match="succeeded"):
            queueing.request_cancel(connection, at_work, "anna")
        assert queueing.requeue(connection, waiting, place="dagster")
    assert not row_of(engine, waiting).cancel_requested
    assert claimed(engine) is None, "Dagster executes it now"


def test_a_cancelled_run_that_is_given_back_is_at_its_end(engine: Engine) -> None:
    run = queued(engine)
    assert claimed(engine) == run
    with engine.begin() as connection:
        queueing.request_cancel(connection, run, "anna")
        assert queueing.release(connection, run, "h")
    assert row_of(engine, run).status == "cancelled"
    assert claimed(engine) is None


def test_a_run_is_claimed_by_its_name_once(engine: Engine) -> None:
    run = queued(engine, place="dagster")
    assert claimed(engine) is None
    found = queueing.claim_run(engine, run, "d", dagster_run_id="r-1")
    assert found == queueing.Claimed(run, "key a", 1, False, f"trace-{run}", "key a")
    assert row_of(engine, run).dagster_run_id == "r-1"
    assert queueing.claim_run(engine, run, "e") is None
    succeed(engine, run, holder="d")
    assert queueing.claim_run(engine, run, "e") is None


def test_dagster_is_told_of_every_queueing_once(engine: Engine) -> None:
    run = queued(engine)
    claimed(engine)
    succeed(engine, run, holder="h")
    with engine.begin() as connection:
        queueing.requeue(connection, run)
        rows = connection.execute(text("select run_id, attempt from rag_bench.eval_outbox")).all()
    assert [tuple(row) for row in rows] == [(run, 1), (run, 2)]
