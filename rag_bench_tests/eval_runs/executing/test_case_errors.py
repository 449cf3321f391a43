"""Every row of the table of errors, met over HTTP; nothing of a provider's own words is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eval_run_rows import HOLDER, claim, given_case, rows, run_body
from local_provider import LocalProvider, completion, refusal
from small_world import World
from starlette.responses import Response
from world_data import GOLD

from rag_bench.eval_runs.executing import case_errors, execute
from rag_bench.settings import get_settings
from rag_bench.simulator.answer_key import answer_key_from_database

PLANTED = "secret words of a provider"


@pytest.fixture
def provider(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    key = answer_key_from_database(free_world.engine)
    with LocalProvider(lambda: key).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-local")
        monkeypatch.setenv("PROVIDER_X_TIMEOUT_SECONDS", "1")
        monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
        yield serving


def test_every_row_of_the_table(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path))
    questions = [question for question, _, _ in GOLD[:5]]
    dead, late, uncited, unreadable, fine = questions

    async def misbehave(body: dict[str, Any], _: int) -> Response | None:
        asked = " ".join(message["content"] for message in body["messages"])
        judges = "judge" in body["model"]
        if dead in asked and not judges:
            return refusal(503, planted=PLANTED.replace(" ", "-"))
        if late in asked and not judges:
            await asyncio.sleep(1.5)
        if uncited in asked and not judges:
            return completion("Справку приносят в кабинет А-212 до 10 октября.")
        if unreadable in asked and judges:
            return completion(PLANTED)
        return None

    provider.misbehave = misbehave
    cases: list[dict[str, Any]] = [
        {"question": question, "ground_truth_answer": answer, "ground_truth_chunks": [chunk + 1]}
        for question, answer, chunk in GOLD[:5]
    ]
    body = {
        **{"cases": cases, "llm_model": "x/extractive", "judge_model": "x/sim-judge-sharp"},
        **{"eval_type": ["ragas", "rubric"], "metrics": ["chrF"]},
    }
    engine, settings = free_world.engine, get_settings()
    run_id, told = run_body(engine, settings, body)
    assert told is not None
    assert told["status"] == "partial"
    by_question = dict(zip(questions, told["cases"], strict=True))

    # It is passed over, the others stand.
    failed = by_question[dead]
    assert [(one["code"], one.get("metric")) for one in failed["errors"]] == [("LLM_FAILED", None)]
    assert failed["llm_answer"] is None
    assert failed["metrics"] == {}
    assert failed["flags"] == ["manual_review_required"]
    assert [(o["code"], o.get("metric")) for o in by_question[late]["errors"]] == [
        ("TIMEOUT", None)
    ]

    # The field is 0, and what RAGAS says stands beside it and in the aggregates.
    nothing = by_question[uncited]
    assert [one["code"] for one in nothing["errors"]] == ["NO_CITATIONS"]
    assert nothing["context_recall"] == 0.0
    assert nothing["metrics"]["ragas_context_recall"] == 1.0
    assert nothing["citations_used"] == []
    assert told["aggregates"]["ragas_context_recall"]["value"] == 1.0

    # That metric is null, the case is flagged, other metrics stand.
    broken = by_question[unreadable]
    metrics = [(one["code"], one["metric"]) for one in broken["errors"]]
    assert ("METRIC_ERROR", "rubric_e2e_quality") in metrics
    assert ("METRIC_ERROR", "ragas_faithfulness") in metrics
    assert broken["faithfulness"] is None
    assert broken["metrics"]["rubric_e2e_quality"] is None
    assert broken["metrics"]["chrf"] > 0
    assert "manual_review_required" in broken["flags"]

    assert by_question[fine]["errors"] is None
    assert told["counts"]["errored"] == 3
    assert told["errors"] == {"LLM_FAILED": 1, "METRIC_ERROR": 1, "NO_CITATIONS": 1, "TIMEOUT": 1}
    faithfulness = told["aggregates"]["ragas_faithfulness"]
    # The fine one is a refusal, which states nothing that could be held against its chunks.
    assert by_question[fine]["faithfulness"] is None
    assert (faithfulness["n_scored"], faithfulness["n_expected"]) == (1, 4)
    assert faithfulness["bounds"] == [0.25, 1.0]
    assert PLANTED not in json.dumps(told)

    # Completing it asks what failed, and only that.
    provider.misbehave = None
    before = provider.count
    claim(engine, run_id)
    again = execute(engine, settings, run_id, holder=HOLDER)
    assert again is not None
    assert again["status"] == "succeeded"
    assert [case["errors"] for case in again["cases"]] == [
        [nothing["errors"][0]] if question == uncited else None for question in questions
    ]
    of_two_cases = 2 * (1 + 1 + 2 + 3 + 3 + 3 + 1)  # answer, rubric, RAGAS' metrics
    of_the_judge = 1 + 2 + 3 + 3 + 3 + 1
    assert 0 < provider.count - before <= of_two_cases + of_the_judge


def test_where_nobody_answers_every_case_says_so(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path))

    async def misbehave(body: dict[str, Any], _: int) -> Response | None:
        return refusal(401)

    provider.misbehave = misbehave
    body = {
        **{"cases": [{"question": question} for question, _, _ in GOLD[:2]]},
        **{"llm_model": "x/extractive", "judge_model": "x/sim-judge-sharp"},
    }
    _, told = run_body(free_world.engine, get_settings(), body)
    assert told is not None
    assert told["status"] == "failed"
    assert told["counts"]["errored"] == 2
    assert told["errors"] == {"LLM_FAILED": 2}
    [error] = told["cases"][0]["errors"]
    assert error["detail"].endswith("the provider refuses the key.")


def test_a_worse_run_is_told_from_its_baseline(
    free_world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path))
    engine, settings = free_world.engine, get_settings()
    words: dict[str, Any] = {"eval_type": [], "metrics": ["chrF"]}
    good = [
        given_case(n, id=f"c{n}", answer=f"Справку номер {n} выдаёт деканат по заявлению [1].")
        for n in range(12)
    ]
    bad = [
        {**case, "answer": "Не знаю, спросите [1]."} if n < 10 else case
        for n, case in enumerate(good)
    ]
    base, _ = run_body(engine, settings, {**words, "cases": good})
    run_id, told = run_body(engine, settings, {**words, "cases": bad, "baseline": base})
    assert told is None  # flags were added after its results were stored
    from rag_bench.eval_runs.reply import reply

    found = reply(engine, run_id)
    assert found["flags"][-1] == "regression_detected"
    flagged = [case for case in found["cases"] if "regression_detected" in case["flags"]]
    assert [case["case_id"] for case in flagged] == [f"c{n}" for n in range(10)]
    assert flagged[0]["details"]["worse"] == ["chrf"]
    assert found["counts"]["flagged"]["regression_detected"] == 10
    assert found["comparison"]["baseline"] == base
    [row] = rows(engine, "select * from rag_bench.eval_run where id = :id", id=run_id)
    assert row["comparison"]["b"]["status"] == row["status"] == found["status"] == "succeeded"
    same, _ = run_body(engine, settings, {**words, "cases": good, "baseline": base})
    assert "regression_detected" not in reply(engine, same)["flags"]
    # One case proves nothing: it has the flag, the run has not.
    one = [bad[0], *good[1:]]
    by_chance, _ = run_body(engine, settings, {**words, "cases": one, "baseline": base})
    found = reply(engine, by_chance)
    assert found["counts"]["flagged"]["regression_detected"] == 1
    assert "regression_detected" not in found["flags"]


def test_details_are_read_by_metric() -> None:
    names = {"faithfulness": "ragas_faithfulness", "answer_relevancy": "ragas_answer_relevancy"}
    found = case_errors.of_metrics(
        "METRIC_ERROR",
        "faithfulness: unreadable reply: x; y; answer_relevancy (TIMEOUT): no reply within 1 s",
        names,
        scored=(),
    )
    assert [(str(one.code), one.metric) for one in found] == [
        ("METRIC_ERROR", "ragas_faithfulness"),
        ("TIMEOUT", "ragas_answer_relevancy"),
    ]
    assert found[0].detail == "The score could not be computed or read: the reply cannot be read."
    assert case_errors.of_metrics("LLM_FAILED", "no answer to score: x", names, ()) == []
