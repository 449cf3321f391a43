"""A live assistant beside generation models: one sweep, one leaderboard, nothing asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from local_provider import LocalAssistant, serving
from small_world import ANSWERS, LAB, OFFLINE, SCORES, World, failure
from world_data import GOLD

from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.transport.budget import Budget, spending
from rag_bench.partitions import ModelLists
from rag_bench.reporting import board as boards
from rag_bench.reporting.leaderboard import build
from rag_bench.resources import BenchmarkResource
from rag_bench.store import snapshots
from rag_bench.tiers.plan.plan import Plan, plan_sweep

N = len(GOLD)
TARGET = "target/desk"
MODELS = ModelLists(
    ["simulator/sim-strong", "simulator/sim-weak", TARGET],
    ["simulator/sim-judge-sharp"],
    OFFLINE.production_judges,
)


@pytest.fixture
def assistant(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAssistant]:
    """The example, over the world's chunks, as the target `desk`."""
    current = snapshots.require_current(free_world.engine)
    chunks = snapshots.chunks_of(free_world.engine, current.sha256)
    with serving(chunks) as assistant:
        monkeypatch.setenv("TARGET_DESK_URL", assistant.url)
        monkeypatch.setenv("TARGET_DESK_CONTEXTS", "/sources/*/text")
        monkeypatch.setenv("TARGET_DESK_IDS", "/sources/*/id")
        monkeypatch.setenv("TARGET_DESK_REFUSALS", "К сожалению, в базе знаний нет ответа")
        yield assistant


def answers_of(world: World, model: str = TARGET) -> dict[str, Any]:
    [row] = world.rows(
        "select id, metrics, errors, status, inputs from rag_bench.evaluation "
        "where kind = 'answers' and tier = '3' and generation_model = :model "
        "order by id desc limit 1",
        model=model,
    )
    return dict(row)


def test_a_target_stands_beside_models_in_one_leaderboard(
    free_world: World, assistant: LocalAssistant
) -> None:
    for stage in (ANSWERS, SCORES, LAB):
        result = free_world.run(stage, MODELS)
        assert result.success, failure(result)
    assert assistant.count == N

    row = answers_of(free_world)
    assert (row["status"], row["errors"]) == ("succeeded", {})
    metrics = row["metrics"]
    # Its own retrieval, by the ids that it names.
    assert metrics["target_chunk_hit_rate@1"]["n_scored"] == N
    assert metrics["target_unresolved_share"]["value"] == 0
    assert 1 < metrics["target_contexts"]["value"] <= 3
    assert 0 < metrics["target_chunk_hit_rate@5"]["value"] <= 1
    # Our retrieval says nothing of it, and tier 2 has nothing to give it.
    assert not free_world.rows(
        "select id from rag_bench.evaluation where tier = '2' and generation_model = :model",
        model=TARGET,
    )
    board = build(free_world.engine)
    lines = {line.model: line for line in boards.generators(board)}
    assert set(lines) == set(MODELS.generation)
    assert lines[TARGET].standing.rank is not None
    assert "tier_1" not in lines[TARGET].row.metrics
    assert "tier_2" not in lines[TARGET].row.metrics
    assert "tier_1" in lines["simulator/sim-strong"].row.metrics
    [note] = [note for note in boards.notes(board) if TARGET in note and "retriev" in note]
    assert "its retrieval is its own" in note

    # A rerun asks nobody, here and there.
    calls = free_world.rows("select count(*) as n from rag_bench.llm_call")[0]["n"]
    for stage in (ANSWERS, SCORES):
        assert free_world.run(stage, MODELS).success
    assert assistant.count == N
    assert free_world.rows("select count(*) as n from rag_bench.llm_call")[0]["n"] == calls


def test_what_is_corrected_in_a_pointer_costs_no_call(
    free_world: World, assistant: LocalAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = ModelLists([TARGET], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges)
    monkeypatch.setenv("TARGET_DESK_ANSWER", "/reply")
    said = failure(free_world.run(["tier3_answers"], only))
    assert "TARGET_DESK_ANSWER: no text at /reply; the reply has /answer (text)" in said
    assert "rag-bench target check desk shows what a reply holds" in said.replace("Rag", "rag")
    row = answers_of(free_world)
    assert (row["status"], row["errors"]) == ("failed", {"LLM_FAILED": N})
    monkeypatch.delenv("TARGET_DESK_ANSWER")
    assert free_world.run(["tier3_answers"], only).success
    assert answers_of(free_world)["status"] == "succeeded"
    assert assistant.count == N


def test_contexts_from_elsewhere_are_counted_and_judged_as_texts(
    free_world: World, assistant: LocalAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ids, and with texts of which the snapshot has none: a judge still reads them."""
    only = ModelLists([TARGET], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges)
    monkeypatch.delenv("TARGET_DESK_IDS")
    monkeypatch.setenv("TARGET_DESK_CONTEXTS", "/answer")
    assert free_world.run(["tier3_answers"], only).success
    row = answers_of(free_world)
    shares = row["metrics"]["target_unresolved_share"]
    assert shares["n_scored"] == N
    cases = free_world.rows(
        "select retrieved, flags, answer, scores from rag_bench.evaluation_case "
        "where evaluation_id = :id",
        id=row["id"],
    )
    unresolved = [case for case in cases if "unresolved_contexts" in case["flags"]]
    assert row["inputs"]["flags"].get("unresolved_contexts", 0) == len(unresolved)
    for case in unresolved:
        [one] = case["retrieved"]
        assert one["by"] == "nothing"
        assert one["text"]
        assert case["scores"]["target_unresolved_share"] == 1
    result = free_world.run(["tier3_scores"], only, benchmark={"tier3_all_rubrics": False})
    assert result.success, failure(result)


def plan(world: World, prices: dict[str, Price] | None = None) -> Plan:
    bench = BenchmarkResource().open(world.engine, None)
    providers = Providers.from_environment(prices=prices or {})
    judges = OFFLINE.benchmark_judges[:1]
    return asyncio.run(
        plan_sweep(bench, providers, 16, [TARGET], judges, OFFLINE.production_judges, ["2", "3"])
    )


def test_a_plan_counts_what_a_capped_run_then_asks(
    free_world: World, assistant: LocalAssistant
) -> None:
    only = ModelLists([TARGET], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges)
    prices = {TARGET: Price(Decimal(0), Decimal(0), call=Decimal("0.01"))}
    lines = {line.asset: line for line in plan(free_world, prices).lines}
    assert set(lines) == {"tier3_answers", "tier3_scores"}
    assert (lines["tier3_answers"].n_to_send, lines["tier3_answers"].n_in_ledger) == (N, 0)
    assert lines["tier3_answers"].cost_usd == N * Decimal("0.01")
    assert lines["tier3_scores"].n_unknown == N
    assert plan(free_world).lines[0].cost_usd is None
    assert assistant.count == 0

    with spending(Budget(5, None)):
        assert not free_world.run(["tier3_answers"], only).success
    assert assistant.count == 5
    [line] = [one for one in plan(free_world).lines if one.asset == "tier3_answers"]
    assert (line.n_to_send, line.n_in_ledger) == (N - 5, 5)
    assert free_world.run(["tier3_answers"], only).success
    assert assistant.count == N
