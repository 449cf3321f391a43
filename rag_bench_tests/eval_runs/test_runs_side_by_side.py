"""Runs in several processes share a provider's limit, and a small one ends before a large one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_provider import LocalProvider
from queued_runs import row_of, wait_for
from run_processes import asked, provider_variables, service
from sqlalchemy import Engine

from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.store.eval_runs import queueing

LIMIT = 8
#: Calls that take half a minute with all of the limit: far more than a small run needs.
N_LARGE = 1200


@pytest.fixture
def provider(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> Iterator[LocalProvider]:
    """A slow provider that takes eight calls at once."""
    with LocalProvider(AnswerKey, 0.2).serving() as serving:
        for name, value in provider_variables(serving).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PROVIDER_X_CONCURRENCY", str(LIMIT))
        monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path / "results"))
        monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
        yield serving


def test_two_services_share_a_limit_and_a_small_run_of_another_key_ends_first(
    engine: Engine, provider: LocalProvider
) -> None:
    environment = {"RAG_BENCH_EVAL_RUNS_IN_SERVICE": "1"}
    large = asked(engine, N_LARGE, subject="large")
    with service(**environment), service(**environment):
        wait_for(engine, large, "running", 60)
        deadline = time.monotonic() + 60
        while provider.count < 2 * LIMIT:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        small = asked(engine, 5, subject="small", first=N_LARGE + 1)
        wait_for(engine, small, "succeeded", 60)
        assert row_of(engine, large).status == "running"
        with engine.begin() as connection:
            queueing.request_cancel(connection, large, "anna")
        wait_for(engine, large, "cancelled", 60)
    assert provider.most_in_flight == LIMIT, "all of it was used, and never more"


def test_a_key_with_many_runs_in_one_process_leaves_room_for_another(
    engine: Engine, provider: LocalProvider
) -> None:
    many = [asked(engine, 60, subject="many", first=1 + 60 * n) for n in range(20)]
    with service(RAG_BENCH_EVAL_RUNS_IN_SERVICE="3", RAG_BENCH_EVAL_RUNS_AT_ONCE="2"):
        wait_for(engine, many[1], "running", 60)
        small = asked(engine, 3, subject="small", first=5001)
        wait_for(engine, small, "succeeded", 60)
        assert {row_of(engine, run_id).status for run_id in many[2:]} <= {"queued", "running"}
        assert row_of(engine, many[-1]).status == "queued"
    assert provider.most_in_flight <= LIMIT
