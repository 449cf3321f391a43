"""A live assistant is asked, measured by a function of the client's own, later by BERTScore."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eval_run_rows import HOLDER, claim, new_run, rows, run_body, scores_of
from local_provider import LocalAssistant, serving
from small_world import World
from world_data import GOLD

from rag_bench.eval_runs.executing import execute, execution, parts
from rag_bench.eval_runs.intake.completing import completed
from rag_bench.eval_runs.reply import reply
from rag_bench.llm.transport import stopping
from rag_bench.settings import Settings
from rag_bench.store import snapshots
from rag_bench.store.eval_runs import changing, queueing

FUNCTIONS = """
def words(answer, reference_answer, contexts):
    return {"n_words": len(answer.split()), "n_contexts": len(contexts)}

def picky(question):
    if "справку" in question:
        raise ValueError("не знаю")
    return 1
"""
N = 4
BROKEN = GOLD[3][0]


@pytest.fixture
def assistant(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAssistant]:
    """The example over the world's chunks, as the target `desk`; one question breaks it."""
    current = snapshots.require_current(free_world.engine)
    chunks = snapshots.chunks_of(free_world.engine, current.sha256)
    with serving(chunks) as assistant:
        monkeypatch.setenv("TARGET_DESK_URL", assistant.url)
        monkeypatch.setenv("TARGET_DESK_CONTEXTS", "/sources/*/text")
        monkeypatch.setenv("TARGET_DESK_IDS", "/sources/*/id")
        yield assistant


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    functions = tmp_path / "functions.py"
    functions.write_text(FUNCTIONS, encoding="utf-8")
    own = f"words={functions}:words,picky={functions}:picky"
    return Settings(
        eval_results=tmp_path / "results",
        custom_metrics=own,
        bertscore_model="encoder",
        max_retries=0,
    )


def cases() -> list[dict[str, Any]]:
    return [
        {
            "question": question,
            "ground_truth_answer": reference,
            "ground_truth_chunks": [str(chunk + 1)],
        }
        for question, reference, chunk in GOLD[:N]
    ]


def test_an_assistant_is_asked_once_and_metrics_are_added(
    free_world: World, assistant: LocalAssistant, settings: Settings
) -> None:
    engine = free_world.engine
    assistant.faults[BROKEN] = "500"
    body = {
        **{"cases": cases(), "target": "desk", "eval_type": "retrieval"},
        "metrics": ["ROUGE", "words", "picky"],
    }
    run_id, told = run_body(engine, settings, body)
    assert told is not None
    assert told["status"] == "partial"
    assert told["config"]["generation_model"] == "target/desk"
    assert assistant.count == told["cost"]["n_calls"] == N
    assert told["errors"] == {"LLM_FAILED": 1, "METRIC_ERROR": 1}
    first, _, third, broken = told["cases"]
    assert first["errors"] is None
    assert first["citations_used"] == ["1"]  # as the client calls it
    assert first["metrics"]["target_chunk_hit_rate@1"] == 1
    assert first["metrics"]["words_n_words"] == len(first["llm_answer"].split())
    assert first["metrics"]["words_n_contexts"] == len(first["details"]["retrieved"]) > 0
    # Our own retrieval says nothing of it.
    assert not [name for name in first["metrics"] if name.startswith("chunk_")]
    assert third["metrics"]["picky"] is None
    assert third["metrics"]["rougeL_f"] is not None
    assert [(error["code"], error["metric"]) for error in third["errors"]] == [
        ("METRIC_ERROR", "picky")
    ]
    assert (broken["llm_answer"], broken["metrics"]) == (None, {})
    assert [error["code"] for error in broken["errors"]] == ["LLM_FAILED"]
    own = told["aggregates"]["words_n_words"]
    assert (own["n_scored"], own["n_expected"]) == (N - 1, N)
    assert told["aggregates"]["picky"]["n_scored"] == N - 2

    # Asked the same once more: what it answered is found, what failed is not asked by itself.
    _, again = run_body(engine, settings, body)
    assert again is not None
    assert [case["llm_answer"] for case in again["cases"]] == [
        case["llm_answer"] for case in told["cases"]
    ]
    asked = assistant.count
    assert asked <= N + 1  # a failed call is no record, so it may be tried again

    # BERTScore later, when the assistant works again: only what failed is asked.
    assistant.faults.clear()
    _complete(engine, settings, run_id, ["BERTScore"])
    assert assistant.count == asked + 1
    found = reply(engine, run_id)
    assert found["cases"][3]["llm_answer"]
    assert all(0.2 < score <= 1 for score in _of_all(found, "bertscore_f1"))
    assert _of_all(found, "words_n_words")[:3] == _of_all(told, "words_n_words")[:3]
    assert found["aggregates"]["bertscore_f1"]["n_scored"] == N
    assert found["errors"] == {"METRIC_ERROR": 1}
    assert scores_of(found["cases"], "picky") == [1, 1, None, 1]
    # The evaluations that the run is made from are those of now.
    linked = rows(
        engine,
        "select e.metrics ? 'bertscore_f1' as scored from rag_bench.evaluation e "
        "join rag_bench.eval_run_evaluation r on r.evaluation_id = e.id "
        "where r.run_id = :id and e.kind = 'custom'",
        id=run_id,
    )
    assert linked == [{"scored": True}]


