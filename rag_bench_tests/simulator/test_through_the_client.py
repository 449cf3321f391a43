"""The offline models through the program's own client: ledger, limits and all."""

from __future__ import annotations

import asyncio

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.tasks.judging import score
from rag_bench.llm.tasks.pipeline import Fragment, answer_question, show_or_hide
from rag_bench.llm.transport.client import ChatModels
from rag_bench.questions.writer import write_question
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.transport import simulator_transport
from rag_bench.simulator.truth import Quality


def run(database_url: str, simulator: Simulator, work):
    async def inside():
        models = ChatModels(
            Providers.from_environment({}),
            database_url,
            transports={"simulator": lambda: simulator_transport(simulator)},
        )
        async with models:
            return await work(models)

    return asyncio.run(inside())


def test_the_whole_pipeline_and_a_rerun_without_calls(database_url, key, entries):
    simulator = Simulator(key)

    async def work(models: ChatModels):
        results = []
        for number, entry in enumerate(entries[:12]):
            asked = entry.question
            fragments = [Fragment("gold", "https://a", entry.chunk_texts[0])]
            answer = await answer_question(models, "simulator/sim-strong", asked, fragments)
            verdict = await show_or_hide(
                models, "simulator/sim-gate-balanced", asked, answer.text, entry.chunk_texts
            )
            judged = await score(
                models,
                "simulator/sim-judge-sharp",
                "answer_correctness",
                question=asked,
                answer=answer.text,
                reference_answer=entry.reference_answer,
                mode="reasoned",
            )
            assert judged.reasoning
            made = None
            if number < 2:
                made = await write_question(
                    models, "simulator/extractive", entry.chunk_texts[0], "Справки"
                )
            results.append((answer, verdict, judged, made))
        return results

    first = run(database_url, simulator, work)
    calls = simulator.stats()["requests"]
    assert calls == 12 * 3 + 2
    # What was paid for once is never asked again, and says the same.
    assert run(database_url, simulator, work) == first
    assert simulator.stats()["requests"] == calls
    for entry, (answer, verdict, judged, _) in zip(entries, first, strict=False):
        if simulator.truth.recall(entry.question, answer.text) is Quality.correct:
            assert answer.latency_ms is not None
            assert judged.score >= 2
            assert verdict.latency_ms is not None


def test_an_unreadable_judge_is_an_error_of_the_case(database_url, key, entries):
    simulator = Simulator(key)

    async def work(models: ChatModels):
        codes = []
        for entry in entries[:150]:
            try:
                await score(
                    models,
                    "simulator/sim-judge-lenient",
                    "answer_relevance",
                    question=entry.question,
                    answer="Не знаю.",
                )
            except CaseError as error:
                codes.append(error.code)
        return codes

    codes = run(database_url, simulator, work)
    assert 0 < len(codes) < 15
    assert set(codes) <= {ErrorCode.METRIC_ERROR, ErrorCode.LLM_FAILED}


def test_a_model_that_does_not_exist_is_an_error_of_the_case(database_url):
    async def work(models: ChatModels):
        with pytest.raises(CaseError, match="does not exist") as caught:
            await answer_question(
                models, "simulator/sim-none", "Где?", [Fragment("a", "https://a", "Тут.")]
            )
        return caught.value.code

    assert run(database_url, Simulator(), work) is ErrorCode.LLM_FAILED
