"""In a real browser: a database that stops is said in words, and a reload recovers."""

from __future__ import annotations

from pathlib import Path

import pytest
from dashboard_browser import Dashboard, chromium
from local_provider import served

from rag_bench.settings import Settings
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_database_that_stops_while_the_page_is_open(tmp_path: Path) -> None:
    """A server of its own is stopped and started."""
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    own = EmbeddedServer(tmp_path / "home")
    url = own.start()
    try:
        engine = make_engine(url)
        migrate(engine)
        with (
            served(local(engine, Settings(), "127.0.0.1"), lifespan="on") as at,
            chromium(tmp_path / "profile") as browser,
        ):
            page = Dashboard(browser, f"{at}/")
            page.open("?tab=runs")
            assert "Nothing here was measured" in page.text()
            own.stop()
            for tab in ("overview", "runs", "questions"):
                page.open(f"?tab={tab}")
                assert "database cannot be reached" in page.text(), tab
            own.start()
            page.open("?tab=runs")
            assert "Nothing here was measured" in page.text()
            assert page.problems() == []
        engine.dispose()
    finally:
        own.stop()
