"""Dagster's own commands: in a fresh clone, and with what ``rag-bench env`` prints."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import RagBench

from rag_bench.settings import PROJECT_ROOT

BIN = Path(sys.executable).parent


def _dagster(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAG_BENCH_", "DAGSTER_"))
    }
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=PROJECT_ROOT,
        env={**plain, "DAGSTER_DISABLE_TELEMETRY": "1", "RAG_BENCH_ENV_FILES": "0", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "definitions", "validate"),
        ("dg", "check", "defs"),
        ("dg", "list", "defs", "--json"),
    ],
    ids=" ".join,
)
def test_dagsters_own_commands_work_without_variables(command: tuple[str, ...]) -> None:
    if not (BIN / command[0]).exists():
        pytest.skip("dg is in the extra dev")
    done = _dagster(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    if "list" in command:
        assert "production_judge_scores" in done.stdout


def test_env_prints_what_dagster_needs(rag_bench: RagBench, tmp_path: Path) -> None:
    done = rag_bench("env")
    assert (done.code, done.err) == (0, "")
    lines = [shlex.split(line) for line in done.out.splitlines()]
    assert all(word == "export" for word, _ in lines)
    found = dict(setting.split("=", 1) for _, setting in lines)
    assert set(found) >= {"DAGSTER_HOME", "RAG_BENCH_DATABASE_URL", "RAG_BENCH_DAGSTER_URL"}
    assert (Path(found["DAGSTER_HOME"]) / "dagster.yaml").exists()
    listed = _dagster("dagster", "instance", "info", **found)
    assert listed.returncode == 0, listed.stderr
    assert "PostgresRunStorage" in listed.stdout or "postgres" in listed.stdout.lower()
