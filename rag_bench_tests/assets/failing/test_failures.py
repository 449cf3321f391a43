"""Providers and judges that fail: what is counted, what is kept, what is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from local_provider import LocalProvider, completion, refusal
from small_world import ANSWERS, OFFLINE, SCORES, World, failure, materializations, value
from starlette.responses import Response
from world_data import CHUNKS, GOLD, hash_of, url_of

from rag_bench.llm.transport import client
from rag_bench.llm.transport.limits import Limits
from rag_bench.partitions import ModelLists
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.store.datasets import Item, save_dataset

N = len(GOLD)
SHARP = "simulator/sim-judge-sharp"
GATES = OFFLINE.production_judges


@pytest.fixture
def provider(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """The provider `x`, which serves the offline models over HTTP; failures show at once."""
    key = answer_key_from_database(free_world.engine)
    with LocalProvider(lambda: key).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-planted-0123456789")
        monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
        yield serving


def evaluations(world: World, **where: str) -> list[dict[str, Any]]:
    conditions = " and ".join(f"{name} = :{name}" for name in where)
    return [
        dict(row)
        for row in world.rows(
            f"select * from rag_bench.evaluation where {conditions} order by id", **where
        )
    ]


def test_unreadable_judges_are_counted_and_asked_again_on_demand_only(
    free_world: World, provider: LocalProvider
) -> None:
    models = ModelLists(["simulator/sim-strong"], ["x/sim-judge-sharp"], GATES)
    assert free_world.run(["tier2_answers"], models).success
    bad = ("Какого числа приходит стипендия?", "Сколько стоит комната?")

    async def prose(body: dict[str, Any], number: int) -> Response | None:
        asks = body["messages"][1]["content"]
        relevance = body["response_format"]["json_schema"]["name"] == "answer_relevance"
        if relevance and any(question in asks for question in bad):
            return completion("Отличный ответ, 5 из 5!")  # a digit is in it; it is no score
        return None

    provider.misbehave = prose
    first = free_world.run(["tier2_scores"], models)
    assert first.success, failure(first)
    [row] = evaluations(free_world, kind="scores", tier="2")
    assert (row["status"], row["errors"]) == ("partial", {"METRIC_ERROR": 2})
    relevance = row["metrics"]["rubric_answer_relevance"]
    assert (relevance["n_scored"], relevance["n_expected"]) == (N - 2, N)
    assert row["metrics"]["rubric_faithfulness"]["n_scored"] == N
    low, high = relevance["low_if_missing"], relevance["high_if_missing"]
    total = relevance["value"] * (N - 2)
    assert (low, high) == pytest.approx(((total + 2) / N, (total + 10) / N))
    [check] = [
        event.asset_check_evaluation_data
        for event in first.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and event.asset_check_evaluation_data.check_name == "replies_are_readable"
    ]
    assert not check.passed

    asked = provider.count
    again = free_world.run(["tier2_scores"], models)
    assert again.success
    assert provider.count == asked == 3 * N + len(bad)  # each was asked about once more
    rate = row["metrics"]["asked_again_rate"]
    assert (rate["value"], rate["n_scored"]) == (pytest.approx(2 / (3 * N), abs=1e-6), 3 * N)
    assert row["inputs"]["flags"]["asked_again"] == len(bad)
    [event] = materializations(again, "tier2_scores")
    assert value(event.metadata, "reused") is True

    provider.misbehave = None
    mended = free_world.run(["tier2_scores"], models, benchmark={"retry_failed": True})
    assert mended.success, failure(mended)
    assert provider.count == asked + 2
    assert provider.repeated == 2
    row = evaluations(free_world, kind="scores", tier="2")[-1]
    assert (row["status"], row["errors"]) == ("succeeded", {})
    assert row["metrics"]["rubric_answer_relevance"]["n_scored"] == N


def test_a_judge_that_never_gives_a_score_fails_its_cell_without_a_number(
    free_world: World, provider: LocalProvider
) -> None:
    models = ModelLists(["simulator/sim-strong"], ["x/sim-judge-sharp", SHARP], GATES)
    assert free_world.run(ANSWERS, models).success

    async def prose(body: dict[str, Any], number: int) -> Response | None:
        return completion("3")

    provider.misbehave = prose
    result = free_world.run(["tier3_scores"], models)
    assert not result.success
    assert "1 of the cells are not complete" in failure(result)
    assert f"x/sim-judge-sharp|simulator/sim-strong (METRIC_ERROR {N})" in failure(result)
    assert "unreadable reply: it is JSON, but no object" in failure(result)
    assert "--retry-failed" in failure(result)
    assert "Run the same command" not in failure(result)  # it would send nothing
    assert [value(m.metadata, "benchmark_judge_model") for m in
            materializations(result, "tier3_scores")] == [SHARP]  # fmt: skip
    [row] = evaluations(free_world, kind="scores", benchmark_judge_model="x/sim-judge-sharp")
    assert row["status"] == "failed"
    assert row["metrics"]["rubric_e2e_quality"]["value"] is None
    asked = provider.count
    free_world.run(["tier3_scores"], models)
    assert provider.count == asked


def test_a_provider_that_is_down_hides_nobody_elses_results(
    free_world: World, provider: LocalProvider
) -> None:
    models = ModelLists(["simulator/sim-weak", "x/sim-strong"], [SHARP], GATES)

    async def down_after_five(body: dict[str, Any], number: int) -> Response | None:
        return refusal(503) if number > 5 else None

    provider.misbehave = down_after_five
    answers = free_world.run(["tier2_answers"], models)
    assert not answers.success
    assert "x/sim-strong" in failure(answers)
    assert "materialize these partitions again" in failure(answers)
    assert f"http 503: отказ 503 (at {provider.url})" in failure(answers)
    made = {str(m.partition): m for m in materializations(answers, "tier2_answers")}
    assert value(made["simulator/sim-weak"].metadata, "status") == "succeeded"
    assert value(made["x/sim-strong"].metadata, "status") == "partial"
    [partial] = evaluations(free_world, generation_model="x/sim-strong")
    assert partial["errors"]["LLM_FAILED"] == N - 5
    assert partial["metrics"]["rougeL_f"]["n_scored"] == 5
    assert partial["metrics"]["rougeL_f"]["n_expected"] == N

    scores = free_world.run(["tier2_scores"], models)
    assert scores.success, failure(scores)  # scoring cannot mend what has no answer
    [weak] = evaluations(free_world, kind="scores", generation_model="simulator/sim-weak")
    assert weak["metrics"]["rubric_faithfulness"]["n_scored"] == N
    [strong] = evaluations(free_world, kind="scores", generation_model="x/sim-strong")
    assert strong["metrics"]["rubric_faithfulness"]["n_scored"] == 5
    judged = free_world.count("llm_call", "role = 'benchmark_judge'")

    provider.misbehave = None
    before, weak_calls = provider.count, free_world.count("llm_call", "provider = 'simulator'")
    up = free_world.run(["tier2_answers"], models)
    assert up.success, failure(up)
    assert provider.count - before == N - 5  # only the gaps
    rescored = free_world.run(["tier2_scores"], models)
    assert rescored.success, failure(rescored)
    strong = evaluations(free_world, kind="scores", generation_model="x/sim-strong")[-1]
    assert strong["metrics"]["rubric_faithfulness"]["n_scored"] == N
    # Two generators' equal answers share a judge's call, so at most three per new answer.
    new = free_world.count("llm_call", "role = 'benchmark_judge'") - judged
    assert 0 < new <= 3 * (N - 5)
    assert free_world.count("llm_call", "provider = 'simulator'") == weak_calls + new
    assert len(evaluations(free_world, generation_model="simulator/sim-weak")) == 2


def test_a_provider_that_was_never_up(free_world: World, provider: LocalProvider) -> None:
    """Its partition has no result at all; the others' scores are made."""
    models = ModelLists(["x/sim-strong", "simulator/sim-weak"], [SHARP], GATES)

    async def down(body: dict[str, Any], number: int) -> Response | None:
        return refusal(500)

    provider.misbehave = down
    answers = free_world.run(["tier3_answers"], models)
    assert not answers.success
    assert [m.partition for m in materializations(answers, "tier3_answers")] == [
        "simulator/sim-weak"
    ]
    scores = free_world.run(["tier3_scores"], models)
    assert not scores.success
    assert "There are no tier 3 answers of x/sim-strong" in failure(scores)
    [event] = materializations(scores, "tier3_scores")
    assert value(event.metadata, "generation_model") == "simulator/sim-weak"
    runs = free_world.rows("select distinct generation_model as g from rag_bench.model_runs")
    assert [row["g"] for row in runs] == ["simulator/sim-weak"]


