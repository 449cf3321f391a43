"""What the API says of itself: OpenAPI for programs, `/docs` for people, from local files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from api_access import reader
from fastapi.testclient import TestClient
from measured import store_sweep
from pydantic import TypeAdapter
from sqlalchemy import Engine

from rag_bench.api import results
from rag_bench.api.gate import PUBLIC
from rag_bench.api.pages import ProblemModel


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with reader(engine) as made:
        yield made


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_loads_only_files_of_this_service(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    links = Links()
    links.feed(page.text)
    assert sorted(links.found) == [
        "docs/favicon.png",
        "docs/swagger-ui-bundle.js",
        "docs/swagger-ui.css",
    ]
    assert not re.search(r"https?://", page.text)
    for link, kind, least in (
        ("/docs/swagger-ui-bundle.js", "text/javascript", 500_000),
        ("/docs/swagger-ui.css", "text/css", 50_000),
        ("/docs/favicon.png", "image/png", 100),
    ):
        reply = client.get(link)
        assert reply.headers["content-type"].startswith(kind)
        assert len(reply.content) > least
    assert client.get("/docs/../app.py").status_code == 404
    assert client.get("/docs/%2e%2e/app.py").status_code == 404


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from references(one)


def test_the_description_is_whole(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    parts = described["components"]["schemas"]
    assert {one.rpartition("/")[2] for one in references(described)} <= set(parts)
    assert "HTTPValidationError" not in json.dumps(described)
    for path, methods in described["paths"].items():
        for operation in methods.values():
            replies = operation["responses"]
            assert operation["summary"]
            if path not in PUBLIC:
                assert set(replies) >= {"400", "401", "403", "408", "413", "429", "500", "503"}
                assert set(replies) & {"200", "202", "204"}
                assert operation["security"]
                for status, reply in replies.items():
                    if status >= "400":
                        assert list(reply["content"]) == ["application/problem+json"]
    for name in ("Health", "Datasets", "ModelRuns", "Leaderboard", "Runs", "RunSummary", "Cases"):
        assert parts[name]["example"]


def test_examples_and_replies_are_as_the_description_says(
    client: TestClient, engine: Engine
) -> None:
    store_sweep(engine, name="золотой")
    for path, model in (
        ("/health", results.Health),
        ("/datasets", results.Datasets),
        ("/model_runs", results.ModelRuns),
        ("/leaderboard", results.Leaderboard),
    ):
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        adapter.validate_python(model.model_config["json_schema_extra"]["example"], strict=True)
        reply = client.get(path).json()
        adapter.validate_python(reply, strict=True)
        assert set(model.model_fields) <= set(reply)
        if model is not results.Leaderboard:  # which says that it has more
            assert set(reply) == set(model.model_fields)


def test_problems_are_as_the_description_says(client: TestClient) -> None:
    for reply in (
        client.get("/no/such/path"),
        client.get("/leaderboard"),
        client.post("/datasets"),
        client.get("/leaderboard?settings_hash=%00"),
        client.get("/datasets", headers={"Authorization": "x"}),
        client.post("/datasets", content=b"{", headers={"content-type": "application/json"}),
    ):
        assert reply.headers["content-type"] == "application/problem+json"
        found = ProblemModel.model_validate(reply.json(), strict=False)
        assert found.status == reply.status_code
        assert found.type == "urn:rag-bench:problem:" + found.code.lower().replace("_", "-")
        assert found.trace_id == reply.headers["x-trace-id"]
