"""Personal data of every kind is planted wherever words are kept: who may not see it sees none.

Of the dashboard every tab with what it opens; of the API every GET of the OpenAPI document, with
the ids that there are, as each scope; who may `admin` sees it, and the audit says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from api_access import a_key, bearer
from dashboard_pages import shown
from local_provider import served
from planted_store import (
    BUILD,
    CASE_IDS,
    DRAFT,
    PLANTED,
    WORDS,
    PlantedIds,
    everything,
    found_in,
    plant,
)
from small_world import World, copy_of
from sqlalchemy import Engine, text

from rag_bench.access.scopes import Scope
from rag_bench.api.app import build
from rag_bench.dashboard.address import LANGUAGES, TABS
from rag_bench.dashboard.context import Viewer
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(600)
FAILED = [Words(lang)("failed", mark="").partition(".")[0] for lang in LANGUAGES]


@pytest.fixture(scope="module")
def planted(populated: World, server: EmbeddedServer) -> Iterator[tuple[World, PlantedIds]]:
    with copy_of(server, populated) as world:
        yield world, plant(world.engine)


def views(world: World, ids: PlantedIds) -> list[str]:
    """Every tab in both languages, and whatever opens from one."""
    kinds = world.rows(
        "select distinct on (tier, kind, error) id from (select e.id, e.tier, e.kind, exists("
        "select 1 from rag_bench.evaluation_case c where c.evaluation_id = e.id and c.error_code "
        "is not null) as error from rag_bench.evaluation e) as found order by tier, kind, error"
    )
    cases = world.rows(
        "select item_id from rag_bench.dataset_item where item_id = any(:ids)", ids=list(CASE_IDS)
    )
    first, last = ids.evaluations
    compared = f"?tab=compare&a={first}&b={last}"
    runs = f"?tab=compare&a=run:{ids.own}&b=run:{ids.others}"
    filters = ("regressed", "improved", "different", "errors", "unpaired")
    return [
        *(f"?tab={tab}&lang={'en' if n % 2 else 'ru'}" for n, tab in enumerate(TABS)),
        *(f"?tab=questions&case={quote(one['item_id'])}" for one in cases),
        *(f"?tab=runs&evaluation={one['id']}" for one in kinds),
        *(f"?tab=runs&run={run}" for run in (ids.own, ids.others, ids.over_dataset)),
        *(f"{pair}&filter={one}" for pair in (compared, runs) for one in filters),
        *(f"?tab=judges&draw={ids.draw}&annotator={who}" for who in ("anna", "boris", "vera")),
        *(f"?tab=questions&rows=users&search={word}" for word in ("", "как", "зачётка")),
        *(f"?tab=utilization&kind={kind}" for kind in ("used", "answered", "topic", "page")),
    ]


def test_no_view_shows_any(planted: tuple[World, PlantedIds]) -> None:
    world, ids = planted
    everybody = frozenset(Scope) - {Scope.ADMIN}
    wrong = {}
    for query in views(world, ids):
        page = shown(world.engine, query, Viewer(scopes=everybody))
        assert not any(words in page.html for words in FAILED), query
        # What a table's button saves as CSV stands in its cells, and a figure is plain data.
        if leaked := found_in(everything([page.html, *page.figures])):
            wrong[query] = leaked
    assert not wrong


def test_a_case_is_opened_by_what_stands_for_its_id(planted: tuple[World, PlantedIds]) -> None:
    world, _ = planted
    [listed] = [
        row
        for row in shown(world.engine, "?tab=questions").tables["questions"]
        if next(iter(row.values())).startswith("[e-mail]")
    ]
    name = next(iter(listed.values()))
    page = shown(world.engine, f"?tab=questions&case={quote(name)}")
    assert name in page.text
    assert "[name]" in page.text
    assert page.tables["measures"]


def test_what_is_masked_is_not_searched_for(planted: tuple[World, PlantedIds]) -> None:
    world, _ = planted
    for search in (PLANTED["name"], PLANTED["phone"], PLANTED["e-mail"]):
        page = shown(world.engine, f"?tab=questions&search={quote(search)}")
        assert "questions" not in page.tables
        assert "cannot be searched for" in page.text


@pytest.mark.parametrize("kind", ["name", "phone", "e-mail"])
def test_parts_of_what_is_masked_find_nothing(planted: tuple[World, PlantedIds], kind: str) -> None:
    world, _ = planted
    hidden = PLANTED[kind]
    for part in (hidden[:4], hidden[2:7], hidden[-4:]):
        for rows, table in (("", "questions"), ("&rows=users", "users-questions")):
            page = shown(world.engine, f"?tab=questions{rows}&search={quote(part)}")
            for row in page.tables.get(table, []):
                assert part.casefold() in row["question"].casefold()
    search = f"search={quote(hidden[2:7])}"
    found = shown(world.engine, f"?tab=questions&{search}&unmask=1", Viewer(unmasked=True))
    assert found.tables["questions"], "who may see it finds it"
    # Nor do the links to the questions beside one tell which of them hold it.
    for row in shown(world.engine, "?tab=questions").tables["questions"]:
        case = quote(next(iter(row.values())))
        page = shown(world.engine, f"?tab=questions&case={case}&{search}")
        assert 'rel="next"' not in page.html
        assert 'rel="prev"' not in page.html


@pytest.fixture(scope="module")
def api(planted: tuple[World, PlantedIds]) -> Iterator[tuple[str, Engine, PlantedIds]]:
    world, ids = planted
    with served(build(world.engine, Settings()), lifespan="on") as url:
        yield url, world.engine, ids


def addresses(url: str, key: str, engine: Engine, ids: PlantedIds) -> list[str]:
    """Every GET of the description with ids that there are; the test fails where one is unknown."""
    described: dict[str, Any] = httpx.get(f"{url}/openapi.json", headers=bearer(key)).json()
    known = {
        "run_id": [ids.own, ids.others, ids.over_dataset],
        "draw_id": [str(ids.draw)],
        "name": [DRAFT],
    }
    found = []
    for path, how in described["paths"].items():
        if "get" not in how:
            continue
        names = [one["name"] for one in how["get"].get("parameters", ()) if one["in"] == "path"]
        assert set(names) <= set(known), f"ids of {path} are not planted here"
        for value in known[names[0]] if names else [""]:
            found.append(path.replace(f"{{{names[0]}}}", value) if names else path)
    first, last = ids.evaluations
    pairs = [(f"evaluation:{first}", f"evaluation:{last}"), (f"run:{ids.own}", f"run:{ids.others}")]
    found = [path for path in found if path != "/eval/compare"]
    found += [f"/eval/compare?a={a}&b={b}" for a, b in pairs]
    found += [f"/eval/runs/{run}/cases?limit=1" for run in (ids.own, ids.others)]
    return found


def asked(url: str, path: str, key: str, accept: str = "*/*") -> httpx.Response:
    headers = {**bearer(key), "Accept": accept}
    return httpx.get(f"{url}{path}", headers=headers, timeout=60)


def replies(url: str, path: str, key: str) -> Iterator[str]:
    for accept in ("*/*", "application/x-ndjson") if path.endswith("/cases") else ("*/*",):
        reply = asked(url, path, key, accept)
        assert reply.status_code < 500, (path, reply.text)
        yield reply.text + json.dumps(dict(reply.headers))


def is_own(path: str, ids: PlantedIds) -> bool:
    """Whether a reply is of what anna sent herself, or of a list that has it."""
    return path == "/eval/runs" or path.startswith(f"/eval/runs/{ids.own}")


@pytest.mark.parametrize("scopes", [[s] for s in Scope if s != Scope.ADMIN] + [list(Scope)[:-1]])
def test_no_reply_shows_any_without_admin(
    api: tuple[str, Engine, PlantedIds], scopes: list[Scope]
) -> None:
    url, engine, ids = api
    reader, stranger = a_key(engine, scopes, user="anna"), a_key(engine, scopes, user="carl")
    wrong, answered = {}, 0
    for path in addresses(url, reader, engine, ids):
        for key in (reader, stranger) if Scope.READ in scopes else (reader,):
            for reply in replies(url, path, key):
                if key is reader and is_own(path, ids):
                    continue
                answered += 1
                if leaked := found_in(reply):
                    wrong[path] = leaked
    assert not wrong
    assert answered > 10


def test_a_client_reads_the_cases_that_it_sent(api: tuple[str, Engine, PlantedIds]) -> None:
    url, engine, ids = api
    anna = a_key(engine, ["read"], user="anna")
    own = asked(url, f"/eval/runs/{ids.own}/cases", anna).json()["cases"]
    assert [one["case_id"] for one in own] == list(CASE_IDS)
    assert {one["llm_answer"] for one in own} == {WORDS}
    assert WORDS in asked(url, f"/eval/runs/{ids.own}/report", anna).text
    listed = {run["run_id"]: run for run in asked(url, "/eval/runs", anna).json()["runs"]}
    strangers = asked(url, f"/eval/runs/{ids.over_dataset}", a_key(engine, user="carl")).json()
    assert strangers["labels"] == {"build": "[number]"}
    assert listed[ids.own]["labels"]["who"] == WORDS
    assert not found_in(json.dumps(listed[ids.others]))
    # Her run over a stored dataset shows her own labels, but not what users wrote.
    over = asked(url, f"/eval/runs/{ids.over_dataset}", anna).json()
    assert over["labels"] == {"build": BUILD}
    assert not found_in(json.dumps(over["comparison"]))
    for what in ("cases", "report"):
        assert not found_in(asked(url, f"/eval/runs/{ids.over_dataset}/{what}", anna).text)
    others = asked(url, f"/eval/runs/{ids.others}/cases", anna).json()["cases"]
    assert len({one["case_id"] for one in others}) == len(CASE_IDS), "still told apart"


def test_who_may_admin_sees_it_and_the_audit_says_so(
    api: tuple[str, Engine, PlantedIds],
) -> None:
    url, engine, ids = api
    admin = a_key(engine, ["read", "label", "admin"], user="boss")
    first, last = ids.evaluations
    routes = {
        f"/eval/runs/{ids.others}": "GET /eval/runs/{run_id}",
        f"/eval/runs/{ids.others}/cases": "GET /eval/runs/{run_id}/cases",
        f"/eval/runs/{ids.others}/report": "GET /eval/runs/{run_id}/report",
        f"/eval/compare?a={first}&b={last}": "GET /eval/compare",
        f"/eval/drafts/{DRAFT}": "GET /eval/drafts/{name}",
        "/eval/labels": "GET /eval/labels",
        "/eval/runs": "GET /eval/runs",
    }
    for path, action in routes.items():
        assert found_in(asked(url, path, admin).text), path
        with engine.connect() as connection:
            noted = connection.execute(
                text("select user_id from rag_bench.audit where action = :action order by id desc"),
                {"action": action},
            ).scalars()
            assert next(iter(noted)) == "boss", path


def test_neither_dagster_nor_callbacks_nor_the_audit_have_any(
    planted: tuple[World, PlantedIds],
) -> None:
    from rag_bench.assets.service.record import metadata_of
    from rag_bench.store.eval_runs import reading
    from rag_bench.store.eval_runs.callback_payload import payload_of

    world, ids = planted
    with world.engine.connect() as connection:
        rows = [
            row
            for run in (ids.own, ids.others, ids.over_dataset)
            if (row := reading.get(connection, run))
        ]
    assert len(rows) == 3
    for row in rows:
        assert not found_in(str(metadata_of(row)))
        assert "[name]" in str(metadata_of(row)["cause"])
        # What a client called its run is told to the address that it named, and nothing of cases.
        told = payload_of(
            {**row, "labels": {}, "comparison": {"worse": row["comparison"]["worse"]}}
        )
        assert not found_in(everything([told]))
    audit = world.rows("select a::text as row from rag_bench.audit as a")
    assert not found_in(everything([one["row"] for one in audit]))


COPIED = """
    update rag_bench.dataset_item as item set question = left(chunk.text, 200)
    from rag_bench.chunk, rag_bench.current_snapshot as now
    where chunk.dump_sha256 = now.dump_sha256 and chunk.chunk_hash = item.chunk_hashes[1]
        and item.item_id = any(:ids)
