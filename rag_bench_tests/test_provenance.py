"""The commit and branch beside every result are given or asked of git; never guessed."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag_bench import provenance
from rag_bench.cli.app import app
from rag_bench.settings import PROJECT_ROOT


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code lies in a folder that is no repository; nothing is remembered."""
    for name in ("BENCHMARK_GIT_COMMIT_HASH", "BENCHMARK_GIT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(provenance, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    provenance.git_commit.cache_clear()
    yield
    provenance.git_commit.cache_clear()


def test_outside_of_a_repository_they_are_unknown() -> None:
    assert provenance.git_commit() is None
    assert provenance.git_branch() is None


def test_they_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_GIT_COMMIT_HASH", "abc123")
    monkeypatch.setenv("BENCHMARK_GIT_BRANCH", "release")
    assert (provenance.git_commit(), provenance.git_branch()) == ("abc123", "release")


def test_git_is_asked(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-b", "work")
    git("commit", "--allow-empty", "-m", "first")
    assert provenance.git_commit() == git("rev-parse", "HEAD")
    assert provenance.git_branch() == "work"


def test_without_git_they_are_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert provenance.git_commit() is None
    assert provenance.git_branch() is None


def test_the_version_is_declared_once_and_said_by_command() -> None:
    declared = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert provenance.version() == declared, "run `make install`"
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"rag-bench {declared}\n")


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {provenance.version()} - 20" in (PROJECT_ROOT / "CHANGELOG.md").read_text()
