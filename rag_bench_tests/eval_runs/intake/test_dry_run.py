"""A run that is only tried: what it would ask is what it then asks, and nothing is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval_run_rows import given_case, run_body
from small_world import World
from world_data import GOLD

from rag_bench.eval_runs.intake.dry_run import dry_run
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

    del body["max_calls"]
    _, result = run_body(engine, settings, body)
    assert result is not None
    asked = result["cost"]["n_calls"]
    assert 0 < asked <= foreseen
    again = dry_run(engine, settings, prepare(engine, settings, body))
    assert (again["n_to_send"], again["n_unknown"]) == (0, 0)
    assert again["n_in_ledger"] == asked
    assert again["exceeds"] == {"max_calls": None, "max_cost_usd": None}
