"""What a sweep does beside its calls: it encodes answers, and asks judges meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from killed_sweep import numbers, same
from local_provider import LocalProvider, refusal
from small_world import World
from sqlalchemy import text
from starlette.responses import Response
from world_data import GOLD

from rag_bench.partitions import ModelLists
from rag_bench.retrieval import encoder_process
from rag_bench.settings import get_settings
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.sweep import StageResult, Sweep, SweepRequest
from rag_bench.tiers.answers import answers
from rag_bench.tiers.base.bench import Bench

JUDGE = "x/sim-judge-sharp"
MODELS = ModelLists(["x/sim-strong", "x/sim-weak"], [JUDGE], ["simulator/sim-gate-balanced"])


@pytest.fixture
def served(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    with LocalProvider(lambda: answer_key_from_database(free_world.engine)).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-local")
        monkeypatch.setenv("PROVIDER_X_CONCURRENCY", "4")
        yield serving


def run(world: World) -> list[StageResult]:
    request = SweepRequest(MODELS, frozenset({"3"}), report=False)
    return Sweep(world.instance, MODELS).run(request, lambda stage: None)


def test_judges_are_asked_while_answers_are_measured_and_only_once(
    free_world: World, served: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, measure = threading.Event(), answers.measured_cases
    measured: list[bool] = []

    def on_request(number: int) -> None:
        if served.by_model["sim-judge-sharp"]:
            asked.set()

    def measured_late(*arguments: Any) -> Any:
        # Not the first model's: answers of the other may still be under way, and go first.
        if measured:
            assert asked.wait(60), "no judge was asked while answers were measured"
        measured.append(True)
        return measure(*arguments)

    served.on_request = on_request
    monkeypatch.setattr(answers, "measured_cases", measured_late)
    results = run(free_world)
    assert [result.errors for result in results] == [(), (), ()]
    assert len(measured) == 2
    assert served.repeated == 0
    assert served.by_model["sim-judge-sharp"] > 0
    with free_world.engine.connect() as connection:
        scored = connection.execute(
            text(
                "select count(*) from rag_bench.evaluation_case join rag_bench.evaluation "
                "on id = evaluation_id where kind = 'scores' and error_code is null"
            )
        ).scalar_one()
    assert scored == 2 * len(GOLD)


def test_a_judge_that_fails_ahead_is_asked_by_its_own_stage(
    free_world: World, served: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    failed, measure = threading.Event(), answers.measured_cases
    measured: list[bool] = []

    async def misbehave(body: dict[str, Any], number: int) -> Response | None:
        if body["model"] == "sim-judge-sharp" and not failed.is_set():
            failed.set()
            return refusal(503)
        return None

    def measured_late(*arguments: Any) -> Any:
        if measured:
            assert failed.wait(60)
        measured.append(True)
        return measure(*arguments)

    served.misbehave = misbehave
    monkeypatch.setattr(answers, "measured_cases", measured_late)
    results = run(free_world)
    assert failed.is_set()
    assert [result.errors for result in results] == [(), (), ()]
    assert free_world.count("evaluation", "kind = 'scores' and status = 'succeeded'") == 2


def test_an_encoder_that_is_killed_ends_the_step_and_loses_nothing(
    free_world: World, served: LocalProvider
) -> None:
    killed: list[int] = []

    def on_request(number: int) -> None:
        process = encoder_process.running_process(get_settings())
        if process and not killed:
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    served.on_request = on_request
    results = {result.name: result.errors for result in run(free_world)}
    assert killed
    assert "The process that encodes texts ended by SIGKILL" in results["answers"][0]
    served.on_request = None
    assert [result.errors for result in run(free_world)] == [(), (), ()]
    assert free_world.count("evaluation", "kind = 'answers' and status = 'succeeded'") == 2
    # At most what was in flight, whose replies were not in the ledger yet, was asked again.
    assert served.repeated <= 8


def test_the_numbers_are_those_of_an_encoder_in_this_process(
    free_world: World, served: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with free_world.engine.begin() as connection:
        connection.execute(text("create table before as select text_hash from rag_bench.embedding"))
    assert [result.errors for result in run(free_world)] == [(), (), ()]
    beside = numbers(free_world.engine)
    with free_world.engine.begin() as connection:
        connection.execute(text("delete from rag_bench.evaluation where kind <> 'metrics'"))
        forgotten = connection.execute(
            text(
                "delete from rag_bench.embedding "
                "where text_hash not in (select text_hash from before)"
            )
        )
        assert forgotten.rowcount > 0
    encoder_process.close_process()
    monkeypatch.setattr(Bench, "encode_soon", lambda self, texts: None)
    monkeypatch.setattr(encoder_process, "running_process", lambda settings: None)
    assert [result.errors for result in run(free_world)] == [(), (), ()]
    assert same(beside, numbers(free_world.engine))
