"""RAGAS over the small world: real database, encoder, client; the offline models answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from evaluated import OnDone, evaluated
from evaluation_calls import calls_of_evaluation
from small_world import ANSWERS, OFFLINE, World, failure, materializations
from sqlalchemy import text as sql
from world_data import CHUNKS, GOLD

from rag_bench.assembly import open_models
from rag_bench.assets.factories import tier_assets
from rag_bench.automation import range_tags
from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.llm.ragas import prompts
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.settings import get_settings
from rag_bench.store.evaluations import StoredEvaluation, cases_of, latest, model_runs
from rag_bench.tiers.answers.ragas import ragas_answer_tasks, ragas_context_tasks
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.registry import step_named

STRONG, WEAK = "simulator/sim-strong", "simulator/sim-weak"
SHARP, BLIND = "simulator/sim-judge-sharp", "simulator/sim-judge-blind"
FRAGILE = "simulator/sim-judge-fragile"
MODELS = ModelLists([STRONG, WEAK], [SHARP, BLIND], OFFLINE.production_judges)
N = len(GOLD)


def run_assets(world: World, names: Iterable[str], split: Any) -> dg.ExecuteInProcessResult:
    """Materialize our assets alone; what they depend on was recorded by the world's graph."""
    defs = dg.Definitions(
        assets=tier_assets.build(Partitions.of(MODELS)),
        resources={
            "database": DatabaseResource(),
            "benchmark": BenchmarkResource(),
            "models": ModelsResource(),
        },
        executor=dg.in_process_executor,
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=world.instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags=range_tags(split),
        raise_on_error=False,
    )


def bench_of(world: World, **given: Any) -> Bench:
    return BenchmarkResource(**given).open(world.engine, None)


def done(
    world: World, work: Callable[[Models, Callable[..., None]], Any]
) -> dict[Any, StoredEvaluation]:
    """Run cells with an open client; return what they gave by key."""
    found: dict[Any, StoredEvaluation] = {}

    async def main() -> None:
        async with open_models(get_settings(), world.engine) as models:
            await work(models, found.__setitem__)

    asyncio.run(main())
    return found


def value(evaluation: StoredEvaluation, name: str) -> float:
    return evaluation.metrics[name]["value"]


def test_the_assets_from_end_to_end_in_russian(free_world: World) -> None:
    world, splits = free_world, Partitions.of(MODELS)
    for asset in ANSWERS:
        answered = world.run([asset], MODELS, tags=range_tags(splits.generation))
        assert answered.success, failure(answered)
    steps = (
        (["tier2_ragas_scores", "tier3_ragas_scores"], splits.grid, 4),
        (["tier3_context_scores"], splits.benchmark_judges, 2),
    )
    for assets, split, n_cells in steps:
        result = run_assets(world, assets, split)
        assert result.success, failure(result)
        for asset in assets:
            assert len(materializations(result, asset)) == n_cells
    bench = bench_of(world)
    rows = [dict(r) for r in world.rows("select * from rag_bench.evaluation where kind = 'ragas'")]
    assert len(rows) == 4 + 4 + 2
    for row in rows:
        assert row["inputs"]["ragas_language"] == "ru"
        assert row["inputs"]["ragas_version"] == "0.4.3"
        assert row["prompt_hash"] == row["inputs"]["ragas_prompt_hash"] == prompts.prompt_hash("ru")
        assert row["settings_hash"] == bench.run.hash
        calls = calls_of_evaluation(world.engine, row["id"])
        assert len(calls) == row["inputs"]["calls"]["asked"] > N, "several calls a case"
        assert {call.made_for for call in calls} >= {"ragas_faithfulness"} or not (
            row["generation_model"]
        )
        names = RAGAS_ANSWER_NAMES if row["generation_model"] else RAGAS_CONTEXT_NAMES
        again = "ragas_asked_again_rate"
        again = again if row["generation_model"] else "ragas_context_asked_again_rate"
        assert set(row["metrics"]) == {*names, again}
        assert row["metrics"][again]["n_scored"] > 0
        for metric in (row["metrics"][name] for name in names):
            assert 0 <= metric["value"] <= 1
            assert metric["scale"] == [0, 1]
            assert 0 < metric["n_scored"] <= metric["n_expected"] <= N
            assert metric["ci_low"] is not None
        if row["generation_model"]:
            answers = latest(
                world.engine,
                tier=row["tier"],
                kind="answers",
                settings_hash=bench.run.hash,
                generation_model=row["generation_model"],
            )
            assert answers is not None
            assert row["inputs"]["answers_evaluation"] == answers.id
            assert row["inputs"]["answers_hash"] == answers.inputs["answers_hash"]
    # The better model is ahead, and two judges on one ledger say different things.
    by_models = {(r["tier"], r["generation_model"], r["benchmark_judge_model"]): r for r in rows}
    correct = {
        key: row["metrics"]["ragas_answer_correctness"]["value"]
        for key, row in by_models.items()
        if key[1]
    }
    assert correct["2", STRONG, SHARP] > correct["2", WEAK, SHARP] + 0.05
    assert correct["2", STRONG, SHARP] != correct["2", STRONG, BLIND]
    contexts = [by_models["3", None, judge]["metrics"] for judge in (SHARP, BLIND)]
    assert (
        contexts[0]["ragas_context_recall"]["value"] > contexts[1]["ragas_context_recall"]["value"]
    )
    # ragas' similarity is our own, by other code over the same vectors.
    ours = latest(
        world.engine,
        tier="2",
        kind="answers",
        settings_hash=bench.run.hash,
        generation_model=STRONG,
    )
    assert ours is not None
    theirs = by_models["2", STRONG, SHARP]["metrics"]["ragas_semantic_similarity"]["value"]
    assert theirs == pytest.approx(value(ours, "semantic_similarity"), abs=1e-6)
    # They meet in the join of the models.
    runs = model_runs(world.engine, bench.run.hash)
    assert len(runs) == 4
    for triple in runs:
        assert {*RAGAS_ANSWER_NAMES, *RAGAS_CONTEXT_NAMES} <= set(triple["metrics"]["tier_3"])
        assert set(RAGAS_ANSWER_NAMES) <= set(triple["metrics"]["tier_2"])
    # A rerun makes no calls and no second result.
    calls = world.count("llm_call")
    again = run_assets(world, *steps[0][:2])
    assert again.success, failure(again)
    assert (world.count("llm_call"), world.count("evaluation", "kind = 'ragas'")) == (calls, 10)
    # Without its evaluations all is counted anew, from the ledger alone.
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "delete from rag_bench.evaluation_case where evaluation_id in "
            "(select id from rag_bench.evaluation where kind = 'ragas')"
        )
        connection.exec_driver_sql("delete from rag_bench.evaluation where kind = 'ragas'")
    anew = done(
        world,
        lambda models, on_done: of_answers(
            bench, models, "2", [(STRONG, SHARP), (WEAK, BLIND)], on_done
        ),
    )
    assert world.count("llm_call") == calls
    for (generator, judge), made in anew.items():
        assert not made.reused
        assert made.metrics == by_models["2", generator, judge]["metrics"]


