"""A run that is only tried: what it would ask is what it then asks, and nothing is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval_run_rows import given_case, run_body
from small_world import World
from world_data import GOLD

from rag_bench.api.eval_runs.deciding import Preferences, decide
from rag_bench.eval_runs.intake.dry_run import dry_run
from rag_bench.eval_runs.intake.estimating import estimate
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.settings import Settings

ASKED = {
    "llm_model": "simulator/extractive",
    "judge_model": "simulator/sim-judge-sharp",
    "eval_type": ["ragas", "rubric", "retrieval"],
    "max_calls": 3,
}
STORED = ("llm_call", "dataset", "evaluation", "eval_run", "embedding")


@pytest.fixture
def settings(tmp_path: Path, free_world: World) -> Settings:
    return Settings(eval_results=tmp_path / "results")


def test_what_is_foreseen_is_asked_and_then_found(free_world: World, settings: Settings) -> None:
    engine = free_world.engine
    cases = [
        {"question": question, "ground_truth_answer": reference, "ground_truth_chunks": [chunk + 1]}
        for question, reference, chunk in GOLD[:2]
    ]
    body = {"cases": [*cases, given_case(3)], **ASKED}
    before = {name: free_world.count(name) for name in STORED}
    told = dry_run(engine, settings, prepare(engine, settings, body))
    assert {name: free_world.count(name) for name in STORED} == before
    assert (told["n_cases"], told["paid"], told["cost_usd"]) == (3, False, 0.0)
    assert {one["model"] for one in told["models"]} == {ASKED["llm_model"], ASKED["judge_model"]}
    foreseen = told["n_to_send"] + told["n_unknown"]
    assert told["exceeds"] == {"max_calls": foreseen > 3, "max_cost_usd": None}
    assert told["exceeds"]["max_calls"]

    # Nothing was ever asked: the time is that of a stated assumption.
    estimated = told["estimate"]
    assert estimated["assumed"]
    assert {one["basis"] for one in estimated["calls"]["latency"]} == {"assumed"}
    own = pytest.approx(3 * settings.eval_seconds_per_case)
    assert estimated["own"] == {"seconds": own, "basis": "assumed"}
    assert told["seconds"] == estimated["seconds"] > estimated["own"]["seconds"]
    assert any("rests on assumptions" in note for note in told["notes"])

    del body["max_calls"]
    _, result = run_body(engine, settings, body)
    assert result is not None
    asked = result["cost"]["n_calls"]
    assert 0 < asked <= foreseen
    again = dry_run(engine, settings, prepare(engine, settings, body))
    assert (again["n_to_send"], again["n_unknown"]) == (0, 0)
    assert again["n_in_ledger"] == asked
    assert again["estimate"]["calls"] == {"seconds": 0.0, "latency": []}
    # The service decides by the same estimate whether a request waits: what is there costs nothing.
    config = Settings(eval_wait_cases=1, eval_wait_seconds=5, eval_seconds_per_case=1.0)
    prepared = prepare(engine, config, body)
    found = estimate(engine, config, prepared)
    assert (found.seconds, found.n_to_send, found.n_in_ledger) == (3.0, 0, asked)
    decided = decide(3, Preferences(), None, lambda: found, config)
    assert (decided.mode, decided.place) == ("sync", "service")
    assert f"0 calls to send, {asked} in the ledger), less than 5 s" in decided.reason
    # Another judge was never asked, and is one of a provider that was.
    other = {**body, "judge_model": "simulator/sim-judge-lenient"}
    foreseen = dry_run(engine, settings, prepare(engine, settings, other))
    assert foreseen["n_to_send"] > 0
    by_model = {one["model"]: one["basis"] for one in foreseen["estimate"]["calls"]["latency"]}
    assert by_model == {"simulator/sim-judge-lenient": "provider"}
    assert again["exceeds"] == {"max_calls": None, "max_cost_usd": None}


def test_new_questions_are_estimated_by_what_their_metrics_take(
    free_world: World, settings: Settings
) -> None:
    """Nothing is known of what is retrieved for a question that was never encoded."""
    right = "Пропуск выдаёт бюро."
    body = {
        "cases": [
            {"question": f"Кто выдаёт пропуск номер {n}?", "ground_truth_answer": right}
            for n in range(4)
        ],
        "llm_model": "simulator/extractive",
        "judge_model": "simulator/sim-judge-sharp",
        "eval_type": [],
        "metrics": ["ragas_faithfulness", "ragas_context_precision"],
        "contexts_per_answer": 2,
    }
    config = settings.model_copy(update={"concurrency": 8})
    prepared = prepare(free_world.engine, config, body)
    found = estimate(free_world.engine, config, prepared)
    # An answer, two calls for its faithfulness, one for each of its contexts.
    assert (found.n_to_send, found.n_in_ledger) == (4 * (1 + 2 + 2), 0)
    # Offline models that were never timed are taken to need 0.02 s a call, eight at once.
    assert found.calls == pytest.approx(20 * 0.02 / 8)
    assert {one.basis for one in found.latencies} == {"assumed"}
    assert {one.model for one in found.latencies} == {body["llm_model"], body["judge_model"]}
