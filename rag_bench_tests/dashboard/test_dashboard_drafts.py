"""A question goes into a draft from its page: who may, once, audited, undone, not from afar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_access import a_key, bearer
from dashboard_browser import Dashboard, chromium
from dashboard_pages import shown
from eval_run_rows import given_case, run_body
from local_provider import served
from small_world import World, copy_of
from sqlalchemy import Engine, text

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


MAIL = "ivan.petrov@example.org"


@pytest.fixture(scope="module")
def run_id(world: World) -> str:
    """A run of the service with a question of somebody, one without words, and a masked id."""
    cases = [
        given_case(0, id="plain"),
        given_case(1, id=f"of {MAIL}", question=f"Куда писать вместо {MAIL}?"),
        given_case(2, id="wordless"),
    ]
    body = {"cases": cases, "metrics": ["BLEU"], "eval_type": "retrieval"}
    made, _ = run_body(world.engine, Settings(), body)
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.eval_run_case set given = given - 'question' "
                "where run_id = :run and case_id = 'wordless'"
            ),
            {"run": made},
        )
    return made


def test_a_case_of_a_run_goes_in_from_the_run_s_page(world: World, run_id: str) -> None:
    query = f"?tab=runs&run={run_id}"
    page = shown(world.engine, query, LABELLER)
    assert 'id="rb-form-draft"' in page.html
    offered = re.findall(r'<button form="rb-form-draft" name="case" value="([^"]*)"', page.html)
    assert offered == ["plain", "of [e-mail]~2"], "what has no question has no button"
    for case in offered:
        told = done(world, LABELLER, "draft_add", draft="of runs", run=run_id, case=case)
        assert "is in the draft of runs now" in told, case
        assert MAIL not in told
    with world.engine.connect() as connection:
        first, second = drafts.items_of(connection, "of runs")
    assert (first.from_dataset, first.from_case) == (f"run:{run_id}", "plain")
    assert first.item.reference_answer == given_case(0)["ground_truth_answer"]
    assert second.from_case == f"of {MAIL}", "found by what stands for its id"
    again = shown(world.engine, query, LABELLER)
    assert [row["draft"] for row in again.tables["run-cases"]] == ["of runs", "of runs", ""]
    assert MAIL not in again.html
    for case in ("wordless", "gone", "of [e-mail]~1"):
        told = done(world, LABELLER, "draft_add", draft="of runs", run=run_id, case=case)
        assert "rb-bad" in told, case
    assert "data-act" not in shown(world.engine, query, Viewer("eve")).html
    refused = done(world, Viewer("eve"), "draft_add", draft="eves", run=run_id, case="plain")
    assert "label, run" in refused


def test_what_a_user_asked_goes_in_masked_from_the_list(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(
            text(
                "update rag_bench.question_answer set source_id = case place when 1 then :mail "
                "else source_id end, question = case place when 1 then :asked else :blank end, "
                "created_at = '2100-01-01' from (select dump_sha256 as dump, source_id as id, "
                "row_number() over (order by source_id) as place from rag_bench.question_answer "
                "where dump_sha256 = (select dump_sha256 from rag_bench.current_snapshot)) as them "
                "where dump_sha256 = dump and source_id = id and place <= 2"
            ),
            {"mail": MAIL, "asked": f"Куда писать, кроме {MAIL}?", "blank": "  "},
        )
    query = "?tab=questions&rows=users"
    page = shown(world.engine, query, LABELLER)
    first, *others = page.tables["users-questions"]
    assert first["text"] == "Куда писать, кроме [e-mail]?", "the newest, and no blank one"
    assert first["question"].startswith("[e-mail]~")
    assert MAIL not in page.html
    told = done(world, LABELLER, "draft_add", draft="asked", question=first["question"])
    assert "is in the draft asked now" in told
    assert "already" in done(
        world, LABELLER, "draft_add", draft="asked", question=first["question"]
    )
    assert "is in" in done(
        world, LABELLER, "draft_add", draft="asked", question=others[0]["question"]
    )
    with world.engine.connect() as connection:
        items = drafts.items_of(connection, "asked")
    assert [one.item.question for one in items] == [first["text"], others[0]["text"]]
    assert {one.item.reference_answer for one in items} == {None}
    assert all(one.from_dataset.startswith("traffic:") for one in items)
    again = shown(world.engine, query, LABELLER)
    inside = [row["draft"] for row in again.tables["users-questions"]]
    assert inside[:2] == ["asked", "asked"]
    assert not any(inside[2:])
    assert "rb-bad" in done(world, LABELLER, "draft_add", draft="asked", question="[e-mail]~77")
    behind = shown(world.engine, f"{query}&page=9999", LABELLER)
    assert behind.tables["users-questions"], "a page behind the last is the last"
    assert "data-act" not in shown(world.engine, query, Viewer("eve")).html
    assert "label, run" in done(world, Viewer("eve"), "draft_add", draft="a", question="1")


def test_what_users_asked_is_searched_as_it_is_shown(world: World) -> None:
    word = "кроме"
    found = shown(world.engine, f"?tab=questions&rows=users&search={word.upper()}")
    assert all(word in row["text"] for row in found.tables["users-questions"])
    # Parts of what is masked find nothing either, or it could be guessed piece by piece.
    for part in ("petrov", "ivan.", "example"):
        page = shown(world.engine, f"?tab=questions&rows=users&search={part}")
        assert "users-questions" not in page.tables, part
    boss = Viewer("boss", frozenset(Scope), unmasked=True)
    page = shown(world.engine, "?tab=questions&rows=users&search=petrov&unmask=1", boss)
    assert [MAIL in row["text"] for row in page.tables["users-questions"]] == [True]


def test_what_users_asked_is_listed_before_anything_is_measured(engine: Engine) -> None:
    page = shown(engine, "?tab=questions", LABELLER)
    assert "rows=users" in page.html
    assert "No dump with users" in shown(engine, "?tab=questions&rows=users", LABELLER).text


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


def test_rows_by_clicks(world: World, run_id: str, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    app = local(world.engine, Settings(), "127.0.0.1")
    name = "document.querySelector('#rb-form-draft input[name=draft]')"
    with served(app, lifespan="on") as url, chromium(tmp_path / "profile") as browser:
        page = Dashboard(browser, f"{url}/")
        for query in (f"?tab=runs&run={run_id}", "?tab=questions&rows=users"):
            page.open(query)
            page.run(f"{name}.value = 'clicked'; {name}.focus()")
            active = browser.switch_to.active_element
            active.send_keys("\ue007")  # Enter, which sends no row
            buttons = "document.querySelectorAll('button[form=rb-form-draft]')"
            page.run(f"{buttons}[1].click()")
            page.settled()
            assert "is in the draft clicked now" in page.words(), query
            inside = "[...document.querySelectorAll('td p')].map(p => p.textContent)"
            assert page.run(f"return {inside}").count("In the draft clicked.") == 1, query
            assert page.run(f"return {name}.value") == "clicked", "for the next row"
        assert page.problems() == []
    with world.engine.connect() as connection:
        assert len(drafts.items_of(connection, "clicked")) == 2
