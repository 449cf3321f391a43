"""Bodies that are too long, too deep or no JSON are refused before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_access import a_key, bearer, reader
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from rag_bench.access.scopes import Scope
from rag_bench.api.allowed import needs
from rag_bench.api.app import build
from rag_bench.settings import Settings
from rag_bench.strict_json.places import InvalidInput
from rag_bench.strict_json.reading import read_json

MOST = 1000
JSON = {"content-type": "application/json"}


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    """The real application with one more endpoint, which gives back what it was given."""
    app = build(engine, Settings(api_max_body_bytes=MOST, api_max_depth=5))

    @app.post("/echo", dependencies=[needs(Scope.READ)])
    def echo(body: dict[str, Any]) -> Any:
        return body

    @app.post("/count", dependencies=[needs(Scope.READ)])
    async def count(request: Request) -> int:
        return sum([len(block) async for block in request.stream()])

    with TestClient(app, headers=bearer(a_key(engine))) as made:
        yield made


def refused(client: TestClient, body: bytes, status: int = 400) -> list[dict[str, Any]]:
    reply = client.post("/echo", content=body, headers=JSON)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    code = {400: "INVALID_INPUT", 413: "TOO_LARGE"}[status]
    assert reply.json()["code"] == code
    found: list[dict[str, Any]] = reply.json()["errors"]
    return found


def test_what_is_good_goes_through(client: TestClient) -> None:
    body = {"a": [1, 2.5, None, True, 'да \N{GRINNING FACE} " \\ {[ '], "": {"б": {}}}
    assert client.post("/echo", json=body).json() == body
    escaped = rb'{"a": "\ud83d\ude00 \\u0000 \\ud800"}'  # a whole pair; backslashes, no escapes
    assert client.post("/echo", content=escaped, headers=JSON).json() == json.loads(escaped)
    marked = b'\xef\xbb\xbf{"a": 1}'  # by an editor of Windows
    assert client.post("/echo", content=marked, headers=JSON).json() == {"a": 1}


def test_long_bodies(client: TestClient) -> None:
    fits = b'{"a":"' + b"x" * (MOST - 8) + b'"}'
    assert client.post("/echo", content=fits, headers=JSON).status_code == 200
    assert refused(client, fits + b" ", 413) == []

    def blocks(n: int) -> Iterator[bytes]:
        for _ in range(n):
            yield b"x" * 100

    for kind in ("application/json", "application/x-ndjson", "multipart/form-data; boundary=x"):
        reply = client.post("/count", content=blocks(11), headers={"content-type": kind})
        assert (reply.status_code, reply.json()["code"]) == (413, "TOO_LARGE")
    ndjson = {"content-type": "application/x-ndjson"}
    assert client.post("/count", content=blocks(10), headers=ndjson).json() == 1000


def test_a_length_that_is_said_is_enough_to_refuse(client: TestClient) -> None:
    reply = client.post("/echo", content=b"", headers={**JSON, "content-length": "99999999999999"})
    assert reply.status_code == 413


def test_a_packed_body_is_not_unpacked(client: TestClient) -> None:
    reply = client.post("/echo", content=b"{}", headers={**JSON, "content-encoding": "gzip"})
    assert (reply.status_code, reply.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_deep_bodies(client: TestClient) -> None:
    fits = b'{"a":' + b"[" * 4 + b'"]]]] [[[[ \\"[[["' + b"]" * 4 + b"}"
    assert client.post("/echo", content=fits, headers=JSON).status_code == 200
    (found,) = refused(client, b'{\n"a":' + b"[" * 5 + b"]" * 5 + b"}")
    assert found["line"] == 2
    assert found["column"] == 9
    assert "More than 5" in found["detail"]
    refused(client, b"[" * MOST)
    refused(client, b'{"a":' * 150)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": "\xff"}', {"line": 1, "column": 8}),
        (b'{"a":\n "\xd0"}', {"line": 2, "column": 3}),
        (b"\xff\xfe{\x00}\x00", {"line": 1, "column": 1}),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', {"line": 1, "column": 1}),
        (b'{"a": "\xed\xa0\x80"}', {"line": 1, "column": 8}),  # half a pair, as bytes
        (b'{"a": "\\ud800"}', {"pointer": "#/a"}),
        (b'{"a": ["x", "\\udfffx"]}', {"pointer": "#/a/1"}),
        (b'{"a": "\\u0000"}', {"pointer": "#/a"}),
        (b'{"a": "\x00"}', {"line": 1, "column": 8}),
        (b'{"a": NaN}', {"pointer": "#/a"}),
        (b'{"cases": [{"q": 1}, {"q": -Infinity}]}', {"pointer": "#/cases/1/q"}),
        (b'{"a": 1e999}', {"pointer": "#/a"}),
        (b'{"a": 1, "b": 2, "a": 3}', {"pointer": "#/a"}),
        (b'{"x": [{"a~/b": 1, "a~/b": 1}]}', {"pointer": "#/x/0/a~0~1b"}),
        (b'{"a": 1,}', {"line": 1, "column": 9}),
        (b'{"a": 1} {}', {"line": 1, "column": 10}),
        (b"{'a': 1}", {"line": 1, "column": 2}),
        (b'{"a": "', {"line": 1, "column": 7}),
        (b'{"a": "\n"}', {"line": 1, "column": 8}),
        (b"\x00", {"line": 1, "column": 1}),
        (b'{"a": ' + b"9" * 990 + b"}", None),
    ],
)
def test_what_is_no_json_is_located(
    client: TestClient, body: bytes, place: dict[str, Any] | None
) -> None:
    if place is None:  # large, and a number all the same
        assert client.post("/echo", content=body, headers=JSON).status_code == 200
        return
    found = refused(client, body)
    assert {name: found[0].get(name) for name in place} == place
    assert "Expecting" not in found[0]["detail"]


def test_all_problems_of_a_body_are_told(client: TestClient) -> None:
    found = refused(client, b'{"a": NaN, "b": {"c": "\\u0000", "c": 1}, "d\\u0000": 1}')
    assert [one["pointer"] for one in found] == ["#/a", "#/b/c", "#/d\N{SYMBOL FOR NULL}"]


def test_a_number_of_thousands_of_digits() -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_json(b'{"a": ' + b"9" * 5000 + b"}", 5)
    assert "beyond what can be read" in refusal.value.errors[0].detail


def test_a_body_of_the_wrong_shape_is_400_with_its_place(client: TestClient) -> None:
    for body in (b"[1]", b"1", b'"a"', b""):
        found = refused(client, body)
        assert found[0]["pointer"] == "#"
        assert "detail" in found[0]


def test_bodies_are_read_before_any_endpoint_is_looked_for(engine: Engine) -> None:
    with reader(engine, Settings(api_max_body_bytes=MOST)) as client:
        for path in ("/datasets", "/leaderboard", "/no/such/path"):
            for body, status in ((b'{"a": NaN}', 400), (b"x" * 2000, 413)):
                assert client.post(path, content=body, headers=JSON).status_code == status
            assert client.post(path, content=b"{}", headers=JSON).status_code in (404, 405)


def test_strangers_bodies_are_not_read(client: TestClient) -> None:
    reply = client.post("/echo", content=b"x" * 5000, headers={**JSON, "authorization": ""})
    assert reply.status_code == 401
    for path in ("/healthz", "/readyz"):
        reply = client.post(path, content=b"{" * 2000, headers={**JSON, "authorization": ""})
        assert reply.status_code == 405


@pytest.mark.parametrize(
    "query", ["settings_hash=%00", "settings_hash=" + "a" * 201, "settings_hash=a%00b"]
)
def test_impossible_parameters_are_400_and_named(client: TestClient, query: str) -> None:
    for path in ("/leaderboard", "/model_runs"):
        reply = client.get(f"{path}?{query}")
        assert (reply.status_code, reply.json()["code"]) == (400, "INVALID_INPUT")
        assert reply.json()["errors"][0]["parameter"] == "settings_hash"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('aя"\\[{ ')), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_what_another_writer_of_json_writes_is_read(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read_json(body, 1000) == value


@given(st.binary(max_size=200) | st.text('[]{}",:\\u0dNa 1e9-', max_size=60).map(str.encode))
def test_any_bytes_are_read_as_json_does_or_refused(body: bytes) -> None:
    try:
        found = read_json(body, 1000)
    except InvalidInput as problem:
        found = problem
    told = isinstance(found, InvalidInput) and bool(found.errors)
    assert told or found == json.loads(body)
