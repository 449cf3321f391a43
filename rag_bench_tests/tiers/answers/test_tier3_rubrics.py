"""Tier 3 by all rubrics, when the run's settings ask for it."""

from __future__ import annotations

import asyncio

from small_world import ANSWERS, SCORES, World, checks_of, failure
from world_data import CHUNKS, GOLD, hash_of

from rag_bench.evaluation.rubrics import rubrics_of
from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists
from rag_bench.reporting import leaderboard
from rag_bench.resources import BenchmarkResource
from rag_bench.store import evaluations
from rag_bench.tiers.plan.plan import plan_sweep

GENERATOR, JUDGE = "simulator/extractive", "simulator/sim-judge-strict"
MODELS = ModelLists((GENERATOR,), (JUDGE,), ("simulator/sim-gate-strict",))
FLAG = {"tier3_all_rubrics": True, "contexts_per_answer": 2}
N = len(GOLD)


def planned(world: World, **benchmark: object) -> dict[str, int]:
    bench = BenchmarkResource(**benchmark).open(world.engine, None)  # type: ignore[arg-type]
    made = asyncio.run(plan_sweep(bench, Providers({}), 16, [GENERATOR], [JUDGE], [], ("2", "3")))
    return {line.asset: line.n_requests for line in made.lines}


def test_tier_3_by_all_rubrics(free_world: World) -> None:
    world = free_world
    retrieved = world.run(["tier1_retrieval"], MODELS, benchmark=FLAG)
    assert retrieved.success, failure(retrieved)
    assert planned(world, **FLAG)["tier3_scores"] == 4 * N
    assert planned(world, contexts_per_answer=2)["tier3_scores"] == N

    answers = world.run(ANSWERS, MODELS, benchmark=FLAG)
    assert answers.success, failure(answers)
    bench = BenchmarkResource(**FLAG).open(world.engine, None)  # type: ignore[arg-type]
    scored = world.run(SCORES, MODELS, benchmark=FLAG)
    assert scored.success, failure(scored)
    check = checks_of(scored)["judge_prompts_hold_question_and_answer"]
    assert check.passed

    found = {
        tier: evaluations.latest(
            world.engine,
            tier=tier,
            kind="scores",
            settings_hash=bench.run.hash,
            generation_model=GENERATOR,
            benchmark_judge_model=JUDGE,
        )
        for tier in ("2", "3")
    }
    rubrics = {
        tier: {name for name in one.metrics if name.startswith("rubric_")}
        for tier, one in found.items()
        if one
    }
    assert rubrics["2"] == {f"rubric_{name}" for name in rubrics_of("2")}
    assert rubrics["3"] == {f"rubric_{name}" for name in rubrics_of("3", every=True)}
    assert found["3"]
    for name in rubrics["3"]:
        metric = found["3"].metrics[name]
        assert metric["n_expected"] == N
        assert metric["scale"] == [1, 5]

    # The judge of tier 3 reads what retrieval found, two chunks; tier 2 has the relevant one only.
    cases = evaluations.cases_of(world.engine, found["3"].inputs["answers_evaluation"])
    texts = {hash_of(n): words for n, (_, words) in enumerate(CHUNKS)}
    asked = [
        row["request"]
        for row in world.rows(
            "select request::text from rag_bench.llm_call where role = 'benchmark_judge'"
        )
    ]
    for case, (question, _, _) in zip(cases, GOLD, strict=True):
        given = [row["chunk_hash"] for row in case.retrieved]
        assert len(given) == 2
        # JSON's escapes would hide line ends only; the second line of a chunk is one piece.
        lines = [texts[key].split("\n")[1] for key in given]
        mine = [text for text in asked if question in text and all(x in text for x in lines)]
        assert len(mine) >= 1, question

    # The board's columns of tier 2 are tier 2's, not those of the same name in tier 3.
    board = leaderboard.build(world.engine, bench.run.hash)
    [row] = board.rows
    shown = {(column.tier, column.metric): row.metric(column) for column in leaderboard.COLUMNS}
    assert found["2"]
    for name in rubrics_of("2"):
        assert shown["tier_2", f"rubric_{name}"] == found["2"].metrics[f"rubric_{name}"]
        assert row.metrics["tier_3"][f"rubric_{name}"] == found["3"].metrics[f"rubric_{name}"]
    assert ("tier_3", "rubric_faithfulness") not in shown
