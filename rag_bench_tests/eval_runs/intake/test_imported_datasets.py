"""A client's tests become a dataset: our JSONL, the service's cases, OpenAI's Evals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_access import a_key, bearer, open_client
from fastapi.testclient import TestClient
from known_chunks import HASHES, TEXTS, known_engine
from sqlalchemy import Engine

from rag_bench.store.datasets import find_dataset, items_of
from rag_bench.store.embedded import EmbeddedServer

PATH = "/eval/datasets"
LINES = {"content-type": "application/x-ndjson"}
CASE = {
    "question": "Что входит в политику?",
    "ground_truth_answer": "Доступ.",
    "ground_truth_chunks": [1, "глава 2", HASHES[2]],
    "lang": "ru",
}


@pytest.fixture(scope="module")
def engine(server: EmbeddedServer, template_database: str) -> Iterator[Engine]:
    with known_engine(server, template_database) as made:
        yield made


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[TestClient]:
    with open_client(engine) as made:
        made.headers.update(bearer(a_key(engine, ["label"])))
        named = made.post("/eval/chunk-aliases", json={"aliases": {"глава 2": 2}})
        assert named.status_code == 200
        yield made


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def imported(engine: Engine, reply: Any) -> list[Any]:
    assert reply.status_code == 200, reply.text
    found = find_dataset(engine, reply.json()["id"])
    assert found is not None
    assert reply.json()["n_items"] == found.n_items
    return items_of(engine, found.id)


def test_the_services_own_cases(client: TestClient, engine: Engine) -> None:
    reply = client.post(f"{PATH}?name=золото", content=lines(CASE), headers=LINES)
    (item,) = imported(engine, reply)
    assert (item.reference_answer, item.chunk_hashes) == ("Доступ.", HASHES)
    assert item.details == {"language": "ru"}
    said = reply.json()
    assert (said["name"], said["summary"].split(":")[0]) == ("золото", "1 questions")
    assert said["files"][0] | {"notes": []} == {
        "file": "body.jsonl",
        "form": "questions",
        "rows": 1,
        "fields": {
            "question": "question",
            "ground_truth_answer": "reference answer",
            "ground_truth_chunks": "chunks that the question is about",
            "lang": "language",
        },
        "notes": [],
    }
    again = client.post(PATH, json=[CASE])
    assert again.json()["id"] == said["id"]


def test_rows_of_hosted_evals(client: TestClient, engine: Engine) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "Where?"}]}]
    rows = [
        {"item": {"question": "Где карта?", "ideal": "В 12.", "context": TEXTS[2]}},
        {"item": {"input": asked, "ideal": "Ann."}, "sample": {"output_text": "Bob."}},
        {
            "object": "eval.run.output_item",
            "datasource_item": {"item": {"input": parts, "ideal": ["In 12.", "12"]}},
            "sample": {"output": []},
            "results": [{"passed": True}],
        },
    ]
    reply = client.post(PATH, content=lines(*rows), headers=LINES)
    first, second, third = imported(engine, reply)
    assert (first.question, first.reference_answer) == ("Где карта?", "В 12.")
    assert first.chunk_hashes == (HASHES[2],)
    assert (second.question, second.reference_answer) == ("Who?", "Ann.")
    assert (third.question, third.details["answers"]) == ("Where?", ["In 12.", "12"])
    (report,) = reply.json()["files"]
    assert (report["form"], report["rows"]) == ("OpenAI Evals", 3)
    assert report["fields"]["sample"] == "what a system said: not read"
    assert any("sample: not read" in note for note in report["notes"])


def test_fields_of_other_names(client: TestClient, engine: Engine) -> None:
    row = {"item": {"ticket_text": "Не печатает", "correct_label": "Hardware"}}
    bad = client.post(PATH, content=lines(row), headers=LINES)
    assert bad.status_code == 400
    assert "question must be a text" in bad.json()["errors"][0]["detail"]
    asked = {"field": ["question=ticket_text", "reference_answer=correct_label"]}
    (item,) = imported(engine, client.post(PATH, params=asked, content=lines(row), headers=LINES))
    assert (item.question, item.reference_answer) == ("Не печатает", "Hardware")
    for field in ("question=none", "nothing=ticket_text"):
        reply = client.post(PATH, params={"field": field}, content=lines(row), headers=LINES)
        assert reply.status_code == 400
    assert client.post(PATH, params={"field": "x"}, content=lines(row)).status_code == 400


def test_several_files_are_one_dataset(client: TestClient, engine: Engine) -> None:
    files = [
        ("file", ("a/../../вопросы.jsonl", lines({"question": "Раз?", "answer": "1"}))),
        ("file", ("b.csv", "question;answer\nДва?;2\n".encode("cp1251"))),
    ]
    reply = client.post(PATH, files=files)
    assert [item.reference_answer for item in imported(engine, reply)] == ["1", "2"]
    assert [one["file"] for one in reply.json()["files"]] == ["вопросы.jsonl", "b.csv"]
    assert reply.json()["name"] == "вопросы"
    assert "Windows-1251" in reply.json()["files"][1]["notes"][0]


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (lines({"question": "?"}) + b'{"question": "?"', 2, 17),
        (lines({"question": "?"}, {"question": 5}), 2, 14),
        (lines({"question": "a"}, {"question": "a\0"}), 2, 14),
        (lines({"question": "a"}, {"question": "a", "source": "\0"}), 2, 29),
        (lines({"question": "a"}) + b'{"question": "a", "id": "\\ud800"}', 2, 25),
        (lines({"question": "a"}, {"question": "b", "ground_truth_chunks": ["no"]}), 2, 43),
        (lines({"id": 1, "question": "a"}, {"id": 1, "question": "b"}), 2, 8),
        (lines({"item": {"question": "a"}}, {"item": {"id": "x", "question": 5}}), 2, 34),
        (b'[{"question": "a"},\n {"id": 7,\n  "question": 5}]', 3, 15),
        (b'question;id\n"a;\nb";1\n"";2\n', 4, 1),
        (b'id;question\n1;"a ""b"";c"\n1;d\n', 3, 1),
        (lines({"question": "a"}, [1]), 2, 1),
        (lines({"question": "a"}) + b"[" * 100_000, 2, 1),
        (b"", None, None),
        (b"PK\x03\x04....", None, None),
        (b"\xff\xff\xff", None, None),
    ],
)
def test_errors_name_file_line_and_column(
    client: TestClient, content: bytes, line: int | None, column: int | None
) -> None:
    reply = client.post(PATH, files=[("file", ("tests.jsonl", content))])
    assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT"), reply.text
    first = reply.json()["errors"][0]
    assert (first.get("line"), first.get("column")) == (line, column), first
    assert "tests.jsonl" in (first.get("file") or first["detail"])


def test_what_is_no_file_is_refused(client: TestClient) -> None:
    assert (
        client.post(PATH, content=b"<a/>", headers={"content-type": "text/xml"}).status_code == 415
    )
    assert client.post(PATH, files=[("other", ("a", b"x"))]).status_code == 400
    assert client.post(PATH, params={"nmae": "x"}, content=lines(CASE)).status_code == 400
    many = [("file", (f"{n}.jsonl", lines(CASE))) for n in range(21)]
    assert client.post(PATH, files=many).status_code == 400
    broken = {"content-type": "multipart/form-data"}
    assert client.post(PATH, content=b"x", headers=broken).status_code == 400
    infinite = client.post(
        PATH, content=b'{"question": "?", "user_score": Infinity}', headers=LINES
    )
    assert infinite.status_code == 200
