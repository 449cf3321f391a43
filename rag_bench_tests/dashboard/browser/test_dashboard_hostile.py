"""Impossible addresses and hostile texts: every page is shown, and nothing of them is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_browser import Dashboard, chromium
from dashboard_pages import shown
from hostile_store import MARKUP, MODEL, addresses, make_hostile, marked_up, strange
from local_provider import served
from small_world import World, copy_of

from rag_bench.dashboard.address import LANGUAGES, TABS
from rag_bench.dashboard.context import Viewer
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(600)
FAILED = [Words(lang)("failed", mark="").partition(".")[0] for lang in LANGUAGES]


@pytest.fixture(scope="module")
def hostile(populated: World, server: EmbeddedServer) -> Iterator[World]:
    with copy_of(server, populated) as world:
        make_hostile(world.engine)
        yield world


def views(world: World) -> list[str]:
    [one] = world.rows(
        "select min(id) as first, max(id) as last from rag_bench.evaluation "
        "where tier = '3' and kind = 'scores'"
    )
    items = world.rows(
        "select item_id from rag_bench.dataset_item where dataset_id = (select dataset_id from "
        "rag_bench.evaluation where tier = '3' and kind = 'answers' order by id desc limit 1) "
        "order by position limit 3"
    )
    failed = world.rows(
        "select distinct evaluation_id as id from rag_bench.evaluation_case "
        "where error_code is not null limit 2"
    )
    return [
        *(f"?tab={tab}" for tab in TABS),
        *(f"?tab=questions&case={item['item_id']}" for item in items),
        f"?tab=compare&a={one['first']}&b={one['last']}&filter=different",
        *(f"?tab=runs&evaluation={found['id']}" for found in (*failed, {"id": one["last"]})),
        *(f"?tab=utilization&kind={kind}" for kind in ("page", "topic")),
    ]


@pytest.mark.parametrize("tab", TABS)
def test_an_impossible_address_shows_the_tab(populated: World, tab: str) -> None:
    for query in addresses(tab, TABS.index(tab)):
        page = shown(populated.engine, query)
        assert page.text.strip(), query
        assert not any(words in page.html for words in FAILED), query
        assert not strange(page.html), query


def test_texts_of_the_store_are_texts(hostile: World) -> None:
    n_shown = 0
    for query in views(hostile):
        # As they are, so that masking hides nothing of it.
        for viewer in (Viewer(), Viewer(unmasked=True)):
            page = shown(hostile.engine, f"{query}&unmask=1", viewer)
            assert not any(words in page.html for words in FAILED), query
            assert not strange(page.html), query
            assert not [one for figure in page.figures for one in marked_up(figure)], query
            n_shown += MARKUP[:40] in page.text
    assert n_shown >= 5


def test_a_model_of_any_name_is_chosen_and_compared(hostile: World) -> None:
    models = shown(hostile.engine, "?tab=models")
    assert MODEL in models.text
    from urllib.parse import quote

    page = shown(hostile.engine, f"?tab=runs&model={quote(MODEL)}")
    assert page.tables["evaluations"]
    pair = shown(hostile.engine, f"?tab=models&a={quote(MODEL)}")
    assert not any(words in pair.html for words in FAILED)


#: What was run, and elements that no page of ours has; plots are drawn as SVG by plotly.
RAN = """
    const strange = 'script, img, iframe, object, embed, style, svg[onload], [onerror], [onclick], '
        + 'a[href^="javascript:"], a[href*="elsewhere"]';
    const found = [...document.querySelectorAll('.rb-page, .rb-header')].flatMap(
        one => [...one.querySelectorAll(strange)].map(e => e.outerHTML.slice(0, 200)));
    const drawn = [...document.querySelectorAll('.js-plotly-plot svg a, .js-plotly-plot tspan')];
    const tags = drawn.filter(e => e.closest('.main-svg') && (e.tagName === 'a'
        || (e.getAttribute('style') || '').includes('bold'))).map(e => e.textContent.slice(0, 200));
    return [...(window.ran === undefined ? [] : [`ran ${window.ran}`]), ...found, ...tags]
"""


@pytest.mark.parametrize(("width", "lang"), [(1440, "en"), (390, "ru")])
def test_a_browser_runs_and_loads_nothing_of_it(
    hostile: World, tmp_path: Path, width: int, lang: str
) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    app = local(hostile.engine, Settings(), "127.0.0.1", unmasked=True)
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile", width) as browser:
        page = Dashboard(browser, f"{url}/")
        n_shown = 0
        for query in views(hostile):
            page.open(f"{query}&unmask=1&lang={lang}")
            page.drawn()
            assert page.run(RAN) == [], query
            assert page.run("return document.documentElement.scrollWidth") <= width, query
            text = page.words()
            assert not any(words in text for words in FAILED), query
            n_shown += MARKUP[:40] in text
        assert page.problems() == []
        assert n_shown >= 5
        # The same looks see what is run.
        page.run(
            "const at = document.createElement('div'); at.className = 'rb-page';"
            "at.innerHTML = arguments[0]; document.body.append(at)",
            MARKUP,
        )
        assert page.run(RAN) != []
