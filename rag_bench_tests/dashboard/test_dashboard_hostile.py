"""Impossible addresses and hostile texts: every page is shown, and nothing of them is run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_pages import shown
from hostile_store import MARKUP, MODEL, addresses, make_hostile, marked_up, strange
from small_world import World, copy_of

from rag_bench.dashboard.address import LANGUAGES, TABS
from rag_bench.dashboard.context import Viewer
from rag_bench.dashboard.words import Words
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
