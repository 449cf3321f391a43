"""The environment's settings: what follows from what."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_bench.settings import PROJECT_ROOT, Settings


@pytest.mark.parametrize(
    ("home", "reports", "expected"),
    [
        (None, None, PROJECT_ROOT / "reports"),
        ("/srv/bench", None, Path("/srv/bench/reports")),
        ("/srv/bench", "/srv/files", Path("/srv/files")),
        (None, "/srv/files", Path("/srv/files")),
        ("/srv/bench", "", Path("/srv/bench/reports")),
    ],
)
def test_reports_follow_home(
    monkeypatch: pytest.MonkeyPatch, home: str | None, reports: str | None, expected: Path
) -> None:
    for name, value in (("RAG_BENCH_HOME", home), ("RAG_BENCH_REPORTS_DIR", reports)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert Settings().reports_dir == expected


@pytest.mark.parametrize(
    "name", ["HOME", "DUMPS_DIR", "RETRIEVERS", "TOP_K", "RATINGS", "JWT_SECRET"]
)
def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(f"RAG_BENCH_{name}", raising=False)
    unset = getattr(Settings(), name.lower())
    monkeypatch.setenv(f"RAG_BENCH_{name}", "")
    assert getattr(Settings(), name.lower()) == unset


def test_an_empty_text_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BENCH_OWNERS", "")
    assert Settings().asset_owners == []
