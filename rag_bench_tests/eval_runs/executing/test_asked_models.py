"""Questions that a model is asked: retrieved, answered, judged by the steps of the tiers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from eval_run_rows import HOLDER, claim, given_case, new_run, rows, run_body
from small_world import World
from sqlalchemy import text

from rag_bench.eval_runs.executing import execute
from rag_bench.eval_runs.reply import reply
from rag_bench.settings import Settings

MODEL, JUDGE = "simulator/extractive", "simulator/judge-strict"


@pytest.fixture
def settings(tmp_path: Path, free_world: World) -> Settings:
    return Settings(eval_results=tmp_path / "results")


def n_calls(world: World) -> int:
    return world.count("llm_call")
