"""`/eval/drafts`: who may, what is in the audit, words masked, and a run of what was published."""

from __future__ import annotations

import pytest
from api_access import a_key, bearer, open_client
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from rag_bench.store.access.audit import actions
from rag_bench.store.datasets import Item, save_dataset

ITEMS = [
    Item("q1", "Я Иванов Пётр Сергеевич, мой номер 8 912 345-67-89. Когда стипендия?", "25-го"),
    Item("q2", "Где деканат?", "В корпусе А."),
]


@pytest.fixture
def client(engine: Engine) -> TestClient:
    save_dataset(engine, "gold", "manual", ITEMS)
    return open_client(engine)


def test_from_a_case_to_a_dataset_that_a_run_takes(engine: Engine, client: TestClient) -> None:
    client.headers.update(bearer(a_key(engine, ["read", "label", "run"])))
    case = {"name": "hard", "dataset": "gold", "case_id": "q1"}
    added = client.post("/eval/drafts", json=case).json()
    assert added == {"outcome": "added", "draft": "hard", "item_id": "q1", "n_cases": 1}
    assert client.post("/eval/drafts", json=case).json()["outcome"] == "there"
    [row] = actions(engine, limit=1)
    assert (row.action, row.outcome, row.user_id) == ("POST /eval/drafts", "ok", "anna")
    whole = client.get("/eval/drafts/hard").json()
    assert whole["masked"] is True
    [shown] = whole["cases"]
    assert "Иванов" not in shown["question"]
    assert "912" not in shown["question"]
    assert shown["reference_answer"] == "25-го"
    admin = bearer(a_key(engine, ["read", "admin"]))
    unmasked = client.get("/eval/drafts/hard", headers=admin).json()
    assert (unmasked["masked"], unmasked["cases"][0]["question"]) == (False, ITEMS[0].question)
    published = client.post("/eval/drafts/hard/publish").json()
    assert published["new"] is True
    assert client.post("/eval/drafts/hard/publish").json() == {**published, "new": False}
    for name in (published["id"], "hard"):
        body = {"dataset": name, "llm_model": "simulator/extractive", "metrics": ["bleu"]}
        refused = client.post("/eval/run?dry_run=true", json=body).json()
        # The dataset is found; what is missing here is something to search in.
        assert [one["pointer"] for one in refused["errors"]] == ["#"]
        assert "No knowledge base is loaded" in refused["errors"][0]["detail"]
    [one] = client.get("/eval/drafts").json()["drafts"]
    assert (one["name"], one["n_cases"], one["published_id"]) == ("hard", 1, published["id"])
    assert client.delete("/eval/drafts/hard/cases/q1").json() == {"removed": True}
    assert client.delete("/eval/drafts/hard/cases/q1").json() == {"removed": False}
    assert client.post("/eval/drafts/hard/publish").status_code == 409
    assert client.delete("/eval/drafts/hard").json() == {"removed": True}
    assert client.delete("/eval/drafts/hard").status_code == 404
    done = {row.action for row in actions(engine, limit=100)}
    assert {"POST /eval/drafts/{name}/publish", "DELETE /eval/drafts/{name}"} <= done


def test_who_may_only_read_changes_nothing(engine: Engine, client: TestClient) -> None:
    client.headers.update(bearer(a_key(engine)))
    case = {"name": "hard", "dataset": "gold", "case_id": "q1"}
    assert client.post("/eval/drafts", json=case).status_code == 403
    assert client.get("/eval/drafts").json() == {"drafts": []}


def test_errors_say_what_is_wrong(engine: Engine, client: TestClient) -> None:
    client.headers.update(bearer(a_key(engine, ["read", "run"])))
    for body, status, words in (
        ({"name": "a/b", "dataset": "gold", "case_id": "q1"}, 400, "name"),
        ({"name": "a", "dataset": "none", "case_id": "q1"}, 404, "GET /datasets"),
        ({"name": "a", "dataset": "gold", "case_id": "q9"}, 404, "no such case"),
    ):
        reply = client.post("/eval/drafts", json=body)
        assert reply.status_code == status, reply.text
        assert words in reply.text
