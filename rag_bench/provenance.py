"""Which code this is: its version, and the commit and branch that stand beside every result."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache

from rag_bench.settings import PROJECT_ROOT


def version() -> str:
    """Return the version as it was installed; ``pyproject.toml`` declares it."""
    from importlib.metadata import version as of_package

    return of_package("rag-bench")


@lru_cache(maxsize=1)
def git_commit() -> str | None:
    """Return the commit of this code (``BENCHMARK_GIT_COMMIT_HASH`` overrides it), if known."""
    return os.environ.get("BENCHMARK_GIT_COMMIT_HASH") or _git("rev-parse", "HEAD")


def git_branch() -> str | None:
    """Return the branch of this code (``BENCHMARK_GIT_BRANCH`` overrides it), if known."""
    return os.environ.get("BENCHMARK_GIT_BRANCH") or _git("rev-parse", "--abbrev-ref", "HEAD")


def _git(*arguments: str) -> str | None:
    """Return what git prints; None where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
