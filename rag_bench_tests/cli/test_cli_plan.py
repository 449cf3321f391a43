"""``rag-bench sweep --plan`` and its caps, from the command line."""

from __future__ import annotations

from typing import Any

import pytest
from small_world import World
from world_data import GOLD

MODELS = (
    *("--generation-models", "simulator/extractive", "--judge-models", "simulator/sim-judge-sharp"),
    *("--production-judge-models", "simulator/sim-gate-strict", "--tier", "2"),
)


def test_a_plan_then_a_capped_sweep_then_the_rest(
    rag_bench: Any, free_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", free_world.url)
    monkeypatch.setenv("RAG_BENCH_DATA_DIR", str(free_world.data))
    planned = rag_bench("sweep", "--plan", *MODELS)
    assert planned.code == 0, planned.err
    assert f"{len(GOLD)} calls to send, and at most {3 * len(GOLD)} unknown" in planned.out
    assert "simulator/sim-judge-sharp" in planned.out
    assert "cost: 0.0000 USD; time: " in planned.out
    assert "The time rests on assumptions" in planned.out
    assert free_world.count("llm_call") == 0

    capped = rag_bench("sweep", "--max-calls", 5, *MODELS)
    assert capped.code == 1
    assert "stopped at its cap after 5 calls" in capped.err
    assert free_world.count("llm_call") == 5

    rest = rag_bench("sweep", "--max-calls", 500, "--max-cost", "0", *MODELS)
    assert rest.code == 0, rest.err
    assert free_world.count("llm_call", "role = 'generation'") == len(GOLD)
    assert "0 calls to send" in rag_bench("sweep", "--plan", *MODELS).out
