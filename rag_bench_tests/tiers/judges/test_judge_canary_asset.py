"""The canary from the Dagster UI and by its command: green when there is nothing to ask yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from small_world import World, checks_of, failure

from rag_bench.automation import range_tags
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists, Partitions

JUDGE = "simulator/sim-judge-steady"
MODELS = ModelLists(["simulator/sim-strong"], [JUDGE], offline.PRODUCTION_JUDGES)
TAGS = range_tags(Partitions.of(MODELS).benchmark_judges)


@pytest.fixture(scope="module")
def scored(
    server: Any, free_part: Any, world_data: Any, quick_encoder: None, tmp_path_factory: Any
) -> Iterator[World]:
    from small_world import opened_world

    reports = tmp_path_factory.mktemp("reports")
    with opened_world(server, free_part.database, world_data, reports) as world:
        yield world


def newest(world: World) -> dict[str, Any]:
    import dagster as dg

    event = world.instance.get_latest_materialization_event(dg.AssetKey("judge_canary"))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization
    assert found.partition == JUDGE
    return {name: value.value for name, value in found.metadata.items()}


def test_nothing_to_ask_yet_is_green_and_said_then_a_canary_is_asked(scored: World) -> None:
    result = scored.run(["judge_canary"], MODELS, tags=TAGS)
    assert result.success, failure(result)
    assert checks_of(result)["judges_are_unchanged"].passed
    assert "nothing to ask again yet" in newest(scored)["note"]

    made = scored.run(["benchmark_judge_quality"], MODELS, tags=TAGS)
    assert made.success, failure(made)
    calls = scored.count("llm_call")
    result = scored.run(["judge_canary"], MODELS, tags=TAGS, ops={"judge_canary": {"cases": 10}})
    assert result.success, failure(result)
    found = newest(scored)
    assert found["outcome"] == "unchanged"
    assert found["can_see"]
    assert found["calls_sent"] == 20
    assert scored.count("llm_call") == calls + 20
    assert checks_of(result)["judges_are_unchanged"].passed
    metadata = checks_of(result)["judges_are_unchanged"].metadata
    assert json.loads(json.dumps(metadata["changed"].value)) == []
