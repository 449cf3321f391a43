"""The service's own threads: they execute what waits, share fairly, and lose nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from queued_runs import events_of, expire, queued, row_of, succeed, wait_for
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs import holding, runner
from rag_bench.eval_runs.runner import Runner
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import queueing


@contextmanager
def running(
    engine: Engine, execute: Callable[..., None], told: Any = None, **settings: int
) -> Iterator[Runner]:
    made = Runner(engine, Settings(**settings), execute=execute, told=told)
    made.start()
    try:
        yield made
    finally:
        made.stop(10)


def simply(engine: Engine, settings: Settings, run_id: str, **arguments: Any) -> None:
    succeed(engine, run_id, **arguments)


def until_told(
    engine: Engine, run_id: str, holder: str, cancelled: Callable[[], bool], **_: Any
) -> None:
    """Work on and on, between calls looking whether to stop; end what somebody cancelled."""
    while not cancelled():
        time.sleep(0.02)
    if row_of(engine, run_id).cancel_requested:
        with engine.begin() as connection:
            queueing.end_early(connection, run_id, "cancelled")


def test_what_is_queued_is_executed_and_its_end_told(engine: Engine) -> None:
    told: list[str] = []
    before = queued(engine)
    with running(engine, simply, told.append) as made:
        wait_for(engine, before, "succeeded")
        run = queued(engine)
        made.wake()
        wait_for(engine, run, "succeeded")
    assert told == [before, before, run, run]
    assert events_of(engine, run) == ["queued", "started", "finished"]


def test_a_small_run_of_another_key_does_not_wait_for_large_ones(engine: Engine) -> None:
    def execute(engine: Engine, _: Any, run_id: str, **arguments: Any) -> None:
        if row_of(engine, run_id).subject == "large":
            until_told(engine, run_id, **arguments)
        else:
            succeed(engine, run_id, **arguments)

    large = [queued(engine, "large") for _ in range(6)]
    with running(engine, execute, eval_runs_in_service=3, eval_runs_at_once=2) as made:
        for run in large[:2]:
            wait_for(engine, run, "running")
        small = queued(engine, "small")
        made.wake()
        wait_for(engine, small, "succeeded")
        assert [row_of(engine, run).status for run in large] == ["running"] * 2 + ["queued"] * 4


def test_a_run_whose_process_was_killed_is_taken_over(engine: Engine) -> None:
    run = queued(engine)
    queueing.claim(engine, "a process that is gone", at_once=1)
    with running(engine, simply):
        time.sleep(0.3)
        assert row_of(engine, run).status == "running", "it may be at work still"
        expire(engine, run)
        wait_for(engine, run, "succeeded")
    assert events_of(engine, run) == ["queued", "started", "interrupted", "started", "finished"]


def test_a_run_at_work_keeps_its_claim_for_as_long_as_it_works(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "LEASE", 2.5)
    run, may_end = queued(engine), threading.Event()

    def execute(engine: Engine, _: Any, run_id: str, **arguments: Any) -> None:
        may_end.wait(30)
        succeed(engine, run_id, **arguments)

    with running(engine, execute):
        wait_for(engine, run, "running")
        time.sleep(4)
        assert queueing.claim(engine, "another process", at_once=9) is None
        may_end.set()
        wait_for(engine, run, "succeeded")


def test_a_runner_does_not_take_over_what_it_executes_itself(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away for longer than a claim stands; the runner looks before it renews."""
    monkeypatch.setattr(holding, "BEAT", 60)
    run, may_end = queued(engine), threading.Event()

    def execute(engine: Engine, _: Any, run_id: str, **arguments: Any) -> None:
        may_end.wait(30)
        succeed(engine, run_id, **arguments)

    with running(engine, execute) as made:
        wait_for(engine, run, "running")
        expire(engine, run)
        made.wake()
        time.sleep(2.5)
        assert events_of(engine, run) == ["queued", "started"]
        may_end.set()
        monkeypatch.setattr(holding, "BEAT", 0.1)
        wait_for(engine, run, "succeeded")


def test_a_cancelled_run_hears_of_it_and_a_stopped_service_gives_its_runs_back(
    engine: Engine,
) -> None:
    def execute(engine: Engine, _: Any, run_id: str, **arguments: Any) -> None:
        until_told(engine, run_id, **arguments)

    cancelled, kept = queued(engine), queued(engine)
    with running(engine, execute):
        for run in (cancelled, kept):
            wait_for(engine, run, "running")
        with engine.begin() as connection:
            queueing.request_cancel(connection, cancelled, "anna")
        wait_for(engine, cancelled, "cancelled")
        assert row_of(engine, kept).status == "running"
    row = row_of(engine, kept)
    assert (row.status, row.holder) == ("queued", None)
    with running(engine, simply):
        wait_for(engine, kept, "succeeded")


def test_errors_with_words_end_a_run_and_unexpected_ones_are_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_WAIT", 0.0)
    impossible, unlucky, broken = (queued(engine) for _ in range(3))
    tries: dict[str, int] = {}

    def execute(engine: Engine, _: Any, run_id: str, **arguments: Any) -> None:
        tries[run_id] = tries.get(run_id, 0) + 1
        if run_id == impossible:
            raise RagBenchError("No such dataset.")
        if run_id == unlucky and tries[run_id] == 1:
            raise OperationalError("select", {}, Exception("away"))
        if run_id == broken:
            raise ValueError("secret words")
        succeed(engine, run_id, **arguments)

    with running(engine, execute) as made:
        wait_for(engine, impossible, "failed")
        wait_for(engine, unlucky, "succeeded")
        wait_for(engine, broken, "failed")
        made.wake()
    row = row_of(engine, impossible)
    assert (row.error_code, row.error_detail) == ("RUN_FAILED", "No such dataset.")
    assert tries[unlucky] == 2
    assert tries[broken] == queueing.MOST_INTERRUPTIONS
    row = row_of(engine, broken)
    assert row.error_code == "INTERRUPTED"
    assert "secret" not in row.error_detail


def test_the_runner_goes_on_when_the_database_has_closed_all_connections(engine: Engine) -> None:
    with running(engine, simply) as made:
        wait_for(engine, queued(engine), "succeeded")
        with engine.connect() as connection:
            connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            )
        run = queued(engine)
        made.wake()
        wait_for(engine, run, "succeeded")


def test_what_does_not_end_is_waited_for_once_and_given_up(engine: Engine) -> None:
    goes_on = threading.Event()

    def deaf(*_: Any, **__: Any) -> None:
        goes_on.wait()

    runs = [queued(engine, f"key {number}") for number in range(4)]
    made = Runner(engine, Settings(eval_runs_in_service=4), execute=deaf)
    made.start()
    for run in runs:
        wait_for(engine, run, "running")
    began = time.monotonic()
    made.stop(5)
    assert time.monotonic() - began < 15  # of each it would be 20 seconds
    goes_on.set()


def test_what_breaks_because_the_process_ends_does_not_end_the_run(engine: Engine) -> None:
    def breaks(
        engine: Engine, _: Any, run_id: str, cancelled: Callable[[], bool], **__: Any
    ) -> None:
        while not cancelled():
            time.sleep(0.02)
        raise RagBenchError("The process that encodes texts ended.")

    run = queued(engine)
    with running(engine, breaks):
        wait_for(engine, run, "running")
    assert row_of(engine, run).status == "queued"
    with running(engine, simply):
        wait_for(engine, run, "succeeded")
