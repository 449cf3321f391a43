"""What each partition was made from, and that one run records its cells one by one."""

from __future__ import annotations

import itertools

import dagster as dg
import pytest
from small_world import OFFLINE, Done, World, failure, materializations, value

from rag_bench.partitions import cell_key

PAIRS = list(itertools.product(OFFLINE.generation, OFFLINE.benchmark_judges))


def tags(event: dg.AssetMaterialization, name: str) -> str | None:
    return (event.tags or {}).get(f"dagster/{name}")


@pytest.mark.parametrize("tier", ["2", "3"])
def test_a_range_gives_one_materialization_per_cell(whole_graph: Done, tier: str) -> None:
    _, answers, scores, *_ = (None, *whole_graph.results)
    made = materializations(answers, f"tier{tier}_answers")
    assert sorted(str(m.partition) for m in made) == sorted(OFFLINE.generation)
    scored = materializations(scores, f"tier{tier}_scores")
    assert {str(m.partition) for m in scored} == {str(cell_key(*pair)) for pair in PAIRS}
    assert len(scored) == len(PAIRS)


@pytest.mark.parametrize("tier", ["2", "3"])
def test_scores_name_the_very_answers_they_are_about(whole_graph: Done, tier: str) -> None:
    answers, scores = whole_graph.results[:2]
    version_of = {
        str(m.partition): tags(m, "data_version")
        for m in materializations(answers, f"tier{tier}_answers")
    }
    assert len(set(version_of.values())) == len(OFFLINE.generation)
    for event in materializations(scores, f"tier{tier}_scores"):
        generator = value(event.metadata, "generation_model")
        assert tags(event, "data_version")
        assert tags(event, f"input_data_version/tier{tier}_answers") == version_of[generator]
        assert cell_key(generator, value(event.metadata, "benchmark_judge_model")) == str(
            event.partition
        )
    assert len({tags(m, "data_version") for m in materializations(scores, f"tier{tier}_scores")}
    ) == len(PAIRS)  # fmt: skip


def test_versions_say_which_code_and_prompt_made_them(whole_graph: Done) -> None:
    answers, scores, production = whole_graph.results[:3]
    codes = {
        name: {tags(event, "code_version") for event in materializations(result, name)}
        for result, name in (
            (answers, "tier2_answers"),
            (scores, "tier2_scores"),
            (scores, "tier3_scores"),
            (production, "production_judge_scores"),
        )
    }
    assert all(len(found) == 1 and None not in found for found in codes.values())
    assert len(set.union(*codes.values())) == 4  # four prompts


def test_checks_of_partitioned_assets_are_evaluated(whole_graph: Done) -> None:
    """A check that is a step after such an asset would be skipped: the step has no output."""
    found = [
        (event.asset_check_evaluation_data.asset_key.path[-1], event.asset_check_evaluation_data)
        for result in whole_graph.results
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    names = {(asset, check.check_name) for asset, check in found}
    assert names == {
        ("tier2_answers", "text_measures_read_russian"),
        ("tier3_answers", "text_measures_read_russian"),
        ("tier2_scores", "judge_prompts_hold_question_and_answer"),
        ("tier3_scores", "judge_prompts_hold_question_and_answer"),
        ("tier2_scores", "replies_are_readable"),
        ("tier3_scores", "replies_are_readable"),
        ("production_judge_scores", "replies_are_readable"),
        ("model_runs", "every_cell_is_measured"),
        ("model_runs", "judges_are_examined_alike"),
    }
    for asset, check in found:
        if check.check_name != "replies_are_readable":
            assert check.passed, (asset, check.check_name)
    for result in whole_graph.results:
        assert not [e for e in result.all_events if e.event_type_value == "STEP_SKIPPED"]


def test_one_partition_can_be_run_by_itself(free_world: World) -> None:
    result = free_world.run(["tier2_answers"], partition_key="simulator/extractive")
    assert result.success, failure(result)
    [event] = materializations(result, "tier2_answers")
    assert event.partition == "simulator/extractive"
    key = cell_key("simulator/extractive", "simulator/sim-judge-sharp")
    scored = free_world.run(["tier2_scores"], partition_key=key)
    assert scored.success, failure(scored)
    [cell] = materializations(scored, "tier2_scores")
    assert tags(cell, "input_data_version/tier2_answers") == tags(event, "data_version")


@pytest.mark.parametrize(
    ("asset", "key"),
    [
        ("tier2_answers", "simulator/нет-такой"),
        ("tier3_scores", str(cell_key("simulator/extractive", "openrouter/вчерашний:free"))),
        ("production_judge_scores", "simulator/sim-strong"),
    ],
)
def test_an_unknown_partition_is_a_clear_error(free_world: World, asset: str, key: str) -> None:
    try:
        result = free_world.run([asset], partition_key=key)
        words = failure(result)
        assert not result.success
    except dg.DagsterError as error:  # some are caught by Dagster before the run
        words = str(error)
    assert key.split("|")[0] in words
    assert free_world.count("llm_call") == 0


def test_the_run_is_written_beside_every_evaluation(done_world: World, whole_graph: Done) -> None:
    runs = {result.run_id for result in whole_graph.results[:3]}
    rows = done_world.rows(
        "select dagster_run_id, dataset_id, dump_sha256, settings_hash, prompt_hash, "
        "code_version, embedding_model from rag_bench.evaluation where tier not in ('0', '1')"
    )
    assert {row["dagster_run_id"] for row in rows} == runs
    assert all(content for row in rows for content in row.values())
    called = done_world.rows("select distinct dagster_run_id as run from rag_bench.llm_call")
    assert {row["run"] for row in called} == runs


def test_a_cell_says_what_it_asked(whole_graph: Done) -> None:
    answers, scores = whole_graph.results[:2]
    for result, name in ((answers, "tier2_answers"), (scores, "tier2_scores")):
        for event in materializations(result, name):
            asked, *parts = (
                value(event.metadata, f"calls_{part}")
                for part in ("asked", "sent", "from_ledger", "shared")
            )
            assert asked == sum(parts) > 0
            assert (value(event.metadata, "prompt_tokens") > 0) == (parts[0] > 0)