def of_answers(
    bench: Bench, models: Models, tier: str, pairs: Sequence[tuple[str, str]], on_done: OnDone
) -> Coroutine[Any, Any, None]:
    return evaluated(
        ragas_answer_tasks, bench, models, step_named(f"tier{tier}_ragas_scores"), pairs, on_done
    )


def of_contexts(
    bench: Bench, models: Models, judges: Sequence[str], on_done: OnDone
) -> Coroutine[Any, Any, None]:
    return evaluated(
        ragas_context_tasks, bench, models, step_named("tier3_context_scores"), judges, on_done
    )


def measures(made: StoredEvaluation) -> dict[str, Any]:
    """What was measured of cases: the share of replies asked again is one of replies."""
    return {n: metric for n, metric in made.metrics.items() if "asked_again" not in n}


@pytest.fixture
def english(free_world: World, tmp_path: Path) -> World:
    """The world with a dataset of its English questions, retrieved for."""
    lines = [
        json.dumps(
            {
                "id": f"q{number}",
                "question": question,
                "reference_answer": reference,
                "relevant": [{"page": CHUNKS[n][0], "text_contains": CHUNKS[n][1].split("\n")[0]}],
            }
        )
        for number, (question, reference, n) in enumerate(GOLD)
        if question.isascii()
    ]
    file = tmp_path / "english.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    for asset, ops in (
        ("manual_dataset", {"manual_dataset": {"paths": [str(file)], "name": "english"}}),
        ("tier1_retrieval", {}),
    ):
        made = free_world.run(
            [asset], benchmark={"dataset": "english"} if not ops else None, ops=ops
        )
        assert made.success, failure(made)
    return free_world


def test_english_questions_are_judged_by_english_prompts(english: World) -> None:
    from rag_bench.tiers.answers import answers

    bench = bench_of(english, dataset="english")
    assert len(bench.items) == 3

    async def work(models: Models, on_done: Callable[..., None]) -> None:
        await evaluated(
            answers.answer_tasks,
            bench,
            models,
            step_named("tier3_answers"),
            [STRONG],
            lambda *_: None,
        )
        await of_answers(bench, models, "3", [(STRONG, SHARP)], on_done)
        await of_contexts(bench, models, [SHARP], on_done)

    found = done(english, work)
    for made in found.values():
        assert made.inputs["ragas_language"] == "en"
        assert made.errors == {}
        assert all(m["n_scored"] == 3 for m in measures(made).values())
    # Each measure has its own judge's slips, but the best judge sees most of three.
    assert value(found[SHARP], "ragas_context_recall") > 0.5
    assert value(found[STRONG, SHARP], "ragas_answer_relevancy") > 0.8
    asked = [
        row["text"]
        for row in english.rows(
            "select request #>> '{messages,0,content}' as text from rag_bench.llm_call "
            "where role = 'benchmark_judge'"
        )
    ]
    assert asked
    for text in asked:
        words, task, given = text.partition(prompts.frame("en")["task"])
        assert given
        assert words.isascii()  # Russian may only be in what is asked about
        assert task


