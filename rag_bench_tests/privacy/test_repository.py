"""What holds users' words cannot be committed by mistake."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from rag_bench.settings import PROJECT_ROOT

HOLD_USERS_WORDS = (
    "data/dumps/virtassist.dump",
    "data/dumps/virtassist.sql.gz",
    "reports/report.html",
    "eval_results/run_1.json",
    ".rag_bench/postgres/data/base",
    ".env",
)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(PROJECT_ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_folders_with_users_words_are_not_committed() -> None:
    if shutil.which("git") is None or git("rev-parse").returncode:
        pytest.skip("not a clone of git, which alone knows what it ignores")
    for path in HOLD_USERS_WORDS:
        assert git("check-ignore", "-q", "--no-index", path).returncode == 0, path
    tracked = git("ls-files", "-z").stdout.split("\0")
    assert tracked
    for name in tracked:
        made_up = name.startswith("rag_bench_tests/recorded/")
        assert made_up or not name.endswith((".dump", ".sql.gz", ".env")), name
        assert not name.startswith(("data/dumps/", "reports/", "eval_results/")), name
