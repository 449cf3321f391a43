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
