"""The calibration of judges from the Dagster UI: green without labels, figures with them."""

from __future__ import annotations

from typing import Any

import dagster as dg
from labelled_answers import label_answers
from small_world import ANSWERS, SCORES, World, checks_of, failure

from rag_bench.automation import range_tags
from rag_bench.evaluation.catalogue import known
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists, Partitions

JUDGE = "simulator/sim-judge-sharp"
MODELS = ModelLists(["simulator/sim-strong"], [JUDGE], offline.PRODUCTION_JUDGES)
TAGS = range_tags(Partitions.of(MODELS).benchmark_judges)


def _newest(world: World) -> dict[str, Any]:
    event = world.instance.get_latest_materialization_event(dg.AssetKey("judge_calibration"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == JUDGE
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_without_labels_it_is_green_and_says_what_to_do_then_labels_give_figures(
    free_world: World,
) -> None:
    world = free_world
    result = world.run(["judge_calibration"], MODELS, tags=TAGS)
    assert result.success, failure(result)
    assert "rag-bench label draw" in _newest(world)["note"]
    for stage in (ANSWERS, SCORES):
        made = world.run(stage, MODELS)
        assert made.success, failure(made)
    n_labels = label_answers(world.engine)
    calls = world.count("llm_call")
    result = world.run(["judge_calibration"], MODELS, tags=TAGS)
    assert result.success, failure(result)
    assert "judges_err_alike_on_all_models" in checks_of(result)
    assert world.count("llm_call") == calls, "it asks no model"
    shown = _newest(world)
    assert shown["n_labels"] == n_labels > 0
    [stored] = world.rows(
        "select metrics, inputs from rag_bench.evaluation where tier = 'judge_calibration'"
    )
    assert stored["metrics"]["calibration_true_positive"]["n_expected"] == n_labels
    undeclared = [name for name in stored["metrics"] if known(name) is None]
    assert undeclared == []
    again = world.run(["judge_calibration"], MODELS, tags=TAGS)
    assert again.success
    assert world.count("evaluation", "tier = 'judge_calibration'") == 1
