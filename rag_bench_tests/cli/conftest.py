"""``rag-bench`` in this process, on a database, a Dagster storage and folders of the tests' own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import Ended, RagBench

from rag_bench import cli


@pytest.fixture
def rag_bench(
    database_url: str,
    dagster_storage: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> RagBench:
    """Run ``rag-bench ARGS``."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name, value in {
        "RAG_BENCH_HOME": str(tmp_path / "home"),
        "RAG_BENCH_DATABASE_URL": database_url,
        "RAG_BENCH_DAGSTER_DATABASE_URL": dagster_storage,
        "RAG_BENCH_DATA_DIR": str(tmp_path / "data"),
        "RAG_BENCH_REPORTS_DIR": str(tmp_path / "reports"),
        # Commands set these; named here so that they are restored.
        "RAG_BENCH_DAGSTER_URL": "",
        "DAGSTER_HOME": "",
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["rag-bench", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return Ended(int(left.value.code or 0), *capfd.readouterr())

    return run
