"""A sweep in this process: its stages, and what it says when one of them fails."""

from __future__ import annotations

import sys

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from small_world import OFFLINE, World
from sqlalchemy import text
from world_data import GOLD

from rag_bench.definitions import build_defs
from rag_bench.errors import ConfigurationError, DumpError, RagBenchError
from rag_bench.partitions import ModelLists
from rag_bench.resources import PROCESS_TAG
from rag_bench.sweep import StageResult, Sweep, SweepRequest, _root_message
from rag_bench.tiers.registry import parse_tiers

MODELS = ModelLists(
    ["simulator/sim-strong", "simulator/sim-weak"],
    ["simulator/sim-judge-sharp"],
    ["simulator/sim-gate-balanced"],
)


class OwnError(RagBenchError):
    """Of a class that stands nowhere else."""


BASE = "embeddings, datasets, retrieval"


def run(
    world: World, models: ModelLists, tiers: str = "all", **benchmark: object
) -> tuple[list[StageResult], list[str]]:
    said: list[str] = []
    request = SweepRequest(models, parse_tiers(tiers), benchmark)
    return Sweep(world.instance, models).run(request, said.append), said


def test_parse_tiers() -> None:
    assert (
        parse_tiers("all")
        == parse_tiers("1, all")
        == {*("0", "1", "2", "3", "judge", "judge_pipeline", "ux")}
    )
    assert parse_tiers(" 0,3 ,judge_pipeline,") == {"0", "3", "judge_pipeline"}
    for bad, said in (("4", "4"), ("1,два", "два"), ("", "none given"), (" , ", "none given")):
        with pytest.raises(ConfigurationError, match=f"No such tier.*{said}"):
            parse_tiers(bad)


def test_the_free_tiers_ask_nobody(free_world: World) -> None:
    results, said = run(free_world, MODELS, "0,1")
    assert [(r.name, r.errors) for r in results] == [(BASE, ())]
    assert said == [BASE]
    assert free_world.count("llm_call") == 0


def test_retrievers_are_measured_and_compared_if_that_is_asked_for(free_world: World) -> None:
    said: list[str] = []
    request = SweepRequest(MODELS, parse_tiers("1"), {"limit": 3}, frozenset({"all_retrievers"}))
    results = Sweep(free_world.instance, MODELS).run(request, said.append)
    assert [result.errors for result in results] == [()] * 3
    assert said == [BASE, "retrievers", "comparison of retrievers"]
    assert free_world.count("evaluation", "tier = 'retrieval_costs'") == 5
    assert free_world.count("llm_call") == 0


def test_all_tiers_end_with_the_leaderboard(free_world: World) -> None:
    results, said = run(free_world, MODELS, limit=4)
    assert [r.errors for r in results] == [()] * 6
    assert (
        said
        == [r.name for r in results]
        == [
            BASE,
            "answers",
            "scores",
            "benchmark judges",
            "production judges",
            "leaderboard and report",
        ]
    )
    assert all(r.seconds > 0 for r in results)
    assert free_world.count("model_runs") == 2
    assert len(list(free_world.reports.glob("rag_benchmark_*.html"))) == 1
    # Nothing that these are made from is missing, which a click would be asked about.
    graph = build_defs(MODELS).resolve_asset_graph()
    for name in ("leaderboard", "benchmark_report"):
        for key in graph.get(dg.AssetKey(name)).parent_keys:
            assert free_world.instance.get_latest_materialization_event(key), key
    # One run of Dagster per stage, over all its cells.
    runs = free_world.instance.get_runs()
    assert sorted(r.tags["rag_bench/stage"] for r in runs) == sorted(said)
    cells = {
        row["dagster_run_id"]
        for row in free_world.rows(
            "select dagster_run_id from rag_bench.evaluation where kind = 'answers'"
        )
    }
    assert len(cells) == 1


