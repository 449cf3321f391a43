"""Answers that clients give: measured by their words alone, cheaply, and told as agreed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eval_run_rows import HOLDER, claim, given_case, new_run, rows, run_body, scores_of
from sqlalchemy import Engine, event

from rag_bench.eval_runs.executing import execute
from rag_bench.eval_runs.reply import CASE_FIELDS, reply
from rag_bench.eval_runs.result_file import export, path_of
from rag_bench.settings import Settings
from rag_bench.store import datasets
from rag_bench.store.evaluations import MeasuredSettings

WORDS = {"metrics": ["BLEU", "ROUGE", "chrF"], "eval_type": "retrieval"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(eval_results=tmp_path / "results")


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect what is sent to the database, ends of transactions included."""
    sent: list[str] = []

    def execute_(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    def commit(_: Any) -> None:
        sent.append("COMMIT")

    event.listen(engine, "before_cursor_execute", execute_)
    event.listen(engine, "commit", commit)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", execute_)
        event.remove(engine, "commit", commit)


def test_a_case_is_told_in_the_agreed_fields(engine: Engine, settings: Settings) -> None:
    body = {**WORDS, "cases": [given_case(1), given_case(2, id="zwei", answer="Не знаю.")]}
    run_id, told = run_body(engine, settings, body)
    assert told is not None
    assert told == reply(engine, run_id)
    first, second = told["cases"]
    assert tuple(first) == CASE_FIELDS
    assert first["case_id"] == 1
    assert second["case_id"] == "zwei"
    assert first["errors"] is None
    assert first["llm_answer"] == "Справку номер 1 выдаёт деканат."
    # Nothing but words was asked for: what a judge would say is null, not 0.
    assert [first[name] for name in CASE_FIELDS[1:5]] == [None] * 4
    assert set(first["metrics"]) >= {"bleu", "chrf", "rouge1_f", "rouge2_f", "rougeL_f"}
    assert [error["code"] for error in second["errors"]] == ["NO_CITATIONS"]
    assert second["flags"] == ["manual_review_required"]
    assert told["status"] == "succeeded"
    assert told["counts"] == {
        **{"scored": 2, "failed": 0, "errored": 0, "missing": 0},
        "flagged": {"manual_review_required": 1},
    }
    bleu = told["aggregates"]["bleu"]
    assert (bleu["n_scored"], bleu["n_expected"]) == (2, 2)
    found = [score for score in scores_of(told["cases"], "bleu") if score is not None]
    assert bleu["value"] == pytest.approx(sum(found) / 2, abs=1e-6)
    assert json.loads(path_of(settings, run_id).read_text(encoding="utf-8")) == told
    path_of(settings, run_id).unlink()
    assert json.loads(export(engine, settings, run_id).read_text(encoding="utf-8")) == told


def test_one_case_costs_a_handful_of_statements(engine: Engine, settings: Settings) -> None:
    run_body(engine, settings, {**WORDS, "cases": [given_case(0)]})  # imports, compiles
    run_id = new_run(engine, settings, {**WORDS, "cases": [given_case(1)]})
    with statements(engine) as sent:
        execute(engine, settings, run_id, holder=HOLDER)
    # The run, its cases, and one statement that writes all and is a transaction by itself.
    assert len(sent) == 3, "\n".join(sent)
    [stored] = rows(engine, "select * from rag_bench.eval_run where id = :id", id=run_id)
    assert (stored["status"], stored["holder"]) == ("succeeded", None)


def test_one_statement_writes_what_many_do(engine: Engine, settings: Settings) -> None:
    body = {**WORDS, "cases": [given_case(n) for n in range(2)]}
    run_body(engine, settings, body)
    by_one = written(engine)
    with engine.begin() as connection:
        # One by one: what hangs on them and is only appended to may not be emptied.
        for table in ("eval_run", "evaluation", "dataset_item", "dataset"):
            connection.exec_driver_sql(f"delete from rag_bench.{table}")
    many = new_run(engine, settings, body)
    claim(engine, many)  # a second time, which is looked at with care
    assert execute(engine, settings, many, holder=HOLDER) is not None
    assert written(engine) == by_one


def written(engine: Engine) -> dict[str, Any]:
    """Return what an execution wrote, without what differs each time."""
    times = ("id", "started_at", "finished_at", "created_at", "evaluation_id", "timings")
    tables = {
        "evaluation": "select * from rag_bench.evaluation",
        "cases": "select * from rag_bench.evaluation_case order by case_id",
        "dataset": "select * from rag_bench.dataset",
        "items": "select * from rag_bench.dataset_item order by position",
        "links": "select part from rag_bench.eval_run_evaluation",
        "results": "select * from rag_bench.eval_run_case order by position",
        "run": "select * from rag_bench.eval_run",
        "events": "select kind, data from rag_bench.eval_event where kind = 'finished'",
    }
    left_out = {*times, "run_id", "attempt", "version"}
    return {
        name: [
            {key: value for key, value in row.items() if key not in left_out}
            for row in rows(engine, query)
        ]
        for name, query in tables.items()
    }


def test_the_same_again_is_found_and_equal(engine: Engine, settings: Settings) -> None:
    body = {**WORDS, "cases": [given_case(number) for number in range(3)]}
    one, first = run_body(engine, settings, body)
    other, second = run_body(engine, settings, body)
    assert first is not None
    assert second is not None
    assert first["cases"] == second["cases"]
    assert first["aggregates"] == second["aggregates"]
    [stored] = rows(engine, "select id, trace_id, user_id, tier, kind from rag_bench.evaluation")
    assert (stored["trace_id"], stored["user_id"]) == ("ab" * 16, "ann")
    links = rows(engine, "select run_id, evaluation_id from rag_bench.eval_run_evaluation")
    assert {(link["run_id"], link["evaluation_id"]) for link in links} == {
        (one, stored["id"]),
        (other, stored["id"]),
    }


def test_parts_are_no_datasets_of_others(engine: Engine, settings: Settings) -> None:
    run_body(engine, settings, {**WORDS, "cases": [given_case(1)]})
    assert rows(engine, "select kind from rag_bench.dataset") == [{"kind": "eval"}]
    assert datasets.list_datasets(engine) == []
    assert MeasuredSettings.newest_first(engine) == []


def test_many_cases_are_parts_and_one_result(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_bench.eval_runs.executing import execution, parts

    body = {**WORDS, "cases": [given_case(number) for number in range(7)]}
    _, whole = run_body(engine, settings, body)
    monkeypatch.setattr(parts, "MOST_CASES", 3)
    monkeypatch.setattr(execution, "MOST_CASES", 3)
    run_id, told = run_body(engine, settings, body)
    assert told is None  # not all of it is at hand
    assert whole is not None
    found = reply(engine, run_id)
    assert found["cases"] == whole["cases"]
    assert found["aggregates"] == whole["aggregates"]
    kinds = rows(
        engine, "select kind, data from rag_bench.eval_event where run_id = :id order by id",
        id=run_id,
    )  # fmt: skip
    assert [one["kind"] for one in kinds] == ["queued", "part", "part", "finished"]
    assert kinds[1]["data"]["counts"]["scored"] == 3
    assert json.loads(path_of(settings, run_id).read_text(encoding="utf-8")) == found


def test_a_run_is_cancelled_between_parts_and_completed(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag_bench.eval_runs.executing import execution, parts

    monkeypatch.setattr(parts, "MOST_CASES", 2)
    monkeypatch.setattr(execution, "MOST_CASES", 2)
    run_id = new_run(engine, settings, {**WORDS, "cases": [given_case(n) for n in range(6)]})
    with engine.begin() as connection:
        connection.exec_driver_sql("update rag_bench.eval_run set cancel_requested = true")
    looks = iter([False, True])
    execute(engine, settings, run_id, holder=HOLDER, cancelled=lambda: next(looks))
    found = reply(engine, run_id)
    assert found["status"] == "cancelled"
    assert found["counts"]["scored"] == 2
    assert found["counts"]["missing"] == 4
    assert found["cases"][5]["metrics"] == {}
    claim(engine, run_id)
    execute(engine, settings, run_id, holder=HOLDER)
    assert reply(engine, run_id)["counts"]["scored"] == 6
    # What was there was found.
    assert len(rows(engine, "select id from rag_bench.evaluation")) == 3
