"""From one judge to the next over a real store: asset, plan, link, and what a comparison says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from small_world import World, failure

from rag_bench.cli.judges.bridge import _plan
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists
from rag_bench.reporting.bridges import crossed, detail_between
from rag_bench.resources import BenchmarkResource
from rag_bench.store.evaluations.bridges import bridge_between
from rag_bench.tiers.judges.bridge import NothingToBridgeError, span_of

OLD, NEW = "simulator/sim-judge-sharp", "simulator/sim-judge-lenient"
GENERATORS = ["simulator/sim-strong", "simulator/sim-weak"]
MODELS = ModelLists(GENERATORS, [OLD, NEW], offline.PRODUCTION_JUDGES)


@pytest.fixture(scope="module")
def world(
    server: Any, free_part: Any, world_data: Any, quick_encoder: None, tmp_path_factory: Any
) -> Iterator[World]:
    from small_world import opened_world

    reports = tmp_path_factory.mktemp("reports")
    with opened_world(server, free_part.database, world_data, reports) as world:
        yield world


def test_a_bridge_rejudges_what_there_is_links_the_means_and_marks_comparisons(
    world: World,
) -> None:
    result = world.run(["judge_bridge"], MODELS)
    assert result.success, failure(result)
    bench = BenchmarkResource().open(world.engine, None)
    with pytest.raises(NothingToBridgeError, match="sweep with it first"):
        span_of(bench, OLD, NEW)
    only_old = ModelLists(GENERATORS, [OLD], offline.PRODUCTION_JUDGES)
    assert world.run(["tier2_answers"], only_old).success
    scored = world.run(["tier2_scores"], only_old, tags=_range(only_old))
    assert scored.success, failure(scored)
    span = span_of(bench, OLD, NEW)
    assert span.steps == {"tier2_scores": GENERATORS}
    said = detail_between(world.engine, OLD, NEW)
    assert said is not None
    assert "rag-bench judge-bridge" in said["unknown"]

    plan = asyncio.run(_plan(bench, span))
    calls = world.count("llm_call")
    assert plan.n_to_send > 0
    config = {"judge_bridge": {"old": OLD, "new": NEW}}
    result = world.run(["judge_bridge"], MODELS, ops=config)
    assert result.success, failure(result)
    asked = world.count("llm_call") - calls
    # A judge whose reply cannot be read is asked once more, which a plan cannot know.
    assert plan.n_to_send <= asked <= 1.5 * plan.n_to_send
    found = bridge_between(world.engine, OLD, NEW)
    assert found is not None
    metrics = found.inputs["result"]["metrics"]
    one = metrics["tier_2.rubric_answer_correctness"]
    assert one["standings"][0]["model"] == GENERATORS[0]
    assert one["shift"]["value"] > 0, "the new judge is lenient"
    by_hand = [row["new"] - row["old"] for row in one["standings"]]
    assert min(by_hand) <= one["shift"]["value"] <= max(by_hand)
    if one["link"]:
        mean = one["standings"][0]["old"]
        value, low, high = crossed(
            world.engine, OLD, NEW, "tier_2.rubric_answer_correctness", mean
        ) or (0, 0, 0)
        assert low <= value <= high
    said = detail_between(world.engine, NEW, OLD)
    assert said is not None
    assert said["bridge"]["from"] == OLD
    assert any("shift" in line for line in said["links"])

    again = world.run(["judge_bridge"], MODELS, ops=config)
    assert again.success
    assert world.count("llm_call") == calls + asked, "it costs nothing twice"
    newest = bridge_between(world.engine, OLD, NEW)
    assert newest is not None
    assert newest.id == found.id


def _range(models: ModelLists) -> dict[str, str]:
    from rag_bench.automation import range_tags
    from rag_bench.partitions import Partitions

    return range_tags(Partitions.of(models).grid)
