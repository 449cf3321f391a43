"""The assets of a user's metrics: each cell beside its answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
from own_metrics_world import FUNCTIONS, GENERATORS, MODELS, N
from small_world import ANSWERS, World, checks_of, failure, materializations

from rag_bench.assets.factories import tier_assets
from rag_bench.automation import range_tags
from rag_bench.evaluation.metrics.text_overlap import text_overlap
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.store import evaluations
from rag_bench.tiers.answers.earlier import answers_of

# --- the assets -------------------------------------------------------------------------------


def run_assets(world: World, keys: Sequence[str] = GENERATORS) -> dg.ExecuteInProcessResult:
    partitions = Partitions.of(MODELS)
    own = [dg.AssetKey(f"tier{tier}_custom_metrics") for tier in "23"]
    defs = dg.Definitions(
        assets=tier_assets.build(partitions),
        resources={
            "database": DatabaseResource(),
            "benchmark": BenchmarkResource(),
            "models": ModelsResource(),
        },
    )
    subset = dg.StaticPartitionsDefinition(list(keys))
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=world.instance,
        asset_selection=own,
        tags=range_tags(subset),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def test_the_assets_record_each_cell_beside_its_answers(
    free_world: World, functions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = free_world
    made = answered.run(ANSWERS, MODELS)
    assert made.success, failure(made)
    nothing = run_assets(answered)
    assert nothing.success, failure(nothing)
    assert answered.count("evaluation", "kind = 'custom'") == 0
    [first, second] = materializations(nothing, "tier2_custom_metrics")
    assert (first.partition, second.partition) == GENERATORS
    assert "Nothing is configured" in str(first.metadata["note"].value)
    assert checks_of(nothing)["models_are_measured_alike"].passed

    monkeypatch.setenv("RAG_BENCH_CUSTOM_METRICS", f"seen={functions}:seen")
    monkeypatch.setenv("RAG_BENCH_BERTSCORE_MODEL", "encoder")
    monkeypatch.setenv("RAG_BENCH_BERTSCORE_LAYERS", "4")
    done = run_assets(answered)
    assert done.success, failure(done)
    for tier in ("2", "3"):
        cells = materializations(done, f"tier{tier}_custom_metrics")
        assert [cell.partition for cell in cells] == list(GENERATORS)
        answers = answered.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                dg.AssetKey(f"tier{tier}_answers"), asset_partitions=[GENERATORS[1]]
            ),
            limit=1,
        ).records[0]
        tags = cells[1].tags or {}
        event = answers.asset_materialization
        assert event
        assert (
            tags[f"dagster/input_data_version/tier{tier}_answers"]
            == (event.tags or {})["dagster/data_version"]
        )
        for name in ("seen", "bertscore_precision", "bertscore_recall", "bertscore_f1"):
            assert isinstance(cells[1].metadata[name].value, float)
    # The better the words agree, the higher the score: hand-made order of two answers.
    bench = BenchmarkResource().open(answered.engine, None)
    found = {
        tier: evaluations.latest(
            answered.engine,
            tier=tier,
            kind="custom",
            settings_hash=bench.run.hash,
            generation_model=GENERATORS[0],
        )
        for tier in ("2", "3")
    }
    for tier, one in found.items():
        assert one
        answers, given = answers_of(bench, tier, GENERATORS[0])
        assert one.inputs["answers_evaluation"] == answers.id
        for case in evaluations.cases_of(answered.engine, one.id):
            item = next(item for item in bench.items if item.item_id == case.case_id)
            same = text_overlap(str(given[case.case_id].answer), str(item.reference_answer))
            assert (case.scores["bertscore_f1"] > 0.9999) == (same["chrf"] == 100)
    rows = evaluations.model_runs(answered.engine, bench.run.hash)
    assert {row["generation_model"] for row in rows} == set(GENERATORS)
    for row in rows:
        for tier in ("tier_2", "tier_3"):
            assert row["metrics"][tier]["bertscore_f1"]["n_expected"] == N
            assert row["metrics"][tier]["rougeL_f"]["n_expected"] == N
    assert answered.count("llm_call", "role <> 'generation'") == 0

    # One model measured by another version of the file: the check names the others.
    functions.write_text(FUNCTIONS + "\n# changed\n", encoding="utf-8")
    again = run_assets(answered, GENERATORS[:1])
    check = checks_of(again)["models_are_measured_alike"]
    assert not check.passed
    assert check.metadata["to_be_measured_again"].value == [GENERATORS[1]]


def test_a_bad_setting_fails_the_step_with_its_words(
    answered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_CUSTOM_METRICS", "rougeL_f=a.b:c")
    result = run_assets(answered)
    assert not result.success
    assert "is the name of a metric of rag_bench" in failure(result)
    assert answered.count("evaluation", "kind = 'custom'") == 0