def test_a_wrong_key_is_said_and_never_shown(free_world: World, provider: LocalProvider) -> None:
    models = ModelLists(["x/sim-strong"], [SHARP], GATES)

    async def unauthorized(body: dict[str, Any], number: int) -> Response | None:
        return refusal(401)

    provider.misbehave = unauthorized
    result = free_world.run(["tier2_answers"], models)
    assert not result.success
    assert f"x/sim-strong (LLM_FAILED {N})" in failure(result)
    cause = f"http 401: отказ 401 (at {provider.url}). Check the key: PROVIDER_X_API_KEY"
    assert f"Why, in x/sim-strong: {cause}" in failure(result)
    # Nothing is materialized; the partition has an event that says why.
    [seen] = [
        event.event_specific_data.asset_observation
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    ]
    assert (seen.partition, value(seen.metadata, "status")) == ("x/sim-strong", "failed")
    assert value(seen.metadata, "cause").startswith(cause)
    details = free_world.rows("select distinct error_detail as d from rag_bench.evaluation_case "
                              "where error_code is not null")  # fmt: skip
    assert any("http 401: отказ 401" in row["d"] for row in details)
    everything = "\n".join(
        [failure(result), *(event.message or "" for event in result.all_events)]
        + [str(row) for row in free_world.rows("select * from rag_bench.llm_call")]
        + [str(row) for row in free_world.rows("select * from rag_bench.evaluation")]
    )
    assert "sk-planted" not in everything