"""


def test_neither_a_dataset_s_health_nor_a_written_report_has_any(
    planted: tuple[World, PlantedIds],
) -> None:
    """Questions that repeat their chunk are quoted, and items are named, in JSON and registry."""
    world, _ = planted
    with world.engine.begin() as connection:
        connection.execute(text(COPIED), {"ids": list(CASE_IDS)})
    [row] = world.rows(
        "select dataset_id as id from rag_bench.dataset_item where item_id = :one", one=CASE_IDS[0]
    )
    ran = world.run(["dataset_health", "benchmark_report"], benchmark={"dataset": row["id"]})
    assert ran.success
    events = ran.get_asset_materialization_events()
    told = [str(one.materialization.metadata) for one in events]
    told += [str(one.metadata) for one in ran.get_asset_check_evaluations()]
    assert len(told) > len(events) > 1
    files = [one.read_text(encoding="utf-8") for one in world.reports.iterdir() if one.is_file()]
    # The registry beside it has it too, of all reports.
    reports = [one for one in world.reports.glob("rag_benchmark_*.json") if one.is_file()]
    written = max(reports).read_text(encoding="utf-8")
    assert not found_in(everything([*told, *files]))
    health = json.loads(written)["dataset_health"]
    copied = {one["id"] for one in health["leakage"]["copied"]}
    assert {"[e-mail]~1", "[name]~2"} <= copied
    assert "[number]" in health["leakage"]["copied"][0]["question"]
    assert "[name]" in health["dataset"]
    named = {one for kind in ("all_right", "telling") for one in health["discrimination"][kind]}
    assert "[e-mail]~1" in named


def test_a_case_is_labelled_and_taken_out_by_what_stands_for_its_id(
    api: tuple[str, Engine, PlantedIds],
) -> None:
    url, engine, ids = api
    key = a_key(engine, ["read", "label"], user="carl")
    with httpx.Client(base_url=url, headers=bearer(key), timeout=60) as client:
        seen = set()
        while (case := client.get(f"/eval/draws/{ids.draw}/next").json())["case_id"]:
            seen.add(case["case_id"])
            given = {"case_id": case["case_id"], "value": 3}
            took = client.post(f"/eval/draws/{ids.draw}/labels", json=given)
            assert took.status_code == 200, took.text
            assert not found_in(took.text)
        assert any(one.startswith("[e-mail]~") for one in seen)
        [inside] = client.get(f"/eval/drafts/{DRAFT}").json()["cases"]
        removed = client.delete(f"/eval/drafts/{DRAFT}/cases/{quote(inside['id'])}")
        assert removed.json() == {"removed": True}
