"""`/eval/drafts`: who may, what is in the audit, words masked, and a run of what was published."""

from __future__ import annotations

import pytest
from api_access import a_key, bearer, open_client
from api_runs import CONFIG, a_run
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from rag_bench.hashing import chunk_hash
from rag_bench.store.access.audit import actions
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.drafts import drafts
from rag_bench.store.eval_runs.tables import eval_run_case
from rag_bench.store.snapshots import (
    ChunkRecord,
    NewSnapshot,
    QuestionRecord,
    save_snapshot,
    set_current,
)

URL, ASKED = "https://help.example.org/stipendiya", "Когда платят стипендию?"
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


def test_a_runs_case_and_a_users_question_go_in_without_answers(
    engine: Engine, client: TestClient
) -> None:
    client.headers.update(bearer(a_key(engine, ["read", "label"])))
    hashed = chunk_hash(URL, "Стипендия 25-го.")
    sha256 = "ab" * 32
    records = [ChunkRecord(hashed, 1, "1", URL, "Стипендия 25-го.")]
    asked = [QuestionRecord(7, f"{ASKED} Мой телефон 8 912 345-67-89.", "Ответ системы", URL)]
    save_snapshot(engine, NewSnapshot(sha256, "x.dump", "dump", 1, records, asked))
    set_current(engine, sha256)
    run = a_run(engine, "0199aaaa", config={**CONFIG, "dump_sha256": sha256})
    with engine.begin() as connection:
        connection.execute(
            update(eval_run_case)
            .where(eval_run_case.c.run_id == run)
            .values(
                case_id="c1",
                given={"question": ASKED, "ground_truth_answer": "25-го", "answer": "5-го"},
                known={"chunk_hashes": [hashed]},
            )
        )
    of_run = {"name": "mixed", "run": run, "case_id": "c1"}
    assert client.post("/eval/drafts", json=of_run).json()["item_id"] == "c1"
    assert client.post("/eval/drafts", json=of_run).json()["outcome"] == "there"
    of_user = {"name": "mixed", "question": "7"}
    assert client.post("/eval/drafts", json=of_user).json()["item_id"] == "user-7"
    with engine.connect() as connection:
        first, second = drafts.items_of(connection, "mixed")
    assert first.item == Item("c1", ASKED, "25-го", (hashed,), (URL,))
    assert first.from_dataset == f"run:{run}"
    # What users wrote is masked before it is stored: a dataset is sent to models.
    assert second.item.question.startswith(ASKED)
    assert "912" not in second.item.question
    assert (second.item.reference_answer, second.item.chunk_hashes) == (None, ())
    assert second.from_dataset == f"traffic:{sha256}"
    for body, status in (
        ({"name": "mixed", "run": run, "case_id": "c9"}, 404),
        ({"name": "mixed", "run": "0199ffff", "case_id": "c1"}, 404),
        ({"name": "mixed", "question": "8"}, 404),
        ({"name": "mixed", "question": "7", "run": run}, 400),
        ({"name": "mixed", "question": "7", "case_id": "c1"}, 400),
        ({"name": "mixed", "run": run}, 400),
        ({"name": "mixed"}, 400),
    ):
        assert client.post("/eval/drafts", json=body).status_code == status, body
