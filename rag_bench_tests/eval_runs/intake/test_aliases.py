"""What clients call chunks: read from CSV and JSON, stored whole or not at all, used by runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_access import a_key, bearer, open_client
from eval_run_rows import run_body
from fastapi.testclient import TestClient
from known_chunks import HASHES, SNAPSHOT, TEXTS, known_engine, load_chunks
from sqlalchemy import Engine, delete, select
from typer.testing import CliRunner

from rag_bench.cli import app as whole
from rag_bench.cli.app import app
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.settings import Settings
from rag_bench.store.access.audit import actions
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.eval_runs.chunk_names import names_of
from rag_bench.store.eval_runs.tables import chunk_alias
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

PATH = "/eval/chunk-aliases"


@pytest.fixture(scope="module")
def world(server: EmbeddedServer, template_database: str) -> Iterator[Engine]:
    with known_engine(server, template_database) as made:
        yield made


@pytest.fixture
def engine(world: Engine) -> Engine:
    with world.begin() as connection:
        connection.execute(delete(chunk_alias))
    return world


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with open_client(engine) as made:
        made.headers.update(bearer(a_key(engine, ["label"])))
        yield made


def stored(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        query = select(chunk_alias.c.alias, chunk_alias.c.chunk_hash)
        return dict(connection.execute(query).tuples().all())


def csv(client: TestClient, text: str | bytes) -> Any:
    return client.post(PATH, content=text, headers={"content-type": "text/csv; charset=utf-8"})


def test_json_and_csv_name_chunks(client: TestClient, engine: Engine) -> None:
    given = {
        "aliases": [{"alias": "chunk_001", "chunk": 1}, {"alias": "гл. 2", "chunk": HASHES[1]}]
    }
    reply = client.post(PATH, json=given)
    assert (reply.status_code, reply.json()) == (200, {"added": 2, "changed": 0, "unchanged": 0})
    reply = client.post(PATH, json={"aliases": {"chunk_001": "2", "chunk_003": "3"}})
    assert reply.json() == {"added": 1, "changed": 1, "unchanged": 0}
    reply = csv(client, '﻿Chunk;Alias;note\r\n3;chunk_003;x\r\n1;"a;b";\r\n')
    assert reply.json() == {"added": 1, "changed": 0, "unchanged": 1}
    assert stored(engine) == {
        "chunk_001": HASHES[1],
        "гл. 2": HASHES[1],
        "chunk_003": HASHES[2],
        "a;b": HASHES[0],
    }
    newest = actions(engine)[0]
    assert (newest.action, newest.outcome, newest.user_id) == (f"POST {PATH}", "ok", "anna")
    assert len([one for one in actions(engine) if one.trace_id == newest.trace_id]) == 1


def test_runs_use_them_both_ways(client: TestClient, engine: Engine) -> None:
    client.post(PATH, json={"aliases": {"chunk_001": "1", "b": "3", "a": "3"}})
    case = {"question": "?", "ground_truth_chunks": ["chunk_001", "2", "chunk_9"], "answer": "!"}
    [known] = [one.known for one in prepare(engine, Settings(), {"cases": [case]}).cases]
    assert known["chunk_hashes"] == [HASHES[0], HASHES[1]]
    assert known["names"] == {HASHES[0]: "chunk_001", HASHES[1]: "2"}
    assert known["unknown_chunks"] == ["chunk_9"]
    with engine.connect() as connection:
        named = names_of(connection, SNAPSHOT, [*HASHES, "f" * 64])
    assert named == {HASHES[0]: "chunk_001", HASHES[1]: 2, HASHES[2]: "a", "f" * 64: "f" * 64}


@pytest.fixture
def next_dump(engine: Engine) -> Iterator[None]:
    """The dump after the known one: it has lost the first chunk, and calls the second 22."""
    left = [
        ChunkRecord(HASHES[1], 0, 22, "kb/2", TEXTS[1]),
        ChunkRecord(HASHES[2], 1, 3, "kb/3", TEXTS[2]),
    ]
    save_snapshot(engine, NewSnapshot("6" * 64, "next.sql", "dump", 1, left, []))
    yield
    load_chunks(engine)  # for the tests behind this one


def test_what_only_an_earlier_snapshot_has_is_told_from_what_none_has(
    client: TestClient, engine: Engine, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    client.post(PATH, json={"aliases": {"moved": "2", "gone": "1"}})
    request.getfixturevalue("next_dump")
    settings = Settings(eval_results=tmp_path)
    names = ["22", "2", "moved", "1", "gone", HASHES[0], "nobody"]
    cases = [{"question": "?", "ground_truth_chunks": [name], "answer": "!"} for name in names]
    known = [one.known for one in prepare(engine, settings, {"cases": cases}).cases]
    # Known by its text, whatever it is called now; an alias means the chunk that it was given for.
    assert [one["chunk_hashes"] for one in known[:3]] == [[HASHES[1]]] * 3
    assert [one.get("outdated_chunks") for one in known[3:6]] == [["1"], ["gone"], [HASHES[0]]]
    assert [one["unknown_chunks"] for one in known] == [*[[]] * 6, ["nobody"]]
    _, told = run_body(engine, settings, {"cases": cases, "eval_type": "retrieval"})
    assert told is not None
    flags = [case["flags"] for case in told["cases"]]
    assert all("outdated_chunk" in one and "unknown_chunk" not in one for one in flags[3:6])
    assert "unknown_chunk" in flags[6]
    assert not any({"outdated_chunk", "unknown_chunk"} & set(one) for one in flags[:3])
    assert told["cases"][3]["details"]["outdated_chunks"] == ["1"]
    said = " ".join(told["notes"])
    assert "3 cases name chunks that only an earlier snapshot of the knowledge base has" in said
    assert "1 case names chunks that the knowledge base does not have" in said


@pytest.mark.parametrize(
    ("sent", "places"),
    [
        ({"aliases": {"a": "1", "b": "9"}}, ["#/aliases/b"]),
        ({"aliases": {"a": "1", "2": "1"}}, ["#/aliases/2"]),  # the dump calls another one so
        (
            {
                "aliases": [
                    {"alias": "a", "chunk": 1},
                    {"alias": "a", "chunk": 2},
                    {"alias": "x"},
                    5,
                ]
            },
            ["#/aliases/2", "#/aliases/3"],
        ),
        ({"aliases": [{"alias": "a", "chunk": 1}, {"alias": "a", "chunk": 2}]}, ["#/aliases/1"]),
        ({"aliases": [{"alias": " ", "chunk": True}]}, ["#/aliases/0"]),
        ({"aliases": [{"alias": "a" * 301, "chunk": "1"}]}, ["#/aliases/0"]),
        ({"aliases": []}, ["#/aliases"]),
        ({"aliases": 5}, ["#/aliases"]),
        (5, ["#"]),
    ],
)
def test_bad_json_is_located_and_nothing_is_stored(
    client: TestClient, engine: Engine, sent: Any, places: list[str]
) -> None:
    reply = client.post(PATH, json=sent)
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
    assert [one["pointer"] for one in reply.json()["errors"]] == places
    assert stored(engine) == {}


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        ("alias,chunk\na,1\n\nb,9\nc,8\n", [4, 5]),
        ("alias,chunk\na,1\n,2\nd\n", [3, 4]),
        ('alias,chunk\na,1,"x\nb",7\n', [2]),
        ('alias,chunk\na,1\nb,"2\n', [3]),
        ("alias,other\na,1\n", [1]),
        ("name,id\na,1\n", [1]),
        ("alias,chunk,alias\na,1,b\n", [1]),
        ("alias,chunk\n", [1]),
        (b"alias,chunk\n\xff\x98\x80,1\n", [1]),
        ("", [1]),
        ('{"aliases": {"a": 1, "a": 2}}', [None]),
    ],
)
def test_bad_rows_are_located_and_nothing_is_stored(
    client: TestClient, engine: Engine, sent: str | bytes, lines: list[int]
) -> None:
    reply = csv(client, sent)
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT"), reply.text
    assert [one.get("line") for one in reply.json()["errors"]] == lines
    assert stored(engine) == {}


def test_a_bad_cell_is_located_by_its_column_and_the_name_of_it(client: TestClient) -> None:
    sent = 'sep=;\nchunk;note;alias\n1;"x;\n""y""";"a"\n9;;b\n1;"two\nlines";\n'
    errors = csv(client, sent).json()["errors"]
    found = [(one["line"], one["column"], one["field"]) for one in errors]
    assert found == [(7, 8, "alias")]
    errors = csv(client, sent.rstrip().rpartition("\n")[0].rpartition("\n")[0]).json()["errors"]
    assert [(one["line"], one["column"], one["field"]) for one in errors] == [(5, 1, "chunk")]


def test_another_kind_of_body_is_not_read(client: TestClient) -> None:
    reply = client.post(PATH, content=b"<a/>", headers={"content-type": "application/xml"})
    assert reply.status_code == 415


def test_the_command(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", engine.url.render_as_string(False))
    file = tmp_path / "names.csv"
    file.write_bytes("alias\tchunk\nраздел 1\t1\n".encode("cp1251"))
    run = CliRunner().invoke(app, ["import-aliases", str(file)])
    assert (run.exit_code, run.output) == (0, "1 added, 0 changed, 0 unchanged\n")
    file.write_text(json.dumps({"x": "77"}), encoding="utf-8")
    run = CliRunner().invoke(app, ["import-aliases", str(file)])
    assert run.exit_code != 0
    assert "names.csv, #/x: The current snapshot has no chunk '77'" in str(run.exception)
    assert stored(engine) == {"раздел 1": HASHES[0]}
