"""Reuse, coalescing, replicates, resume: what is asked once is never asked twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_provider import FakeProvider, completion, question
from ledger_rows import MakeModels, rows
from sqlalchemy import Engine
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.llm.transport.call import call_key
from rag_bench.llm.transport.context import call_context
from rag_bench.store.calls import discard, known_keys, usage


def test_a_call_is_made_once_and_its_original_numbers_survive(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def ask() -> Any:
        async with models() as client:
            return await client.chat("fake/m", Role.generation, question("Где стипендия?"))

    first, second = asyncio.run(ask()), asyncio.run(ask())
    assert provider.count == 1
    assert (first.text, first.from_ledger) == ("ответ 1", False)
    assert (second.text, second.from_ledger) == ("ответ 1", True)
    assert (second.prompt_tokens, second.completion_tokens) == (11, 7)
    assert second.latency_ms == pytest.approx(first.latency_ms, abs=0.001)
    assert second.key == first.key
    (row,) = rows(engine)
    assert (row["status"], row["role"], row["provider"], row["model"], row["replicate"]) == (
        "ok", "generation", "fake", "m", 0,
    )  # fmt: skip
    assert row["base_url"] == provider.base_url
    assert row["request"]["messages"] == question("Где стипендия?")
    assert row["response"]["choices"][0]["message"]["content"] == "ответ 1"
    assert row["finish_reason"] == "stop"
    assert row["retries"] == 0
    assert row["latency_ms"] > 0
    assert row["wait_ms"] >= 0
    assert row["cost_usd"] is None  # an unknown price is not 0


def test_a_hundred_identical_requests_at_once_are_one_call(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def run() -> list[Any]:
        async with models() as client:
            calls = (client.chat("fake/m", "generation", question("да?")) for _ in range(100))
            return await asyncio.gather(*calls)

    answers = asyncio.run(run())
    assert provider.count == 1
    assert {reply.text for reply in answers} == {"ответ 1"}
    assert sum(not reply.from_ledger for reply in answers) == 1
    assert len(rows(engine)) == 1


def test_identical_requests_of_one_case_are_replicates_and_the_next_run_finds_them(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def run() -> list[str]:
        texts = []
        async with models() as client:
            for repeat in (0, 1):
                with call_context("benchmark_judge", "q1", "ragas", repeat=repeat):
                    calls = [
                        client.chat("fake/m", "benchmark_judge", question("один вопрос"))
                        for _ in range(3)
                    ]
                    texts += [reply.text for reply in await asyncio.gather(*calls)]
        return sorted(texts)

    first = asyncio.run(run())
    assert first == [f"ответ {n}" for n in range(1, 7)]
    assert asyncio.run(run()) == first
    assert provider.count == 6
    assert sorted(row["replicate"] for row in rows(engine)) == [0, 1, 2, 1000, 1001, 1002]


def test_cases_share_a_call_and_replicates_are_counted_per_body_and_case(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def run() -> None:
        async with models() as client:
            for case in ("q1", "q2"):  # two generators with one answer share the judge's call
                with call_context("benchmark_judge", case):
                    await client.chat("fake/m", "benchmark_judge", question("а"))
                    await client.chat("fake/m", "benchmark_judge", question("б"))

    asyncio.run(run())
    assert provider.count == 2


def test_what_enters_the_key() -> None:
    body = {"model": "m", "messages": question("привет"), "temperature": 0.0}
    same = {"temperature": 0.0, "messages": question("привет"), "model": "m"}
    key = call_key("p", "http://a/v1", body, 0)
    assert call_key("p", "http://a/v1", same, 0) == key
    others = [
        call_key("q", "http://a/v1", body, 0),
        call_key("p", "http://b/v1", body, 0),
        call_key("p", "http://a/v1", {**body, "model": "n"}, 0),
        call_key("p", "http://a/v1", {**body, "temperature": 0.7}, 0),
        call_key("p", "http://a/v1", body, 1),
    ]
    assert len({key, *others}) == 6


def test_errors_are_stored_and_asked_again_by_the_next_run(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def failing(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({"error": {"message": "занято"}}, status_code=503)

    async def ask() -> Any:
        async with models() as client:
            return await client.chat("fake/m", "generation", question("?"))

    provider.behaviour = failing
    with pytest.raises(CaseError, match="http 503: занято") as failed:
        asyncio.run(ask())
    assert failed.value.code is ErrorCode.LLM_FAILED
    assert provider.count == 3  # once and two retries
    (row,) = rows(engine)
    assert (row["status"], row["error_code"], row["http_status"], row["retries"]) == (
        "error", "LLM_FAILED", 503, 2,
    )  # fmt: skip
    provider.behaviour = provider.number_of_call
    assert asyncio.run(ask()).text == "ответ 4"
    assert [row["status"] for row in rows(engine)] == ["error", "ok"]


USELESS: dict[str, Any] = {
    "not JSON": b"<html>oops</html>",
    "empty": b"",
    "no choices": b'{"id": "x", "choices": []}',
    "no object": b'["choices"]',
    "NaN": b'{"choices": [{"message": {"content": "a"}, "logprobs": NaN}]}',
    "not UTF-8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "nested": b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "truncated": completion("Стипендия выпла", finish_reason="length"),
    "filtered": completion("", finish_reason="content_filter"),
    "empty text": completion("  "),
    "no text": completion(None),
    "refusal": completion(None, message={"role": "assistant", "refusal": "Не могу."}),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_useless_200_is_kept_and_asked_again_only_on_demand(
    name: str, models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    reply = USELESS[name]
    content = reply if isinstance(reply, bytes) else None

    async def useless(body: dict[str, Any], number: int) -> Response:
        if content is not None:
            return Response(content, media_type="application/json")
        return JSONResponse(reply)

    async def ask(retry_failed: bool) -> Any:
        async with models() as client:
            with call_context("generation", "q", retry_failed=retry_failed):
                return await client.chat("fake/m", "generation", question("?"))

    provider.behaviour = useless
    details = []
    for _ in range(2):
        with pytest.raises(CaseError) as failed:
            asyncio.run(ask(False))
        assert failed.value.code is ErrorCode.LLM_FAILED
        details.append(failed.value.detail)
    assert details[0] == details[1]
    assert provider.count == 1
    (row,) = rows(engine)
    assert row["status"] == "ok"
    assert row["error_code"] == "LLM_FAILED"
    assert row["error_detail"] in details[0]

    provider.behaviour = provider.number_of_call
    assert asyncio.run(ask(True)).text == "ответ 2"
    assert asyncio.run(ask(True)).text == "ответ 2"  # a good reply is not asked again
    assert [row["status"] for row in rows(engine)] == ["discarded", "ok"]


def test_a_reply_that_its_reader_could_not_use_is_asked_again_on_demand(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def judge(retry_failed: bool) -> str:
        case = {"role": "benchmark_judge", "case_id": "q", "retry_failed": retry_failed}
        async with models() as client, client.case(**case):  # type: ignore[arg-type]
            reply = await client.chat("fake/m", "benchmark_judge", question("оцени"))
            if reply.text == "ответ 1":
                raise CaseError(ErrorCode.METRIC_ERROR, "no score in it")
            return reply.text

    for _ in range(2):
        with pytest.raises(CaseError, match="no score"):
            asyncio.run(judge(False))
    assert provider.count == 1
    assert rows(engine)[0]["error_detail"] == "no score in it"
    assert asyncio.run(judge(True)) == "ответ 2"


def test_a_failed_call_does_not_mark_the_good_reply_before_it(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def second_fails(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return JSONResponse(completion("хорошо"))
        return JSONResponse({"error": "нет"}, status_code=400)

    async def run() -> None:
        async with models() as client, client.case("benchmark_judge", "q"):
            await client.chat("fake/m", "benchmark_judge", question("1"))
            await client.chat("fake/m", "benchmark_judge", question("2"))

    provider.behaviour = second_fails
    with pytest.raises(CaseError, match="http 400: нет"):
        asyncio.run(run())
    assert [(r["status"], r["error_code"]) for r in rows(engine)] == [
        ("ok", None),
        ("error", "LLM_FAILED"),
    ]


def test_what_postgresql_cannot_store_is_replaced_in_store_and_answer_alike(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def odd(body: dict[str, Any], number: int) -> Response:
        raw = rb'{"choices": [{"message": {"content": "\u0000\ud800 \u043e\u043a \\u0000"}}]}'
        return Response(raw, media_type="application/json")

    async def ask() -> Any:
        async with models() as client:
            return await client.chat("fake/m", "generation", question("a\x00b"))

    provider.behaviour = odd
    first, second = asyncio.run(ask()), asyncio.run(ask())
    assert first.text == second.text == "\ufffd\ufffd ок \\u0000"
    assert provider.count == 1
    assert provider.bodies[0]["messages"][0]["content"] == "a\x00b"  # sent as it was
    assert rows(engine)[0]["request"]["messages"][0]["content"] == "a\ufffdb"


def test_an_error_inside_a_200_is_an_error_and_not_a_kept_reply(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def router(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({"error": {"code": 402, "message": "no credits upstream"}})

    async def ask() -> Any:
        async with models() as client:
            return await client.chat("fake/m", "generation", question("?"))

    provider.behaviour = router
    with pytest.raises(CaseError, match="http 402: no credits upstream"):
        asyncio.run(ask())
    provider.behaviour = provider.number_of_call
    assert asyncio.run(ask()).text == "ответ 2"


def test_streaming_is_refused_without_a_call(models: MakeModels, provider: FakeProvider) -> None:
    import openai

    async def run() -> None:
        async with models() as client:
            sdk = client.openai_client("fake/m")
            await sdk.chat.completions.create(model="m", messages=[], stream=True)

    with pytest.raises(openai.BadRequestError, match="stream=True"):
        asyncio.run(run())
    assert provider.count == 0


def test_calls_of_a_library_on_the_sdk_client_pass_the_ledger(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def run() -> list[Any]:
        async with models() as client:
            sdk = client.openai_client("fake/m")
            with call_context("benchmark_judge", "q", "ragas_faithfulness", run_id="run-1"):
                reply = await sdk.chat.completions.create(
                    model="m", messages=question("раз"), temperature=0.01, top_p=0.1
                )
            return [reply.choices[0].message.content, reply.usage.prompt_tokens]

    assert asyncio.run(run()) == asyncio.run(run()) == ["ответ 1", 11]
    assert provider.count == 1
    (row,) = rows(engine)
    assert (row["role"], row["dagster_run_id"]) == ("benchmark_judge", "run-1")
    assert row["request"]["top_p"] == 0.1


def test_two_clients_that_ask_at_once_pay_for_one_reply(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def together(body: dict[str, Any], number: int) -> Response:
        await provider.hang()
        return JSONResponse(completion(f"ответ {number}"))

    async def run() -> list[str]:
        async with models() as one, models() as other:  # two ledgers, nothing shared but the tables
            calls = [
                asyncio.create_task(client.chat("fake/m", "generation", question("?")))
                for client in (one, other)
            ]
            while provider.count < 1:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.3)  # the other finds the claim, and waits
            provider.released.set()
            return [reply.text for reply in await asyncio.gather(*calls)]

    provider.behaviour = together
    texts = asyncio.run(run())
    assert texts[0] == texts[1]
    stored = rows(engine)
    assert provider.count == 1
    assert [row["status"] for row in stored] == ["ok"]
    with engine.connect() as connection:
        (sums,) = usage(connection)
    assert (sums.n_ok, sums.n_discarded, sums.prompt_tokens) == (1, 0, 11)


def test_counts_and_discarding(models: MakeModels, provider: FakeProvider, engine: Engine) -> None:
    async def ask() -> str:
        async with models() as client:
            return (await client.chat("fake/m", "generation", question("?"))).key

    key = asyncio.run(ask())
    with engine.begin() as connection:
        assert known_keys(connection, [key, "other"]) == {key}
        assert discard(connection, [key, "other"]) == 1
        assert known_keys(connection, [key]) == set()
    asyncio.run(ask())
    assert provider.count == 2
    with engine.connect() as connection:
        (sums,) = usage(connection)
    assert (sums.role, sums.provider, sums.model) == ("generation", "fake", "m")
    assert (sums.n_ok, sums.n_discarded, sums.n_error, sums.n_useless) == (1, 1, 0, 0)
    assert (sums.prompt_tokens, sums.completion_tokens) == (22, 14)
    assert (sums.cost_usd, sums.n_cost_unknown) == (None, 2)
    assert sums.latency_ms_p50 is not None
