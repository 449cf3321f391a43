"""`/eval/draws` and `/eval/labels`: drawn, read blind, labelled as who calls, audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_access import a_key, bearer, open_client
from fastapi.testclient import TestClient
from labelled_world import METRIC, MODELS, LabelledWorld, labelled_world
from sqlalchemy import Engine, text

from rag_bench.access.scopes import Scope
from rag_bench.store.access.audit import actions

FIRST = next(iter(MODELS))


@pytest.fixture
def world(engine: Engine) -> LabelledWorld:
    return labelled_world(engine, 40, [FIRST])


@pytest.fixture
def client(world: LabelledWorld) -> Iterator[TestClient]:
    with open_client(world.engine) as made:
        yield made


def _key(world: LabelledWorld, user: str) -> dict[str, str]:
    return bearer(a_key(world.engine, (Scope.READ, Scope.LABEL), user=user))


def test_two_people_label_a_draw(world: LabelledWorld, client: TestClient) -> None:
    anna, boris = _key(world, "anna"), _key(world, "boris")
    asked = {"evaluation_id": world.scores[FIRST], "size": 5, "annotators": ["anna", "boris"]}
    made = client.post("/eval/draws", json=asked, headers=anna)
    assert made.status_code == 200, made.text
    assert made.json()["n_cases"] == 5
    assert made.json()["drawn_from"] == 40
    draw = made.json()["draw"]
    for headers, wrong in ((anna, 0), (boris, 1)):
        for n in range(5):
            seen: dict[str, Any] = client.get(f"/eval/draws/{draw}/next", headers=headers).json()
            assert (seen["n_done"], seen["n_cases"]) == (n, 5)
            assert FIRST not in str(seen), "blind to the model"
            true = world.truth[FIRST][seen["case_id"]]
            given = {"case_id": seen["case_id"], "value": 3 if n < wrong else true}
            told = client.post(f"/eval/draws/{draw}/labels", json=given, headers=headers)
            assert told.status_code == 200, told.text
        assert client.get(f"/eval/draws/{draw}/next", headers=headers).json()["case_id"] is None
    [listed] = client.get("/eval/draws", headers=anna).json()["draws"]
    assert listed["annotators"] == {"anna": 5, "boris": 5}
    [dispute] = listed["disputes"]
    settled = {"case_id": dispute["case_id"], "value": 4, "settles": True}
    assert client.post(f"/eval/draws/{draw}/labels", json=settled, headers=anna).status_code == 200
    [listed] = client.get("/eval/draws", headers=anna).json()["draws"]
    assert listed["disputes"][0]["settled"] == 4
    found = client.get("/eval/labels", params={"metric": METRIC}, headers=anna).json()["labels"]
    assert len(found) == 11
    rows = [row for row in actions(world.engine, limit=50) if "labels" in row.action]
    assert {row.user_id for row in rows} == {"anna", "boris"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/eval/draws", {"evaluation_id": 999}, 409),
        ("/eval/draws", {"evaluation_id": 1, "metric": "bleu"}, 404),
        ("/eval/draws", {"evaluation_id": 1, "size": 0}, 400),
        ("/eval/draws", {}, 400),
        ("/eval/draws", {"evaluation_id": 1, "run_id": "x"}, 400),
        ("/eval/draws", {"run_id": "nowhere"}, 409),
        ("/eval/draws", {"evaluation_id": 1, "metric": "predicted_show"}, 409),
        ("/eval/draws/9/labels", {"case_id": "q001", "value": 3}, 404),
        ("/eval/draws/1/labels", {"case_id": "nowhere", "value": 3}, 409),
        ("/eval/draws/1/labels", {"case_id": "q001", "value": 6}, 400),
        ("/eval/draws/1/labels", {"case_id": "q001", "value": 2.5}, 409),
        ("/eval/draws/1/labels", {"case_id": "q001"}, 400),
    ],
)
def test_what_cannot_be_is_refused(
    world: LabelledWorld, client: TestClient, path: str, body: dict[str, Any], status: int
) -> None:
    anna = _key(world, "anna")
    made = client.post("/eval/draws", json={"evaluation_id": world.answers[FIRST]}, headers=anna)
    assert made.status_code == 200
    assert client.post(path, json=body, headers=anna).status_code == status
    assert client.get("/eval/labels", headers=anna).json()["labels"] == []


def test_a_drawn_answer_that_is_gone_is_told(world: LabelledWorld, client: TestClient) -> None:
    anna = _key(world, "anna")
    draw = client.post("/eval/draws", json={"evaluation_id": world.answers[FIRST]}, headers=anna)
    with world.engine.begin() as connection:
        connection.execute(text("delete from rag_bench.evaluation_case"))
    reply = client.get(f"/eval/draws/{draw.json()['draw']}/next", headers=anna)
    assert (reply.status_code, reply.json()["code"]) == (409, "CONFLICT"), reply.text
    assert "not in this store any more" in reply.json()["detail"]


def test_shares_are_labelled_on_their_scale(world: LabelledWorld, client: TestClient) -> None:
    anna = _key(world, "anna")
    asked = {"evaluation_id": world.answers[FIRST], "metric": "ragas_answer_relevancy", "size": 3}
    made = client.post("/eval/draws", json=asked, headers=anna)
    assert made.status_code == 200, made.text
    told = made.json()
    assert told["values"] == [0, 0.25, 0.5, 0.75, 1]
    assert [part["draw"] for part in told["draws"]] == [told["draw"]]
    seen = client.get(f"/eval/draws/{told['draw']}/next", headers=anna).json()
    assert (seen["metric"], seen["values"]) == ("ragas_answer_relevancy", told["values"])
    assert seen["answer"]
    path = f"/eval/draws/{told['draw']}/labels"
    for value, status in ((0.75, 200), (0.8, 409), (4, 409)):
        given = {"case_id": seen["case_id"], "value": value}
        assert client.post(path, json=given, headers=anna).status_code == status
    [label] = client.get("/eval/labels", headers=anna).json()["labels"]
    assert (label["metric"], label["value"]) == ("ragas_answer_relevancy", 0.75)
