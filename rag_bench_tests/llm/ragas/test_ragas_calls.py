"""RAGAS over our client: calls, the ledger, faults; and what it does beside asking."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fake_provider import KEY, FakeProvider, completion
from ragas_replies import (
    ANSWER,
    CONTEXTS,
    FIVE,
    QUESTION,
    REFERENCE,
    Answer,
    Scripted,
    given_of,
    letters,
    scored,
    statements,
    verdicts,
)
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.llm.transport.client import ChatModels

# Through the client.


async def with_judge(
    open_models: ChatModels, key: str, metric: str, retry_failed: bool = False, **sample: Any
) -> Any:
    from rag_bench.llm.ragas.library import BenchEmbeddings
    from rag_bench.llm.ragas.metrics import RagasJudge, Sample

    given = {"question": QUESTION, "answer": ANSWER, "contexts": CONTEXTS, "reference": REFERENCE}
    judge = RagasJudge(open_models, key, "ru", BenchEmbeddings(letters))
    async with open_models.case(
        Role.benchmark_judge, "q1", f"ragas_{metric}", retry_failed=retry_failed
    ):
        return await judge.score(metric, Sample(**{**given, **sample}))


def replying(answer: Answer) -> Callable[[dict[str, Any], int], Any]:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        name = body["response_format"]["json_schema"]["name"]
        reply = answer(name, given_of(body["messages"][-1]["content"]))
        content = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
        return JSONResponse(completion(content))

    return behaviour


def ledger(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text(
                    "select model, replicate, status, error_code, role from rag_bench.llm_call "
                    "order by id"
                )
            )
        )


def test_three_draws_are_three_calls_and_a_rerun_makes_none(models, provider, engine):
    made = iter(["Где?", "Когда?", "Зачем?"])
    provider.behaviour = replying(lambda *_: {"question": next(made), "noncommittal": 0})

    async def main():
        async with models() as opened:
            return await with_judge(opened, "fake/judge", "answer_relevancy")

    first = asyncio.run(main())
    assert first.evidence["questions"] == ["Где?", "Когда?", "Зачем?"]
    assert provider.count == 3
    assert provider.bodies[0] == provider.bodies[1] == provider.bodies[2]
    assert asyncio.run(main()) == first
    assert provider.count == 3
    rows = ledger(engine)
    assert [row.replicate for row in rows] == [0, 1, 2]
    assert {row.role for row in rows} == {"benchmark_judge"}
    # The provider's key went to the provider; ragas and the SDK never had it.
    assert all(head["authorization"].startswith(f"Bearer {KEY}") for head in provider.headers)


def test_two_judges_on_one_ledger_keep_their_own_scores(models, provider):
    def reply(body: dict[str, Any]) -> Any:
        prompt = given_of(body["messages"][-1]["content"])
        kind = body["model"] == "kind"
        if "statements" not in prompt:
            return statements(FIVE)
        return verdicts(*([1] * 5 if kind else [0, 0, 1, 0, 0]))

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion(json.dumps(reply(body), ensure_ascii=False)))

    provider.behaviour = behaviour

    async def main():
        async with models() as opened:
            return [
                (await with_judge(opened, f"fake/{name}", "faithfulness")).value
                for name in ("kind", "strict", "kind", "strict")
            ]

    assert asyncio.run(main()) == [1.0, 0.2, 1.0, 0.2]
    assert provider.count == 4


def test_an_unfit_reply_is_marked_and_asked_again_on_demand_only(models, provider, engine):
    good = False

    def reply(name: str, given: Mapping[str, Any]) -> Any:
        if name == "ragas_statements":
            return statements(FIVE)
        return verdicts(*([1] * 5 if good else [1]))

    provider.behaviour = replying(reply)

    async def main(retry_failed: bool = False):
        async with models() as opened:
            return await with_judge(opened, "fake/judge", "faithfulness", retry_failed)

    for _ in range(2):
        with pytest.raises(CaseError) as caught:
            asyncio.run(main())
        assert caught.value.code is ErrorCode.METRIC_ERROR
    assert provider.count == 2  # the second time nothing was asked
    assert [row.error_code for row in ledger(engine)] == [None, "METRIC_ERROR"]
    good = True
    assert asyncio.run(main(retry_failed=True)).value == 1.0
    assert provider.count == 3  # the statements were fine


FAULTS: list[tuple[str, Callable[[], Response], ErrorCode, bool]] = [
    ("500", lambda: JSONResponse({"error": {"message": "x"}}, 500), ErrorCode.LLM_FAILED, True),
    ("401", lambda: JSONResponse({"error": {"message": "x"}}, 401), ErrorCode.LLM_FAILED, True),
    (
        "cut",
        lambda: JSONResponse(completion('{"statements": ["Спр', finish_reason="length")),
        ErrorCode.LLM_FAILED,
        False,
    ),
    ("empty", lambda: JSONResponse(completion("")), ErrorCode.LLM_FAILED, False),
    ("no JSON", lambda: Response(b"<html>", 200), ErrorCode.LLM_FAILED, False),
    ("prose", lambda: JSONResponse(completion("Всё верно: 1.0")), ErrorCode.METRIC_ERROR, False),
    ("shape", lambda: JSONResponse(completion('{"verdict": 1}')), ErrorCode.METRIC_ERROR, False),
]


@pytest.mark.parametrize(("fault", "code", "retryable"), [f[1:] for f in FAULTS], ids=lambda _: "")
def test_a_fault_ends_as_its_code_and_spoils_no_neighbour(models, provider, fault, code, retryable):
    fine = replying(
        lambda name, _: statements(FIVE) if name == "ragas_statements" else verdicts(1, 1, 1, 1, 0)
    )

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        if "СЛОМАННЫЙ" in body["messages"][0]["content"]:
            return fault()
        return await fine(body, number)

    provider.behaviour = behaviour

    async def main():
        async with models() as opened:
            answers = [ANSWER, "СЛОМАННЫЙ ответ.", "Ещё ответ."]
            return await asyncio.gather(
                *(with_judge(opened, "fake/j", "faithfulness", answer=a) for a in answers),
                return_exceptions=True,
            )

    first, broken, last = asyncio.run(main())
    assert first.value == last.value == 4 / 5
    assert isinstance(broken, CaseError)
    assert (broken.code, broken.retryable) == (code, retryable)


def test_a_429_is_waited_for_by_our_layer_alone(models, provider):
    fine = replying(lambda *_: {"reason": "так", "verdict": 1})

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return JSONResponse({"error": {"message": "slow"}}, 429, {"retry-after": "0.01"})
        return await fine(body, number)

    provider.behaviour = behaviour

    async def main():
        async with models() as opened:
            return await with_judge(opened, "fake/j", "context_precision", contexts=["один"])

    assert asyncio.run(main()).value == 1.0
    assert provider.count == 2


def test_ragas_own_factory_runs_over_our_client(models, provider: FakeProvider, engine):
    """For metrics that a user writes with llm_factory: the same ledger, no retries of their own."""

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        if number > 1:
            return JSONResponse(completion("не JSON"))
        return JSONResponse(completion(json.dumps({"reason": "yes", "verdict": 1})))

    provider.behaviour = behaviour

    async def main():
        from ragas.llms import llm_factory
        from ragas.metrics.collections import ContextPrecision

        import rag_bench.llm.ragas  # noqa: F401 (before ragas: it must not report)

        async with models() as opened:
            client = opened.openai_client("fake/judge")
            metric = ContextPrecision(llm_factory("judge", client=client, max_retries=0))
            asked = {"user_input": "When?", "reference": "On Monday."}
            first = await metric.ascore(**asked, retrieved_contexts=["It is on Monday."])
            again = await metric.ascore(**asked, retrieved_contexts=["It is on Monday."])
            with pytest.raises(Exception, match="JSON"):
                await metric.ascore(**asked, retrieved_contexts=["It is on Sunday."])
            return first.value, again.value

    assert asyncio.run(main()) == (pytest.approx(1.0), pytest.approx(1.0))
    assert provider.count == 2
    assert provider.bodies[0]["response_format"] == {"type": "json_object"}
    assert [row.status for row in ledger(engine)] == ["ok", "ok"]


def test_ragas_reports_to_nobody(monkeypatch):
    import rag_bench.llm.ragas  # noqa: F401

    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: asked.append(args))
    chat = Scripted(lambda *_: {"reason": "так", "verdict": 1})
    assert scored("context_precision", chat).value == 1.0
    from ragas import _analytics

    assert _analytics.do_not_track()
    assert asked == []


def test_the_definitions_load_without_ragas():
    code = (
        "import sys, rag_bench.tiers.answers.ragas; "
        "from rag_bench.definitions import build_defs; "
        "from rag_bench.partitions import ModelLists; "
        "build_defs(ModelLists(['a/b'], ['a/c'], ['a/d'])); "
        "print([name for name in ('ragas', 'torch', 'instructor') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.strip() == "[]"