def _of_all(told: dict[str, Any], name: str) -> list[float]:
    found = scores_of(told["cases"], name)
    return [score for score in found if score is not None]


def _complete(engine: Any, settings: Settings, run_id: str, metrics: list[str]) -> None:
    """Complete a run with further metrics, as the service does."""
    [row] = rows(engine, "select * from rag_bench.eval_run where id = :id", id=run_id)
    config, paid = completed(engine, settings, row, metrics)
    assert paid  # who answers may cost money
    with engine.begin() as connection:
        assert queueing.requeue(connection, run_id)
        changing.set_config(connection, run_id, config)
    claim(engine, run_id)
    execute(engine, settings, run_id, holder=HOLDER)


def test_a_run_that_is_cancelled_after_its_process_died_keeps_what_was_counted(
    free_world: World,
    assistant: LocalAssistant,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "MOST_CASES", 2)
    monkeypatch.setattr(execution, "MOST_CASES", 2)
    monkeypatch.setattr(stopping, "_LOOK", 0.0)
    engine = free_world.engine
    asked = cases()
    assistant.faults[asked[1]["question"]] = "500"  # of the first part
    body = {
        **{"cases": [asked[2], asked[1], asked[0], asked[3]], "target": "desk"},
        **{"eval_type": "retrieval", "metrics": ["ROUGE", "words", "picky"]},
    }
    run_id = new_run(engine, settings, body)

    def dies() -> bool:
        return bool(rows(engine, "select from rag_bench.eval_run_evaluation"))

    execute(engine, settings, run_id, holder=HOLDER, cancelled=dies)
    [before] = _standing(engine, run_id)
    assert before["status"] == "running"
    assert before["errors"] == {"LLM_FAILED": 1, "METRIC_ERROR": 1}
    n_asked = assistant.count
    with engine.begin() as connection:
        queueing.request_cancel(connection, run_id, "anna")
    claim(engine, run_id)
    execute(engine, settings, run_id, holder=HOLDER, cancelled=lambda: True)
    [after] = _standing(engine, run_id)
    assert after["status"] == "cancelled"
    assert assistant.count == n_asked
    for name in ("counts", "errors", "flags", "n_calls"):
        assert after[name] == before[name], name
    assert set(after["aggregates"]) == set(before["aggregates"])
    for name, metric in before["aggregates"].items():
        # While a run goes on no intervals are told.
        for part in ("value", "n_scored", "n_expected", "scale"):
            assert after["aggregates"][name].get(part) == metric.get(part), (name, part)


def _standing(engine: Any, run_id: str) -> list[dict[str, Any]]:
    return rows(
        engine,
        "select status, counts, aggregates, errors, flags, n_calls from rag_bench.eval_run "
        "where id = :id",
        id=run_id,
    )
