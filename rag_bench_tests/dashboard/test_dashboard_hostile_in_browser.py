"""In a real browser: hostile texts are read, never run; what is deleted or stopped is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from dashboard_browser import Dashboard, chromium
from hostile_store import MARKUP, MODEL, make_hostile
from local_provider import served
from small_world import World, copy_of
from sqlalchemy import text

from rag_bench.dashboard.address import TABS
from rag_bench.settings import Settings
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
RAN = "return window.ran || null"


@pytest.fixture(scope="module")
def hostile(populated: World, server: EmbeddedServer) -> Iterator[World]:
    with copy_of(server, populated) as world:
        make_hostile(world.engine)
        yield world


@pytest.fixture(scope="module")
def page(hostile: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    # Unmasked, so that all of it comes to the browser.
    application = local(hostile.engine, Settings(), "127.0.0.1", unmasked=True)
    with (
        served(application, lifespan="on") as url,
        chromium(tmp_path_factory.mktemp("profile")) as browser,
    ):
        yield Dashboard(browser, f"{url}/")


def test_hostile_texts_are_read_and_never_run(hostile: World, page: Dashboard) -> None:
    [item] = hostile.rows(
        "select item_id as id from rag_bench.dataset_item where position = 1 and dataset_id = ("
        "select dataset_id from rag_bench.evaluation where tier = '3' and kind = 'answers' "
        "order by id desc limit 1)"
    )
    queries = [
        *(f"?tab={tab}&unmask=1" for tab in TABS),
        f"?tab=questions&case={quote(item['id'])}&unmask=1",
        *(f"?tab={tab}&search={quote(MARKUP)}&a={quote(MARKUP)}&page=-1" for tab in TABS[3:7]),
        f"?tab=models&a={quote(MODEL)}",
    ]
    seen = 0
    for query in queries:
        page.open(query)
        page.drawn()
        seen += "<script>window.ran=1</script>" in page.text()
        assert page.run(RAN) is None, query
        assert page.problems() == [], query
    assert seen >= 3, "it was there to be run"


def test_an_evaluation_that_is_deleted_while_it_is_open(hostile: World, page: Dashboard) -> None:
    with hostile.engine.begin() as connection:
        gone = connection.execute(
            text(
                "select max(id) from rag_bench.evaluation e where not exists (select 1 from "
                "rag_bench.label_draw d where d.evaluation_id = e.id)"
            )
        ).scalar_one()
    page.open(f"?tab=runs&evaluation={gone}")
    assert f"№ {gone}" in page.text()
    with hostile.engine.begin() as connection:
        for table in ("evaluation_case", "evaluation"):
            column = "id" if table == "evaluation" else "evaluation_id"
            connection.execute(
                text(f"delete from rag_bench.{table} where {column} = :id"), {"id": gone}
            )
    page.open(f"?tab=runs&evaluation={gone}")
    assert "There is no evaluation of this number" in page.text()
    for tab in TABS:
        page.open(f"?tab={tab}")
        assert "could not be shown" not in page.text(), tab
    assert page.problems() == []


def test_a_database_that_stops_while_the_page_is_open(tmp_path: Path) -> None:
    """A server of its own is stopped and started: it is said in words, and a reload recovers."""
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local
    from rag_bench.store.migrate import migrate

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
