"""A question goes into a draft from its page: who may, once, audited, undone, not from afar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_access import a_key, bearer
from dashboard_browser import Dashboard, chromium
from dashboard_pages import shown
from local_provider import served
from small_world import World, copy_of

from rag_bench.access.scopes import Scope
from rag_bench.api.app import build
from rag_bench.dashboard.acting import Given, act
from rag_bench.dashboard.address import View
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings
from rag_bench.store.access.audit import actions
from rag_bench.store.drafts import drafts
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(600)
LABELLER = Viewer("anna", frozenset({Scope.READ, Scope.LABEL}), trace_id="t")
#: Of the page's events the one that does things.
DOES = 2


@pytest.fixture(scope="module")
def world(populated: World, server: EmbeddedServer) -> Iterator[World]:
    with copy_of(server, populated) as copied:
        yield copied


@pytest.fixture(scope="module")
def question(world: World) -> dict[str, str]:
    [row] = world.rows(
        "select dataset_id, item_id from rag_bench.dataset_item where dataset_id = (select "
        "dataset_id from rag_bench.evaluation where generation_model is not null "
        "order by id desc limit 1) order by position limit 1"
    )
    return {"dataset": row["dataset_id"], "case": row["item_id"]}


def done(world: World, viewer: Viewer, name: str, **fields: str) -> str:
    view = View.parse("?tab=questions")
    context = Context(world.engine, Settings(), view, Words("en"), viewer, Kept())
    sent = json.dumps({"query": "?tab=questions", "act": name, "fields": fields})
    return str(act(context, Given.parse(sent)))


def test_added_once_shown_and_undone(world: World, question: dict[str, str]) -> None:
    query = f"?tab=questions&case={question['case']}"
    told = done(world, LABELLER, "draft_add", draft="hard", **question)
    assert f"{question['case']} is in the draft hard now" in told
    assert 'data-act="draft_remove"' in told, "it can be undone where it was done"
    assert "already" in done(world, LABELLER, "draft_add", draft="hard", **question)
    [row, before] = actions(world.engine, limit=2)
    assert row.action == before.action == "dashboard draft_add"
    assert (row.outcome, row.user_id, row.trace_id) == ("ok", "anna", "t")
    page = shown(world.engine, query, LABELLER)
    assert "In the draft hard." in page.text
    assert [row["draft"] for row in shown(world.engine, "?tab=questions").tables["drafts"]] == [
        "hard"
    ]
    assert "taken out" in done(world, LABELLER, "draft_remove", draft="hard", item=question["case"])
    assert "was not in" in done(
        world, LABELLER, "draft_remove", draft="hard", item=question["case"]
    )
    assert "In the draft hard." not in shown(world.engine, query, LABELLER).text


def test_who_may_not_sees_no_button_and_is_refused(world: World, question: dict[str, str]) -> None:
    page = shown(world.engine, f"?tab=questions&case={question['case']}", Viewer("eve"))
    assert "data-act" not in page.html
    told = done(world, Viewer("eve"), "draft_add", draft="eves", **question)
    assert "label, run" in told
    with world.engine.connect() as connection:
        assert "eves" not in {one.name for one in drafts.all_drafts(connection)}
    [row] = actions(world.engine, limit=1)
    assert (row.outcome, row.code, row.user_id) == ("refused", "MISSING_SCOPE", "eve")


@pytest.mark.parametrize(
    "sent", ["", "[]", "{", '{"act": 1}', '{"act": "draft_add", "fields": 3}', '{"act": "drop"}']
)
def test_what_cannot_be_meant_does_nothing(world: World, sent: str) -> None:
    context = Context(world.engine, Settings(), View.parse(""), Words("en"), LABELLER, Kept())
    with world.engine.connect() as connection:
        before = drafts.all_drafts(connection)
    assert "rb-bad" in str(act(context, Given.parse(sent)))
    with world.engine.connect() as connection:
        assert drafts.all_drafts(connection) == before


def test_another_site_cannot_make_a_browser_do_it(world: World, question: dict[str, str]) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import beside

    app = build(world.engine, Settings())
    beside(app, world.engine, Settings())
    key = a_key(world.engine, ["read", "label"])
    fields = {"draft": "from afar", **question}
    text = json.dumps({"query": "?tab=questions", "act": "draft_add", "fields": fields})
    sent = {"data": [text], "fn_index": DOES, "session_hash": "s", "event_data": None}
    with served(app, lifespan="on") as url, httpx.Client(headers=bearer(key), timeout=60) as client:
        join = f"{url}/dashboard/gradio_api/queue/join"
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Origin": url},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example.org"},
            {"Origin": "null"},
        ):
            assert client.post(join, json=sent, headers=headers).status_code == 403, headers
        with world.engine.connect() as connection:
            assert "from afar" not in {one.name for one in drafts.all_drafts(connection)}
        ours = {"Sec-Fetch-Site": "same-origin", "Origin": url}
        assert client.post(join, json=sent, headers=ours).status_code == 200
        address = f"{url}/dashboard/gradio_api/queue/data?session_hash=s"
        with client.stream("GET", address) as reply:
            assert any("from afar" in line for line in reply.iter_lines())
    with world.engine.connect() as connection:
        assert drafts.get_draft(connection, "from afar").created_by == "anna"


def test_by_clicks_in_russian(world: World, question: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    app = local(world.engine, Settings(), "127.0.0.1")
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile") as browser:
        page = Dashboard(browser, f"{url}/")
        page.open(f"?tab=questions&lang=ru&case={question['case']}")
        page.run("document.querySelector('form[data-act=draft_add] input[name=draft]').value = 'щ'")
        page.run("document.querySelector('form[data-act=draft_add] button').click()")
        page.settled()
        assert "добавлен в черновик «щ»" in page.words()
        assert "В черновике «щ»." in page.words()
        page.run("document.querySelector('.rb-said form[data-act=draft_remove] button').click()")
        page.settled()
        assert "убран из черновика «щ»" in page.words()
        assert "В черновике «щ»." not in page.words()
        assert page.problems() == []