def test_one_tier_only(free_world: World) -> None:
    results, said = run(free_world, MODELS, "judge_pipeline")
    assert [r.errors for r in results] == [(), ()]
    assert said == [BASE, "production judges"]
    assert free_world.count("evaluation", "tier = 'judge_pipeline'") == 1
    assert free_world.count("llm_call", "role <> 'production_judge'") == 0


def test_dead_cells_do_not_stop_the_others(
    free_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_GONE_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("PROVIDER_GONE_API_KEY", "k")
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    models = ModelLists(
        ["gone/модель", "simulator/sim-weak"],
        ["simulator/sim-judge-sharp"],
        ["simulator/sim-gate-balanced"],
    )
    results, _ = run(free_world, models, "2,judge_pipeline")
    by_name = {r.name: " ".join(r.errors) for r in results}
    assert f"gone/модель (LLM_FAILED {len(GOLD)})" in by_name["answers"]
    assert "There are no tier 2 answers of gone/модель" in by_name["scores"]
    assert by_name["production judges"] == by_name["leaderboard and report"] == ""
    [row] = free_world.rows("select * from rag_bench.model_runs")
    assert row["generation_model"] == "simulator/sim-weak"
    assert row["metrics"]["tier_2"]["rubric_faithfulness"]["n_scored"] == len(GOLD)


def test_a_stage_that_all_need_stops_the_sweep_with_one_message(empty_world: World) -> None:
    results, said = run(empty_world, MODELS)
    assert said == [BASE]
    assert results[0].errors
    for message in results[0].errors:
        assert "rag_bench.errors" not in message
        assert "Traceback" not in message
    assert any("load-dump" in message for message in results[0].errors)


def test_a_failed_check_is_said(free_world: World) -> None:
    """A warning is for the UI; a number outside its scale is an error of the sweep."""
    with free_world.engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.evaluation_case "
                "set scores = jsonb_set(scores, '{chunk_mrr}', '1.5') where case_id = 'вопрос-01'"
            )
        )
    results, _ = run(free_world, MODELS, "1,judge_pipeline")
    assert [r.errors for r in results] == [
        (
            "The check measures_are_within_their_scale of tier1_retrieval failed: "
            "1 of 420 values outside 0 to 1.",
        )
    ]


def test_only_the_chosen_models_are_cells(free_world: World) -> None:
    run(free_world, MODELS, "2", limit=2)
    found = free_world.rows("select distinct generation_model as g from rag_bench.evaluation")
    assert {row["g"] for row in found} - {None} == set(MODELS.generation)
    assert set(MODELS.generation) < set(OFFLINE.generation)


def test_the_runs_of_commands_are_the_ui_s(free_world: World) -> None:
    """Timeline and Jobs show runs by code location and job; without an origin, none."""
    run(free_world, MODELS, "2", limit=2)
    runs = {r.tags["rag_bench/stage"]: r for r in free_world.instance.get_runs()}
    jobs = {stage: r.job_name for stage, r in runs.items()}
    assert jobs == {
        BASE: "refresh",
        "answers": "answers",
        "scores": "scores",
        "leaderboard and report": "report",
    }
    here = dg.RunsFilter(tags={".dagster/repository": "__repository__@rag_bench"})
    assert free_world.instance.get_runs_count(here) == len(runs)
    for one in runs.values():
        assert one.remote_job_origin
        assert one.remote_job_origin.job_name == one.job_name
        shown = {name for name in one.tags if not name.startswith(".dagster/")}
        assert "rag_bench/process" not in shown
        assert PROCESS_TAG in one.tags


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigurationError("RuntimeError: is a word here"), "RuntimeError: is a word here"),
        (DumpError("cut off: at line 3"), "cut off: at line 3"),
        (OwnError("of a class that nothing lists"), "of a class that nothing lists"),
        (ValueError("of others"), "ValueError: of others"),
    ],
)
def test_errors_are_known_by_their_class(error: Exception, said: str) -> None:
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("what Dagster wraps it in") from cause
    except RuntimeError:
        assert _root_message(serializable_error_info_from_exc_info(sys.exc_info())) == said
