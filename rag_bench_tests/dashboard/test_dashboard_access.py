"""Who sees the dashboard, and who sees users' words as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api_access import a_key, bearer
from dashboard_pages import shown
from local_provider import served
from small_world import World, copy_of
from sqlalchemy import Engine, text

from rag_bench.api.app import build
from rag_bench.dashboard.address import PARAMETERS, TABS
from rag_bench.dashboard.context import Viewer
from rag_bench.errors import ConfigurationError
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(600)
NAME, PHONE, MAIL = "Кузнецова Мария Петровна", "+7 912 345-67-89", "maria.kuznetsova@example.org"
PLANTED = f"Я {NAME}, мой номер {PHONE}, почта {MAIL}"


@pytest.fixture(scope="module")
def planted(populated: World, server: EmbeddedServer) -> Iterator[World]:
    """Personal data in questions, answers, reasons and chunks, where names are public."""
    with copy_of(server, populated) as world:
        with world.engine.begin() as connection:
            for statement in (
                "update rag_bench.dataset_item set question = :words || item_id, "
                "reference_answer = :words",
                "update rag_bench.evaluation_case set answer = :words where answer is not null",
                "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
                "'reasoning_rubric_e2e_quality', cast(:words as text)) where scores ? "
                "'rubric_e2e_quality'",
                "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
                "'reason', cast(:words as text), 'predicted_show', false) where scores ? "
                "'predicted_show'",
                "update rag_bench.evaluation_case set error_detail = :words "
                "where error_code is not null",
                "update rag_bench.question_answer set question = :words || ' ' || question, "
                "answer = :words where answer is not null",
                "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
                "'sample_questions', jsonb_build_array(cast(:words as text))) where scores ? "
                "'sample_questions'",
            ):
                connection.execute(text(statement), {"words": PLANTED})
            contact = {"words": f"Звоните {PHONE} или пишите {MAIL}. "}
            connection.execute(text("update rag_bench.chunk set text = :words || text"), contact)
        yield world


def views(world: World) -> list[str]:
    """Every tab, with what it shows of single cases."""
    [row] = world.rows(
        "select min(c.case_id) as one, min(e.id) as first, max(e.id) as last from "
        "rag_bench.evaluation e join rag_bench.evaluation_case c on c.evaluation_id = e.id where "
        "e.tier = '3' and e.kind = 'scores' and e.generation_model = 'simulator/sim-weak' and "
        "e.benchmark_judge_model = 'simulator/sim-judge-sharp'"
    )
    failed = world.rows(
        "select evaluation_id from rag_bench.evaluation_case where error_code is not null limit 1"
    )
    return [
        *(f"?tab={tab}" for tab in TABS),
        f"?tab=questions&case={row['one']}",
        f"?tab=compare&a={row['first']}&b={row['last']}",
        *(f"?tab=runs&evaluation={one['evaluation_id']}" for one in failed),
    ]


def test_no_view_shows_personal_data(planted: World) -> None:
    for query in views(planted):
        for viewer in (Viewer(), Viewer(unmasked=True)):  # who may must ask for it, too
            html = shown(planted.engine, query, viewer).html
            for secret in SECRETS:
                assert secret not in html, (query, secret)
        assert "could not be shown" not in html, query


SECRETS = (NAME, PHONE, MAIL, "912 345", "maria.kuznetsova")


def test_no_report_shows_personal_data(planted: World) -> None:
    from datetime import UTC, datetime

    from rag_bench.reporting import leaderboard, report

    board = leaderboard.build(planted.engine)
    assert board.by_topic is not None, "scores by topic are in it"
    content = report.content(board, {}, "e5", datetime.now(UTC))
    made = [json.dumps(content, ensure_ascii=False)]
    made += [report.render(name, content, board) for name in ("report.md.j2", "report.html.j2")]
    for text_of in made:
        assert not [secret for secret in SECRETS if secret in text_of]


def test_no_analysis_in_a_file_shows_personal_data(planted: World) -> None:
    from rag_bench.tiers.traffic import analytics
    from rag_bench.tiers.traffic.analysis import open_analysis

    # As `rag-bench analyze-… --output` writes them: made anew of the planted questions.
    analysis = open_analysis(planted.engine)
    found = [
        analytics.topic_coverage(analysis, analytics.TopicsConfig(n_topics=3)),
        analytics.domain_insights(analysis, analytics.DomainConfig()),
    ]
    for one in found:
        written = json.dumps(analytics.as_json(analysis, one), ensure_ascii=False).lower()
        assert not [secret for secret in SECRETS if secret.lower() in written], one.tier
        assert "кузнецова" not in written


def test_asking_is_not_enough_without_the_right(planted: World) -> None:
    [question] = [view for view in views(planted) if "case=" in view]
    assert MAIL not in shown(planted.engine, f"{question}&unmask=1").html
    allowed = shown(planted.engine, f"{question}&unmask=1", Viewer(unmasked=True)).html
    assert MAIL in allowed
    assert NAME in allowed


class Asker:
    """A client of the dashboard beside the API."""

    def __init__(self, url: str, key: str) -> None:
        self.client = httpx.Client(base_url=f"{url}/dashboard", headers=bearer(key), timeout=60)

    def look(self, query: str) -> str:
        """Ask for a view as the page does; returns all that came back."""
        given = {"data": [query], "fn_index": 0, "session_hash": "s", "event_data": None}
        self.client.post("/gradio_api/queue/join", json=given).raise_for_status()
        address = "/gradio_api/queue/data?session_hash=s"
        with self.client.stream("GET", address) as reply:
            for line in reply.iter_lines():
                message: dict[str, Any] = json.loads(line[6:]) if line[:6] == "data: " else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    return json.dumps(message["output"], ensure_ascii=False)
        raise AssertionError("no answer")


@pytest.fixture(scope="module")
def beside_api(planted: World) -> Iterator[tuple[str, Engine]]:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import beside

    app = build(planted.engine, Settings())
    beside(app, planted.engine, Settings())
    with served(app, lifespan="on") as url:
        yield url, planted.engine


def test_it_needs_a_key_that_may_read(beside_api: tuple[str, Engine]) -> None:
    url, engine = beside_api
    nobody = httpx.get(f"{url}/dashboard/")
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"].startswith("Basic")
    asset = httpx.get(f"{url}/dashboard/assets/index.js")
    assert asset.status_code == 401
    reader, labeller = a_key(engine, ["read"]), a_key(engine, ["label"])
    assert httpx.get(f"{url}/dashboard/", auth=("any", reader)).status_code == 200
    assert httpx.get(f"{url}/dashboard/", auth=("any", labeller)).status_code == 401
    joined = httpx.post(
        f"{url}/dashboard/gradio_api/queue/join", headers=bearer(labeller), json={"data": []}
    )
    assert joined.status_code == 401
    assert "e2e quality" in Asker(url, reader).look("?tab=models")


def test_words_as_they_are_need_admin_and_are_in_the_audit(
    beside_api: tuple[str, Engine],
) -> None:
    url, engine = beside_api
    reader, admin = a_key(engine, ["read"]), a_key(engine, ["read", "admin"], user="boss")
    query = "?tab=questions&unmask=1"
    assert MAIL not in Asker(url, reader).look(query)
    looked = "select user_id from rag_bench.audit where action like 'dashboard unmasked %'"
    with engine.connect() as connection:
        assert list(connection.execute(text(looked))) == []
    assert MAIL in Asker(url, admin).look(query)
    with engine.connect() as connection:
        assert list(connection.execute(text(looked)).scalars()) == ["boss"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
        ("POST", "/gradio_api/call/look"),
        ("POST", "/gradio_api/run/look"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/runs"),
        ("POST", "/login"),
    ],
)
def test_other_addresses_of_gradio_are_not_there(
    beside_api: tuple[str, Engine], method: str, path: str
) -> None:
    url, engine = beside_api
    answer = httpx.request(method, f"{url}/dashboard{path}", headers=bearer(a_key(engine)), json={})
    assert answer.status_code == 404


def test_the_page_may_load_nothing_from_elsewhere(beside_api: tuple[str, Engine]) -> None:
    url, engine = beside_api
    page = httpx.get(f"{url}/dashboard/", headers=bearer(a_key(engine)))
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "og:image" not in page.text
    assert '"analytics_enabled":false' in page.text
    assert '"show_error":false' in page.text


def test_every_link_brings_the_page(beside_api: tuple[str, Engine]) -> None:
    """Gradio has parameters of these and other names; of `page` it wants a page of its own."""
    url, engine = beside_api
    headers = bearer(a_key(engine))
    names = (*PARAMETERS, "tab", "deep_link", "view", "session_hash")
    pages = {
        httpx.get(f"{url}/dashboard/", params={name: "2"}, headers=headers).status_code
        for name in names
    }
    assert pages == {200}
    whole = httpx.get(f"{url}/dashboard/", params=dict.fromkeys(names, "2"), headers=headers)
    assert whole.status_code == 200
    with engine.connect() as connection:
        said = connection.execute(text("select distinct action from rag_bench.audit")).scalars()
        assert "GET /dashboard/" in set(said)


def test_without_a_login_it_stays_on_this_machine(engine: Engine) -> None:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    for host in ("0.0.0.0", "192.168.1.7", "::", "example.org"):
        with pytest.raises(ConfigurationError, match="rag-bench api"):
            local(engine, Settings(), host)
    with served(local(engine, Settings(), "127.0.0.1"), lifespan="on") as url:
        assert httpx.get(url).status_code == 200
        # A stranger's name that leads to this machine.
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 400


def test_no_reply_of_the_api_shows_personal_data_to_a_reader(
    beside_api: tuple[str, Engine], planted: World
) -> None:
    url, engine = beside_api
    reader, runner = a_key(engine, ["read"]), a_key(engine, ["read", "run", "label"])
    [item] = planted.rows(
        "select dataset_id, item_id from rag_bench.dataset_item where question like :words limit 1",
        words=f"{PLANTED}%",
    )
    case = {"name": "hard", "dataset": item["dataset_id"], "case_id": item["item_id"]}
    put = httpx.post(f"{url}/eval/drafts", headers=bearer(runner), json=case)
    assert put.status_code == 200, put.text
    described = httpx.get(f"{url}/openapi.json", headers=bearer(reader)).json()
    paths = [path for path, how in described["paths"].items() if "get" in how and "{" not in path]
    assert {"/leaderboard", "/model_runs", "/datasets", "/eval/drafts"} <= set(paths)
    answered = 0
    for path in [*paths, "/eval/drafts/hard"]:
        # A stream of events has no end; a comparison needs two runs, which a reader names.
        if path.endswith("/events"):
            continue
        reply = httpx.get(f"{url}{path}", headers=bearer(reader), timeout=60)
        assert reply.status_code < 500, (path, reply.text)
        answered += reply.status_code == 200
        assert not [secret for secret in SECRETS if secret in reply.text], path
    assert answered >= 5
    draft = httpx.get(f"{url}/eval/drafts/hard", headers=bearer(reader)).json()
    assert draft["masked"]
    assert "[" in draft["cases"][0]["question"]
