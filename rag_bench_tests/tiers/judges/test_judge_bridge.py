"""From one judge to the next over a real store: asset, plan, link, and what a comparison says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from small_world import World, failure
from world_data import GOLD, hash_of

from rag_bench.cli.judges.bridge import _plan
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists
from rag_bench.reporting.bridges import detail_between
from rag_bench.reporting.compared.comparing import Terms, compare
from rag_bench.resources import BenchmarkResource
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations.bridges import bridge_between
from rag_bench.tiers.judges.bridge import NothingToBridgeError, span_of

OLD, NEW = "simulator/sim-judge-sharp", "simulator/sim-judge-lenient"
CORRECT = "rubric_answer_correctness"
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
    assert one["link"] is None, "five pages link nothing"
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


def test_what_the_old_judge_scored_is_held_against_the_new_ones_over_the_bridge(
    world: World,
) -> None:
    """Three times the questions, each its own evidence: a model against itself by two judges is
    no worse for the judge; a weak one is worse, as the new judge says of both itself.
    """
    items = [
        Item(f"q{n}-{turn}", f"{question} ({turn})", reference, (hash_of(chunk),))
        for n, (question, reference, chunk) in enumerate(GOLD)
        for turn in range(3)
    ]
    save_dataset(world.engine, "bridge", "manual", items)
    asked = {"dataset": "bridge"}
    both = ModelLists(GENERATORS, [OLD, NEW], offline.PRODUCTION_JUDGES)
    only_old = ModelLists(GENERATORS, [OLD], offline.PRODUCTION_JUDGES)
    assert world.run(["tier2_answers"], only_old, benchmark=asked).success
    scored = world.run(["tier2_scores"], only_old, tags=_range(only_old), benchmark=asked)
    assert scored.success, failure(scored)
    ends = {"judge_bridge": {"old": OLD, "new": NEW}}
    built = world.run(["judge_bridge"], both, ops=ends, benchmark=asked)
    assert built.success, failure(built)
    link = bridge_between(world.engine, OLD, NEW).inputs["result"]["metrics"][f"tier_2.{CORRECT}"]  # type: ignore[union-attr]
    assert (link["n_pages"], link["link"] is not None) == (len(items), True)
    of = {
        (row["generation_model"], row["benchmark_judge_model"]): str(row["id"])
        for row in world.rows(
            "select generation_model, benchmark_judge_model, max(id) as id "
            "from rag_bench.evaluation where tier = '2' and kind = 'scores' group by 1, 2"
        )
    }
    strong, weak = GENERATORS
    terms = Terms(metrics=[CORRECT])
    [same] = compare(world.engine, of[strong, OLD], of[strong, NEW], terms).metrics
    [worse] = compare(world.engine, of[strong, OLD], of[weak, NEW], terms).metrics
    [by_one] = compare(world.engine, of[strong, NEW], of[weak, NEW], terms).metrics
    assert same.decision.word != "got worse", same
    assert same.a is not None
    own = same.as_json()["across_bridge"]["own_mean"]  # type: ignore[index]
    made = link["link"]
    assert same.a == pytest.approx(made["intercept"] + made["slope"] * own, abs=1e-4)
    assert (worse.carried is not None, by_one.carried) == (True, None)
    assert by_one.decision.word == "got worse", by_one
    assert worse.decision.word == "got worse", worse
    found, truth = worse.comparison.difference, by_one.comparison.difference
    assert truth.value is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= truth.value <= found.ci_high


def _range(models: ModelLists) -> dict[str, str]:
    from rag_bench.automation import range_tags
    from rag_bench.partitions import Partitions

    return range_tags(Partitions.of(models).grid)
