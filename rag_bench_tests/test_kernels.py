"""The same results by the kernels of another processor: a sweep of the small world, twice.

`make test-numerics` runs the tests of numbers under more of them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import first_imports
import pytest
from small_world import World, copy_of

from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.evaluations import newest_settings_hash, version_of_all
from rag_bench.sweep import SOURCE

pytestmark = pytest.mark.long

#: No fused multiplication, no wide registers, one thread: as far from this processor as can be.
OLD = {
    "OPENBLAS_CORETYPE": "Sandybridge",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_NUM_THREADS": "1",
}
REQUEST = {
    "models": [
        ["simulator/sim-strong", "simulator/sim-weak"],
        ["simulator/sim-judge-sharp"],
        ["simulator/sim-gate-balanced"],
    ],
    "tiers": ["0", "1", "2", "3", "ux"],
}


def test_the_kernels_that_the_environment_names_are_in_use() -> None:
    """Or running tests under switches would prove nothing."""
    from threadpoolctl import threadpool_info

    wanted = os.environ.get("OPENBLAS_CORETYPE")
    if wanted:
        import numpy  # noqa: F401
        import scipy.linalg  # noqa: F401

        found = {
            one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas"
        }
        assert found == {wanted}
    if os.environ.get("ATEN_CPU_CAPABILITY") == "default":
        import torch

        assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
    if n := os.environ.get("OMP_NUM_THREADS"):
        import torch

        assert torch.get_num_threads() == min(int(n), os.cpu_count() or 1)


@pytest.mark.once
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the switches are of x86's libraries")
def test_an_old_processor_publishes_the_same(empty_world: World, server: EmbeddedServer) -> None:
    """From an empty store: vectors, retrieval, answers, scores, and the addresses of results."""
    assert empty_world.run(SOURCE).success
    with copy_of(server, empty_world) as world:
        theirs = published(world, OLD)
    mine = published(empty_world, {})
    assert mine["version"] == theirs["version"]
    assert mine["outcomes"] == theirs["outcomes"]
    assert mine["numbers"].keys() == theirs["numbers"].keys()
    assert len(mine["numbers"]) > 100
    for name, number in mine["numbers"].items():
        assert theirs["numbers"][name] == pytest.approx(number, abs=2e-5), name


def published(world: World, switches: dict[str, str]) -> dict[str, Any]:
    """Sweep the world in a process of its own; return what is published of it."""
    result = subprocess.run(
        [sys.executable, str(Path(first_imports.__file__)), json.dumps(REQUEST)],
        env={**os.environ, **switches, "RAG_BENCH_DATABASE_URL": world.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout.splitlines()[-1])["failed"] == []
    rows = world.rows(
        "select concat_ws(' ', tier, kind, generation_model, benchmark_judge_model) as name, "
        "metrics, inputs ->> 'outcome_hash' as outcome from rag_bench.evaluation"
    )
    key = newest_settings_hash(world.engine)
    assert key
    return {
        "version": version_of_all(world.engine, key),
        "outcomes": {row["name"]: row["outcome"] for row in rows},
        "numbers": {
            f"{row['name']} {metric} {part}": record[part]
            for row in rows
            for metric, record in row["metrics"].items()
            for part in ("value", "ci_low", "ci_high")
            # Seconds differ by nature; the density is the inverse of a small distance.
            if not {"latency", "density"} & set(metric.split("_")) and record[part] is not None
        },
    }
