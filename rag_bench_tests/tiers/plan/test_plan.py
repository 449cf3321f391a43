"""A plan says what the sweep then asks; a capped sweep stops and goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from small_world import ANSWERS, LAB, OFFLINE, PRODUCTION, SCORES, World, failure
from world_data import GOLD, PAIRS

from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.transport.budget import Budget, spending
from rag_bench.resources import BenchmarkResource
from rag_bench.tiers.plan.plan import Plan, plan_sweep

TIERS = ("0", "1", "2", "3", "judge_pipeline")
N = len(GOLD)


def plan(
    world: World, providers: Providers | None = None, generators: Sequence[str] | None = None,
    judges: Sequence[str] | None = None, **benchmark: object,
) -> Plan:  # fmt: skip
    return asyncio.run(
        plan_sweep(
            BenchmarkResource(**benchmark).open(world.engine, None),  # type: ignore[arg-type]
            providers or Providers({}),
            16,
            generators or OFFLINE.generation,
            judges or OFFLINE.benchmark_judges,
            OFFLINE.production_judges,
            TIERS,
        )
    )


def by_asset(plan: Plan, what: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for line in plan.lines:
        sums[line.asset] += getattr(line, what)
    return dict(sums)


def test_a_plan_is_what_the_sweep_then_asks(free_world: World) -> None:
    first = plan(free_world)
    assert free_world.count("llm_call") == 0
    assert free_world.count("evaluation", "generation_model is not null") == 0
    generators, judges = len(OFFLINE.generation), len(OFFLINE.benchmark_judges)
    assert by_asset(first, "n_requests") == {
        "tier2_answers": N * generators,
        "tier3_answers": N * generators,
        "tier2_scores": 3 * N * generators * judges,
        "tier3_scores": N * generators * judges,
        "production_judge_scores": len(PAIRS) * len(OFFLINE.production_judges),
    }
    assert by_asset(first, "n_unknown")["tier2_scores"] == 3 * N * generators * judges
    assert by_asset(first, "n_unknown")["tier2_answers"] == 0
    # Nothing was ever asked, so the time is assumed, and that is said.
    assert {line.basis for line in first.lines} == {"assumed"}
    assert first.seconds > 0
    assert any("rests on assumptions" in note for note in first.notes)
    assert first.cost_usd == 0  # simulated: known to be free
    assert all(line.prompt_tokens > 0 for line in first.lines)

    assert free_world.run(ANSWERS).success
    asked = free_world.count("llm_call")
    planned = by_asset(first, "n_to_send")
    assert asked == planned["tier2_answers"] + planned["tier3_answers"]

    second = plan(free_world)
    assert free_world.count("llm_call") == asked
    assert by_asset(second, "n_to_send")["tier2_answers"] == 0
    for stage in (SCORES, PRODUCTION):
        assert free_world.run(stage).success
    # Answers were there, so all is known, but for those that had failed and have no judge.
    assert second.n_unknown == 0
    # Judges whose replies could not be read were asked once more.
    again = free_world.count("llm_call", 'request::text like \'%"role": "assistant"%\'')
    assert free_world.count("llm_call") == asked + second.n_to_send + again
    # The most has room for all of them, whichever they are.
    assert again > 0
    assert free_world.count("llm_call") <= asked + second.n_most
    asked_twice = {line.role for line in second.lines if line.n_again}
    assert asked_twice == {"benchmark_judge"}
    timed = {line.role: line.basis for line in second.lines if line.n_to_send}
    assert timed == {"benchmark_judge": "provider", "production_judge": "provider"}

    third = plan(free_world)
    assert any("asked once more" in note for note in second.notes)
    assert not any("asked once more" in note for note in third.notes)  # nothing is left to ask
    assert (third.n_to_send, third.n_unknown, third.seconds) == (0, 0, 0)
    assert sum(by_asset(third, "n_in_ledger").values()) == free_world.count("llm_call")
    assert third.to_json()["n_to_send"] == 0


def test_settings_change_the_plan(done_world: World) -> None:
    assert plan(done_world).n_to_send == 0
    more = plan(done_world, consistency_runs=3)
    assert by_asset(more, "n_to_send")["tier2_answers"] == 2 * N * len(OFFLINE.generation)
    assert by_asset(more, "n_to_send")["tier2_scores"] == 0  # repeat 0 is judged, and was
    assert any("tier 3 is unknown" in note for note in more.notes)
    assert by_asset(more, "n_unknown")["tier3_answers"] == 3 * N * len(OFFLINE.generation)


def test_money_and_time_of_a_paid_model(done_world: World) -> None:
    environment = {
        "PROVIDER_SHOP_BASE_URL": "http://127.0.0.1:1/v1",
        "PROVIDER_SHOP_RPM": "60",
    }
    price = {"shop/dear": Price(Decimal(3), Decimal(6))}
    providers = Providers(environment, price)
    made = plan(done_world, providers, ["shop/dear"], ["shop/unpriced"])
    lines = {(line.asset, line.model): line for line in made.lines}
    answers = lines["tier2_answers", "shop/dear"]
    tokens = 3 * answers.prompt_tokens + 6 * answers.completion_tokens
    assert answers.cost_usd == Decimal(tokens) / 1_000_000
    # At most: replies as long as they may be, of a generator that is asked once.
    assert answers.n_again == 0
    assert answers.most_usd is not None
    assert answers.most_usd >= answers.cost_usd
    assert lines["tier2_scores", "shop/unpriced"].cost_usd is None
    assert lines["tier2_scores", "shop/unpriced"].most_usd is None
    assert lines["tier2_scores", "shop/unpriced"].n_again == 3 * N
    assert made.most_usd is None
    assert made.cost_usd is None
    # No call to this provider was ever timed, and one a second is the most that it takes.
    assert (answers.basis, answers.latency) == ("assumed", 3.0)
    assert answers.seconds == pytest.approx(max(answers.n_to_send * 3 / 16, answers.n_to_send))
    assert set(made.assumed) == {"shop/dear", "shop/unpriced"}
    assert lines["tier2_scores", "shop/unpriced"].n_unknown == 3 * N


def test_a_capped_sweep_stops_cleanly_and_a_higher_cap_goes_on(free_world: World) -> None:
    total = plan(free_world)
    answers = sum(line.n_to_send for line in total.lines if line.asset in ANSWERS)
    budget = Budget(max_calls=answers - 7)
    with spending(budget):
        stopped = free_world.run(ANSWERS)
    assert not stopped.success
    assert "cells are not complete" in failure(stopped)
    assert free_world.count("llm_call") == budget.calls == answers - 7
    not_asked = free_world.rows(
        "select error_code, error_detail from rag_bench.evaluation_case "
        "where error_detail like '%not asked%'"
    )
    assert len(not_asked) >= 7
    assert {row["error_code"] for row in not_asked} == {"LLM_FAILED"}
    assert all("call cap reached" in row["error_detail"] for row in not_asked)
    statuses = free_world.rows(
        "select status, errors from rag_bench.evaluation where kind = 'answers'"
    )
    assert {row["status"] for row in statuses} <= {"succeeded", "partial", "failed"}
    assert any(row["status"] == "partial" for row in statuses)

    with spending(Budget(max_calls=100_000)):
        for stage in (ANSWERS, SCORES, PRODUCTION, LAB):
            assert free_world.run(stage).success
    assert free_world.count("llm_call", "role = 'generation'") == answers
