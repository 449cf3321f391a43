"""A judge asked again, through the real client and ledger: a change is found, noise is not one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from small_world import World
from sqlalchemy import text

from rag_bench.evaluation.instrument.canary import USUAL_CASES
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.reporting.instruments import asked_after, change_marks
from rag_bench.resources import BenchmarkResource
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.models import Judge
from rag_bench.simulator.roster import DEFAULT_MODELS, Catalogue
from rag_bench.simulator.transport import simulator_transport
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.store.evaluations.canaries import canaries_of, changes
from rag_bench.store.evaluations.instruments import Measured
from rag_bench.tiers.base.evaluate import evaluate
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.judges.benchmark_judge import examination, sample_of
from rag_bench.tiers.judges.canary import (
    CALLS,
    NothingToAskAgainError,
    conditions,
    plan_of,
    task_of,
)
from rag_bench.tiers.registry import step_named

STEADY = Judge("oracle", 1.0, 1.0, bias=0.0, noise=0.0, variation=0.0, unreadable=0.0)
MOODY = replace(STEADY, name="moody", noise=0.5, variation=0.3)
LENIENT = replace(STEADY, bias=1.5)


class Asked:
    """Judges in one store; what answers under their names may be exchanged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.judges: tuple[Judge, ...] = (STEADY, MOODY)

    def _run(self, work: Any) -> Any:
        catalogue = Catalogue((*DEFAULT_MODELS, *self.judges))
        simulator = Simulator(answer_key_from_database(self.world.engine), catalogue=catalogue)

        async def run() -> Any:
            providers = Providers.from_environment({})
            transports = {"simulator": lambda: simulator_transport(simulator)}
            async with ChatModels(providers, self.world.url, transports=transports) as chat:
                return await work(Models(chat, providers, 16))

        return asyncio.run(run()), simulator.by_model

    def score(self, judge: str) -> None:
        """Score answers, so that there are calls to ask again."""
        bench = BenchmarkResource().open(self.world.engine, None)

        async def work(models: Models) -> None:
            step = step_named("benchmark_judge_quality")
            task = examination(bench, models, step, sample_of(bench, bench.pairs), judge)
            await evaluate(bench, models, [task], lambda *_: None, "")

        self._run(work)

    def canary(self, judge: str, n_cases: int = USUAL_CASES) -> tuple[StoredEvaluation, int]:
        """Ask a judge again; return what it has shown and how many calls were made."""
        engine, found = self.world.engine, []

        async def work(models: Models) -> None:
            task = task_of(engine, models, plan_of(engine, models, judge, n_cases), None)
            await evaluate(
                conditions(engine, judge), models, [task], lambda _, it: found.append(it), ""
            )

        _, sent = self._run(work)
        [one] = found
        return one, sent[judge.removeprefix("simulator/")]


@pytest.fixture
def asked(
    server: Any, free_part: Any, world_data: Any, quick_encoder: None, tmp_path: Any
) -> Iterator[Asked]:
    from small_world import opened_world

    with opened_world(server, free_part.database, world_data, tmp_path) as world:
        yield Asked(world)


def test_a_judge_without_calls_has_nothing_to_be_asked_again(asked: Asked) -> None:
    with pytest.raises(NothingToAskAgainError, match="rag-bench sweep"):
        asked.canary("simulator/oracle")


def test_a_judge_is_asked_again_beside_the_ledger_and_found_the_same_or_changed(
    asked: Asked,
) -> None:
    judge = "simulator/oracle"
    asked.score(judge)
    first, sent = asked.canary(judge)
    result = first.inputs["result"]
    assert result["outcome"] == "unchanged"
    n = result["n_cases"]
    assert sent == 2 * n, "its noise is not known yet, so each call is made twice"
    assert (result["n_reference"], result["n_new"]) == (1, 2)
    assert result["shift"]["value"] == 0.0
    assert [row[0] for row in result["served"]] == ["oracle"]
    second, sent = asked.canary(judge)
    assert sent == n
    assert second.inputs["result"]["n_reference"] == 3
    assert second.inputs[CALLS] == first.inputs[CALLS]
    assert len(second.inputs[CALLS]) == n
    assert second.inputs["result"]["since"] == result["seen"]
    assert changes(asked.world.engine) == []

    asked.judges = (LENIENT, MOODY)
    third, _ = asked.canary(judge)
    result = third.inputs["result"]
    assert result["outcome"] == "changed"
    assert result["shift"]["value"] > 0.3
    [change] = changes(asked.world.engine)
    assert (change.judge, change.evaluation_id) == (judge, third.id)
    assert change.since.isoformat() == second.inputs["result"]["seen"]
    # The new judge is the reference from now on: once more for its noise, then it is the same.
    fourth, sent = asked.canary(judge)
    assert sent == 2 * n
    assert fourth.inputs["result"]["outcome"] == "unchanged"
    assert len(canaries_of(asked.world.engine, judge)) == 4


def test_a_noisy_judge_is_not_called_changed_for_its_noise(asked: Asked) -> None:
    asked.score("simulator/moody")
    for _ in range(3):
        found, _ = asked.canary("simulator/moody")
        result = found.inputs["result"]
        assert result["outcome"] == "unchanged"
    assert result["noise"] > 0
    assert result["detectable"] is None or result["detectable"] > 4


def test_another_served_model_is_a_change_whatever_its_scores(asked: Asked) -> None:
    judge = "simulator/oracle"
    asked.score(judge)
    with asked.world.engine.begin() as connection:
        connection.execute(
            text("update rag_bench.llm_call set served_model = 'oracle-1' where model = 'oracle'")
        )
    found, _ = asked.canary(judge)
    result = found.inputs["result"]
    assert result["another_model"]
    assert result["outcome"] == "changed"
    [change] = changes(asked.world.engine)
    row = Measured(9, "3", "scores", "g", judge, None, change.seen, {})
    old = replace(row, id=8, finished_at=change.since)
    assert asked_after(row, change)
    assert not asked_after(old, change)
    [mark] = change_marks([row, old], [change])
    assert "evaluation 9 may be the new judge's, evaluation 8 the old one's" in mark
    assert "oracle-1" in mark


def test_more_calls_are_asked_when_more_are_wanted(asked: Asked) -> None:
    judge = "simulator/oracle"
    asked.score(judge)
    few, _ = asked.canary(judge, 6)
    assert len(few.inputs[CALLS]) == 6
    more, sent = asked.canary(judge, 12)
    assert more.inputs[CALLS][:6] == few.inputs[CALLS], "the first of them stay"
    n = len(more.inputs[CALLS])
    assert 6 < n <= 12
    assert sent == 2 * n, "of those that are new, nothing but the first reply is known"
    again, sent = asked.canary(judge, 6)
    assert again.inputs[CALLS] == few.inputs[CALLS]
    assert sent == 6
    assert again.inputs["result"]["n_reference"] == 4
    assert changes(asked.world.engine) == []


def test_more_calls_are_not_those_of_the_judge_before_it_changed(asked: Asked) -> None:
    judge = "simulator/oracle"
    asked.score(judge)
    asked.canary(judge, 12)
    asked.judges = (LENIENT, MOODY)
    found, _ = asked.canary(judge, 12)
    assert found.inputs["result"]["outcome"] == "changed"
    # Nothing was scored since, so there is nothing more to ask: the same twelve, as they are now.
    after, _ = asked.canary(judge, 24)
    assert len(found.inputs[CALLS]) == 12
    assert after.inputs[CALLS] == found.inputs[CALLS]
    assert after.inputs["result"]["outcome"] == "unchanged"
    assert len(changes(asked.world.engine)) == 1
