"""An evaluation that is deleted while somebody looks at it: the page says so and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_browser import Dashboard, chromium
from local_provider import served
from small_world import World, copy_of
from sqlalchemy import text

from rag_bench.dashboard.address import LANGUAGES, TABS
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(600)
WORDS = Words("en")
FAILED = [Words(lang)("failed", mark="").partition(".")[0] for lang in LANGUAGES]
#: Asks for the view again, as whatever changes the address does.
AGAIN = "document.body.dataset.rbLoading = '1'; window.rbShow(location.search)"
#: Evaluations that labels, draws or runs hold: they cannot be deleted.
HELD = (
    "select evaluation_id from rag_bench.label union select evaluation_id from "
    "rag_bench.label_draw union select evaluation_id from rag_bench.eval_run_evaluation"
)


@pytest.fixture
def world(populated: World, server: EmbeddedServer) -> Iterator[World]:
    with copy_of(server, populated) as copied:
        yield copied


def newest(world: World, condition: str) -> int:
    [row] = world.rows(f"select max(id) as id from rag_bench.evaluation where {condition}")
    return int(row["id"])


def delete(world: World, evaluation: int) -> None:
    with world.engine.begin() as connection:
        gone = text("delete from rag_bench.evaluation where id = :id")
        assert connection.execute(gone, {"id": evaluation}).rowcount == 1


def checked(page: Dashboard, where: str) -> str:
    """Return the page's words, which tell of no fault of ours."""
    words = page.words()
    assert words.strip(), where
    assert "Traceback" not in words, where
    assert not any(failed in words for failed in FAILED), where
    return words


def test_a_deleted_evaluation_is_said_and_links_go_on(world: World, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    scored = newest(world, "tier = '3' and kind = 'scores'")
    other = newest(world, f"tier = '3' and kind = 'scores' and id <> {scored}")
    views = {
        f"?tab=runs&evaluation={scored}": "no evaluation of this number",
        f"?tab=runs&evaluation={scored}&lang=ru": "Измерения с таким номером в этой базе нет",
        f"?tab=compare&a={other}&b={scored}": WORDS("side_lost", side=WORDS("side_b")),
    }
    app = local(world.engine, Settings(), "127.0.0.1")
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile") as browser:
        page = Dashboard(browser, f"{url}/")
        for query, said in views.items():
            page.open(query)
            assert said not in checked(page, query)
        delete(world, scored)
        for query, said in views.items():
            page.open(query)
            assert said in checked(page, query), query
        page.open(next(iter(views)))
        page.click("← all runs")
        assert f"№ {scored}\t" not in checked(page, "the list")
        assert page.run("return document.querySelectorAll('#rb-evaluations tbody a').length") > 1
        # A link in a list that was made before leads to what is gone by now.
        last = newest(world, "true")
        delete(world, last)
        page.run("document.querySelector('#rb-evaluations tbody a').click()")
        page.settled()
        assert f"evaluation={last}" in page.run("return location.search")
        assert "no evaluation of this number" in checked(page, "an old list")
        page.run("history.back()")
        page.settled()
        assert f"№ {last}\t" not in checked(page, "the list again")
        assert page.problems() == []


def test_every_tab_goes_on_when_what_it_shows_is_deleted(world: World, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    app = local(world.engine, Settings(), "127.0.0.1")
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile") as browser:
        page = Dashboard(browser, f"{url}/")
        for tab in TABS:
            page.open(f"?tab={tab}")
            checked(page, tab)
        steps = world.rows(
            "select id from (select max(id) as id from rag_bench.evaluation group by tier, kind) "
            f"as newest where id not in ({HELD})"
        )
        for step in steps:
            delete(world, step["id"])
        for tab in TABS:
            page.open(f"?tab={tab}")
            page.run(AGAIN)
            page.settled()
            checked(page, tab)
        with world.engine.begin() as connection:
            gone = text(f"delete from rag_bench.evaluation where id not in ({HELD})")
            assert connection.execute(gone).rowcount > 0
        for tab in TABS:
            page.open(f"?tab={tab}")
            checked(page, tab)
        assert page.problems() == []
