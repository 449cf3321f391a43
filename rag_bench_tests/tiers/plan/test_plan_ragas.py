"""RAGAS in a plan: in lines like all else, with what follows an unanswered request at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from small_world import RAGAS, World, failure, materializations, value
from world_data import GOLD

from rag_bench.automation import stages
from rag_bench.definitions import build_defs
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.ragas.expected import expected_prompts
from rag_bench.llm.ragas.metrics import Sample
from rag_bench.llm.transport.records import CHARS_PER_TOKEN
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.resources import BenchmarkResource
from rag_bench.tiers.answers.ragas import ANSWERS, CONTEXTS
from rag_bench.tiers.plan.lines import Plan, PlanLine
from rag_bench.tiers.plan.plan import plan_sweep
from rag_bench.tiers.stages import RELEASE

GENERATOR, JUDGE = "simulator/sim-strong", "simulator/sim-judge-sharp"
MODELS = ModelLists([GENERATOR], [JUDGE], ["simulator/sim-gate-balanced"])
CONTEXT_SCORES = "tier3_context_scores"
N = len(GOLD)
#: Faithfulness 2, answer relevancy 3, answer correctness 3.
PER_ANSWER = 8


def plan(world: World, tiers: Sequence[str] = ("2", "3"), *, ragas: bool = True) -> Plan:
    bench = BenchmarkResource().open(world.engine, None)
    return asyncio.run(
        plan_sweep(
            bench,
            Providers({}),
            16,
            [GENERATOR],
            [JUDGE],
            [],
            tiers,
            options=["ragas"] if ragas else [],
        )
    )


def lines_of(made: Plan) -> dict[str, PlanLine]:
    return {line.asset: line for line in made.lines}


def test_it_is_planned_before_anything_is_answered(free_world: World) -> None:
    lines = lines_of(plan(free_world))
    for asset in RAGAS:
        # Nothing is answered yet, so all of it depends on what will be.
        assert (lines[asset].n_to_send, lines[asset].n_unknown) == (0, PER_ANSWER * N)
        assert lines[asset].prompt_tokens > 0
    contexts = BenchmarkResource().open(free_world.engine, None).run.contexts_per_answer
    of_contexts = lines[CONTEXT_SCORES]
    # Retrieval is there: the first verdict of each question, and all of recall, are known.
    assert of_contexts.n_requests == N * (contexts + 1)
    assert of_contexts.n_to_send == 2 * N
    assert of_contexts.n_unknown == N * (contexts - 1)
    # Without RAGAS no line is of it; with it, the sums are known as without it.
    without = plan(free_world, ragas=False)
    assert not {*RAGAS, CONTEXT_SCORES} & set(lines_of(without))
    assert plan(free_world).cost_usd == without.cost_usd == 0
    assert free_world.count("llm_call") == 0
    assert set(lines_of(plan(free_world, ["2"]))) == {
        "tier2_answers", "tier2_scores", "tier2_ragas_scores",
    }  # fmt: skip


def test_what_it_says_is_what_is_asked_at_most(free_world: World) -> None:
    for asset in ("tier2_answers", "tier3_answers"):
        made = free_world.run([asset], MODELS)
        assert made.success, failure(made)
    before = lines_of(plan(free_world))
    stored = free_world.count("embedding")
    n_first, n_sent = 0, 0
    for asset in (*RAGAS, CONTEXT_SCORES):
        asked = free_world.count("llm_call")
        made = free_world.run([asset], MODELS)
        assert made.success, failure(made)
        sent = free_world.count("llm_call") - asked
        line = before[asset]
        assert 0 < sent <= line.n_to_send + line.n_unknown
        # What two assets ask alike is sent for the first of them.
        n_first, n_sent = n_first + line.n_to_send, n_sent + sent
        assert 0 < n_first <= n_sent
        if asset == RAGAS[0]:
            # An estimate, and of the right size: no judge was asked for anything else so far.
            [row] = free_world.rows(
                "select sum(length(request #>> '{messages,0,content}')) as n "
                "from rag_bench.llm_call where role = 'benchmark_judge'"
            )
            assert 0.5 < line.prompt_tokens * CHARS_PER_TOKEN / float(row["n"]) < 2
    encoded = free_world.count("embedding")
    assert encoded > stored  # the judge's questions
    after = plan(free_world)
    assert [(line.n_to_send, line.n_unknown) for line in after.lines if "ragas" in line.asset] == [
        (0, 0), (0, 0),
    ]  # fmt: skip
    assert lines_of(after)[CONTEXT_SCORES].n_in_ledger > 0
    # A plan goes on with replies, but encodes nothing.
    with free_world.engine.begin() as connection:
        connection.exec_driver_sql("delete from rag_bench.embedding")
    assert lines_of(plan(free_world, ["2"]))["tier2_ragas_scores"].n_to_send == 0
    assert free_world.count("embedding") == 0


@pytest.mark.parametrize("metric", [*ANSWERS.metrics, *CONTEXTS.metrics])
def test_longer_texts_make_longer_prompts_and_more_contexts_more(metric: str) -> None:
    short = Sample("Когда?", "Завтра.", ["Завтра открыто."], "Завтра.")
    long = Sample("Когда? " * 9, "Завтра. " * 9, ["Завтра открыто. " * 9] * 3, "Завтра. " * 9)
    few, many = (expected_prompts("ru", metric, sample) for sample in (short, long))
    assert all(b > a for a, b in zip(few, many, strict=False))
    assert len(many) == (3 if metric == "context_precision" else len(few))


def test_an_unknown_metric_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="no such metric"):
        expected_prompts("ru", "elegance", Sample("Когда?"))


def test_the_weekly_plan_counts_every_stage_that_pays(free_world: World) -> None:
    """It promises what the stages below ask; RAGAS, which asks most, was once left out."""
    weekly = build_defs(MODELS).resolve_job_def("plan").run_config["ops"]["sweep_plan"]["config"]
    result = free_world.run(["sweep_plan"], MODELS, ops={"sweep_plan": weekly})
    assert result.success, failure(result)
    [made] = materializations(result, "sweep_plan")
    planned = {line["asset"] for line in value(made.metadata, "plan")["lines"]}
    # A gate asks again only where it would block, which no plan can know; it says its price itself.
    paid = {
        asset
        for stage in stages(Partitions.of(MODELS))
        if stage.pays and stage.name != RELEASE.name
        for asset in stage.assets
    }
    assert "tier2_ragas_scores" in paid
    assert planned == paid
