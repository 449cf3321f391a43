"""The asset of tier judge: planned, recorded per judge, checked, and free when run again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from local_provider import LocalProvider, completion
from small_world import World, checks_of, failure, materializations, value
from starlette.responses import Response
from world_data import PAIRS

from rag_bench.automation import range_tags
from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.resources import BenchmarkResource
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.tiers.plan.plan import Plan, plan_sweep

ASSET = "benchmark_judge_quality"
SHARP, STUBBORN = "simulator/sim-judge-sharp", "x/stubborn"
MODELS = ModelLists(["simulator/extractive"], [SHARP, STUBBORN], ["simulator/sim-gate-balanced"])


@pytest.fixture
def provider(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """A judge that finds everything worth 4 and the first answer better."""

    async def always_the_same(body: dict[str, Any], number: int) -> Response:
        wanted = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps({"score": 4} if "score" in wanted else {"winner": "A"}))

    with LocalProvider(AnswerKey).serving() as serving:
        serving.misbehave = always_the_same
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-local")
        monkeypatch.setenv("X_BM_JUDGE_MODELS", STUBBORN)
        yield serving


def run(world: World) -> Any:
    tags = range_tags(Partitions.of(MODELS).benchmark_judges)
    return world.run([ASSET], MODELS, tags=tags)


def plan(world: World) -> Plan:
    return asyncio.run(
        plan_sweep(
            BenchmarkResource().open(world.engine, None),
            Providers.from_environment(),
            16,
            MODELS.generation,
            MODELS.benchmark_judges,
            MODELS.production_judges,
            {"judge"},
        )
    )


def test_the_asset_from_plan_to_rerun(free_world: World, provider: LocalProvider) -> None:
    planned = plan(free_world)
    assert {(line.asset, line.model) for line in planned.lines} == {
        (ASSET, SHARP),
        (ASSET, STUBBORN),
    }
    assert planned.n_unknown == 0
    assert provider.count == free_world.count("llm_call") == 0

    result = run(free_world)
    assert result.success, failure(result)
    assert free_world.count("llm_call") == planned.n_to_send
    [line] = [line for line in planned.lines if line.model == STUBBORN]
    assert provider.count == line.n_to_send
    recorded = {m.partition: m.metadata for m in materializations(result, ASSET)}
    assert set(recorded) == {SHARP, STUBBORN}
    sharp, stubborn = recorded[SHARP], recorded[STUBBORN]
    assert value(stubborn, "score_collapse") == 1
    assert value(stubborn, "first_position_rate") == 1
    assert value(stubborn, "position_consistency") == 0
    assert value(stubborn, "label_kappa") == value(stubborn, "constructed_kappa") == 0
    assert value(stubborn, "label_auc") == 0.5
    assert value(sharp, "first_position_rate") == 0.5
    assert value(sharp, "label_auc") > 0.8
    assert value(sharp, "n_label_answers") == len(PAIRS)
    assert "simulated" in sharp
    assert "simulated" not in stubborn
    assert "remark" not in sharp

    checks = checks_of(result)
    assert checks["replies_are_readable"].passed
    assert checks["checked_against_people"].passed
    alike = checks["scores_are_not_all_alike"]
    assert not alike.passed
    assert alike.severity.value == "WARN"
    assert value(alike.metadata, "share_of_one_score") == {STUBBORN: 1.0}
    moved = checks["only_content_moves_judges"]
    assert not moved.passed
    assert moved.severity.value == "WARN"
    assert set(value(moved.metadata, "moved")) == {f"{STUBBORN}: first_position_rate"}
    assert f"{STUBBORN}: first_position_rate +1.00" in moved.description

    asked = free_world.count("llm_call")
    again = run(free_world)
    assert again.success
    assert free_world.count("llm_call") == asked
    assert all(value(m.metadata, "reused") for m in materializations(again, ASSET))
    assert plan(free_world).n_to_send == 0
    rows = free_world.rows("select distinct tier, kind, generation_model from rag_bench.evaluation"
                           " where benchmark_judge_model is not null")  # fmt: skip
    assert rows == [{"tier": "judge", "kind": "scores", "generation_model": None}]


def test_no_labelled_pairs_leave_judges_unchecked_and_said_so(free_world: World) -> None:
    with free_world.engine.begin() as connection:
        connection.exec_driver_sql(
            "delete from rag_bench.dataset_item where dataset_id in "
            "(select id from rag_bench.dataset where kind = 'show_hide')"
        )
        connection.exec_driver_sql("delete from rag_bench.dataset where kind = 'show_hide'")
    one = ModelLists(MODELS.generation, [SHARP], MODELS.production_judges)
    result = free_world.run([ASSET], one, partition_key=SHARP)
    assert result.success, failure(result)
    [event] = materializations(result, ASSET)
    assert "never checked against people" in value(event.metadata, "remark")
    assert "label_kappa" not in event.metadata
    check = checks_of(result)["checked_against_people"]
    assert not check.passed
    assert check.severity.value == "WARN"
    assert value(check.metadata, "judges") == [SHARP]