def test_the_language_is_part_of_the_address(
    free_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for language in ("auto", "ru", "en"):
        monkeypatch.setenv("RAG_BENCH_RAGAS_LANGUAGE", language)
        bench = bench_of(free_world, limit=2)
        if not found:
            made = free_world.run(["tier1_retrieval"], benchmark={"limit": 2})
            assert made.success, failure(made)
        found.append(
            done(free_world, lambda m, on_done, b=bench: of_contexts(b, m, [SHARP], on_done))[SHARP]
        )
    assert [each.inputs["ragas_language"] for each in found] == ["ru", "ru", "en"]
    assert found[0].id == found[1].id != found[2].id
    assert found[0].settings_hash == found[2].settings_hash


def test_nothing_retrieved_is_invalid_input_and_asks_nobody(
    free_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_RETRIEVAL_THRESHOLD", "0.9999")
    made = free_world.run(["tier1_retrieval"])
    assert made.success, failure(made)
    bench = bench_of(free_world)
    found = done(free_world, lambda m, on_done: of_contexts(bench, m, [SHARP], on_done))[SHARP]
    assert found.status == "failed"
    assert found.errors == {"INVALID_INPUT": N}
    for metric in measures(found).values():
        assert (metric["value"], metric["n_scored"], metric["n_expected"]) == (None, 0, N)
    assert free_world.count("llm_call") == 0
    tier1 = latest(free_world.engine, tier="1", kind="metrics", settings_hash=bench.run.hash)
    assert tier1 is not None
    assert tier1.metrics["id_based_context_precision"]["value"] is None
    assert tier1.metrics["id_based_context_recall"]["value"] == 0.0


def test_a_dead_judge_and_a_fragile_one_cost_their_own_cases_only(
    free_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_X_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    bench = bench_of(free_world)
    judges = ["x/dead", SHARP, FRAGILE]
    found = done(free_world, lambda m, on_done: of_contexts(bench, m, judges, on_done))
    dead, sharp, fragile = (found[judge] for judge in judges)
    assert dead.status == "failed"
    assert dead.errors == {"LLM_FAILED": N}
    assert dead.needs_retry
    assert sharp.errors == {}
    assert fragile.status == "partial"
    assert not fragile.needs_retry
    for case in cases_of(free_world.engine, fragile.id):
        missing = [n for n in RAGAS_CONTEXT_NAMES if case.scores.get(n) is None]
        assert bool(missing) == bool(case.error_code)
    scored = fragile.metrics["ragas_context_recall"]
    assert 0 < scored["n_scored"] < scored["n_expected"] == N
    assert scored["low_if_missing"] < scored["value"] < scored["high_if_missing"]
    # Again: the dead one is asked anew, the fragile one is not.
    calls = free_world.count("llm_call", "model <> 'dead'")
    again = done(free_world, lambda m, on_done: of_contexts(bench, m, judges, on_done))
    assert [again[judge].reused for judge in judges] == [False, True, True]
    assert free_world.count("llm_call", "model <> 'dead'") == calls


def test_tier_1_measures_the_chunks_given_by_identity(free_world: World) -> None:
    bench = bench_of(free_world)
    tier1 = latest(free_world.engine, tier="1", kind="metrics", settings_hash=bench.run.hash)
    assert tier1 is not None
    relevant = {item.item_id: set(item.chunk_hashes) for item in bench.items}
    n, precision, recall = bench.run.contexts_per_answer, [], []
    for case in cases_of(free_world.engine, tier1.id):
        first = [row["chunk_hash"] for row in case.retrieved[:n]]
        hits = sum(chunk in relevant[case.case_id] for chunk in first)
        precision.append(hits / len(first))
        recall.append(hits / len(relevant[case.case_id]))
    assert value(tier1, "id_based_context_precision") == pytest.approx(sum(precision) / N)
    assert value(tier1, "id_based_context_recall") == pytest.approx(sum(recall) / N)
    # With one relevant chunk each, they are the chunk level's at the same cutoff.
    assert value(tier1, "id_based_context_recall") == value(tier1, f"chunk_recall@{n}")


def test_an_answer_of_nothing_but_citations_harms_no_other(free_world: World) -> None:
    """Without its markers it is empty, and ragas would compare a blank in its place."""
    models = ModelLists(["simulator/extractive"], [SHARP], ["simulator/sim-gate-balanced"])
    made = free_world.run(["tier2_answers"], models)
    assert made.success, failure(made)
    with free_world.engine.begin() as connection:
        emptied = connection.execute(
            sql("update rag_bench.evaluation_case set answer = '' where case_id = 'вопрос-00'")
        )
    assert emptied.rowcount >= 1
    bench = bench_of(free_world)
    pair = ("simulator/extractive", SHARP)
    found = done(free_world, lambda m, on_done: of_answers(bench, m, "2", [pair], on_done))[pair]
    assert found.errors == {"INVALID_INPUT": 1}
    similarity = found.metrics["ragas_semantic_similarity"]
    assert (similarity["n_scored"], similarity["n_expected"]) == (N - 1, N)