def test_429_is_waited_out(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "2")
    # As slow as it becomes by itself, this takes a minute.
    monkeypatch.setattr(client, "Limits", partial(Limits, first_limited_rate=1000.0))
    turned_away: set[str] = set()

    async def busy_at_first(body: dict[str, Any], number: int) -> Response | None:
        question = str(body["messages"])
        if question in turned_away:
            return None
        turned_away.add(question)
        return refusal(429, **{"retry-after-ms": "1"})

    provider.misbehave = busy_at_first
    result = free_world.run(["tier2_answers"], ModelLists(["x/sim-strong"], [SHARP], GATES))
    assert result.success, failure(result)
    [row] = evaluations(free_world, generation_model="x/sim-strong")
    assert (row["status"], row["metrics"]["rougeL_f"]["n_scored"]) == ("succeeded", N)
    assert provider.count == 2 * N
    assert free_world.count("llm_call", "status = 'ok' and retries = 1") == N


def test_a_call_that_hangs_ends_as_a_timeout(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ModelLists(["x/sim-strong"], [SHARP], GATES)
    # First calls of a process import the SDK, for longer than this test's timeout.
    assert free_world.run(["tier2_answers"], replace(models, generation=["x/extractive"])).success
    monkeypatch.setenv("RAG_BENCH_CALL_TIMEOUT_SECONDS", "2")

    async def hang(body: dict[str, Any], number: int) -> Response | None:
        if "Сколько стоит комната?" in str(body["messages"][-1]):
            await asyncio.sleep(60)
        return None

    provider.misbehave = hang
    result = free_world.run(["tier2_answers"], models)
    assert not result.success
    assert "x/sim-strong (TIMEOUT 1" in failure(result)
    [row] = evaluations(free_world, generation_model="x/sim-strong")
    assert row["status"] == "partial"
    assert row["errors"]["TIMEOUT"] == 1
    assert row["metrics"]["rougeL_f"]["n_scored"] == N - 1
    provider.misbehave = None
    assert free_world.run(["tier2_answers"], models).success
    assert provider.by_model["sim-strong"] == N + 1


def test_unreadable_verdicts_of_a_production_judge_are_not_guessed(
    free_world: World, provider: LocalProvider
) -> None:
    models = ModelLists(OFFLINE.generation, OFFLINE.benchmark_judges, ["x/sim-gate-balanced"])

    async def russian(body: dict[str, Any], number: int) -> Response | None:
        return completion("Да") if "library" in str(body["messages"][-1]) else None

    provider.misbehave = russian
    result = free_world.run(["production_judge_scores"], models)
    assert result.success, failure(result)
    [row] = evaluations(free_world, tier="judge_pipeline")
    assert row["status"] == "partial"
    assert row["metrics"]["unreadable"]["value"] == 2
    assert row["metrics"]["accuracy"]["n_scored"] == 6
    assert row["metrics"]["accuracy"]["n_expected"] == 8
    [check] = [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    # Counts of verdicts are always complete; they must not hide the two that are missing.
    assert not check.passed
    assert check.metadata["share_scored"].value == {"x/sim-gate-balanced on pairs": 0.75}
    asked = provider.count
    assert free_world.run(["production_judge_scores"], models).success
    assert provider.count == asked


def test_equal_answers_share_a_judges_call(free_world: World, provider: LocalProvider) -> None:
    async def same(body: dict[str, Any], number: int) -> Response | None:
        return completion("Спросите в деканате. [1]") if "sim-judge" not in body["model"] else None

    provider.misbehave = same
    models = ModelLists(["x/a", "x/b/с-именем:free"], ["x/sim-judge-sharp"], GATES)
    assert free_world.run(["tier2_answers"], models).success
    result = free_world.run(["tier2_scores"], models)
    assert result.success, failure(result)
    assert provider.by_model["sim-judge-sharp"] == 3 * N
    assert free_world.count("evaluation", "kind = 'scores'") == 2
    a, b = evaluations(free_world, kind="scores")
    assert {n: m for n, m in a["metrics"].items() if "latency" not in n} == {
        n: m for n, m in b["metrics"].items() if "latency" not in n
    }


def test_scores_without_answers_say_what_to_do(free_world: World) -> None:
    result = free_world.run(SCORES[:1], ModelLists(["simulator/sim-weak"], [SHARP], GATES))
    assert not result.success
    assert "materialize tier2_answers" in failure(result)


def test_a_judge_with_nothing_to_judge_has_not_failed(free_world: World) -> None:
    """End-to-end quality compares with a reference answer; these questions have none."""
    chunk = CHUNKS[0]
    items = [
        Item(f"q{n}", question, "", (hash_of(0),), (url_of(chunk[0]),), {})
        for n, question in enumerate(("Когда стипендия?", "На какую карту стипендия?"))
    ]
    found = save_dataset(free_world.engine, "без эталона", "questions", items, {})
    models = ModelLists(["simulator/extractive"], [SHARP], GATES)
    settings = {"dataset": found.id}
    assert free_world.run(["tier1_retrieval"], models, benchmark=settings).success
    assert free_world.run(["tier3_answers"], models, benchmark=settings).success
    scored = free_world.run(["tier3_scores"], models, benchmark=settings)
    assert scored.success, failure(scored)
    [row] = evaluations(free_world, kind="scores", tier="3")
    assert row["status"] == "succeeded"
    quality = row["metrics"]["rubric_e2e_quality"]
    assert (quality["value"], quality["n_scored"], quality["n_expected"]) == (None, 0, 0)
