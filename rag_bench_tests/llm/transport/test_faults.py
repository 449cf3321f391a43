"""Every way in which a provider can fail ends as a coded error, in time, and no key leaks."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from chat_requests import MakeModels, ask, row
from fake_provider import FAST, FakeProvider, completion, question
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response, StreamingResponse

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.transport.call_note import CallNote, CallNumbers
from rag_bench.llm.transport.limits import LimitTransport, retry_after_seconds


def fails_first(times: int, status: int, **headers: str) -> Any:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        if number <= times:
            return JSONResponse({"error": {"message": "позже"}}, status, headers=headers)
        return JSONResponse(completion("готово"))

    return behaviour


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    status: int, models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = fails_first(2, status)
    assert ask(models()).text == "готово"
    assert provider.count == 3
    stored = row(engine)
    assert (stored["status"], stored["retries"]) == ("ok", 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_stays_is_not_tried_again(
    status: int, models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = fails_first(9, status)
    with pytest.raises(CaseError, match=f"fake/m: http {status}: позже") as failed:
        ask(models())
    assert failed.value.code is ErrorCode.LLM_FAILED
    assert provider.count == 1
    assert (row(engine)["status"], row(engine)["http_status"]) == ("error", status)


def test_retries_end(models: MakeModels, provider: FakeProvider, engine: Engine) -> None:
    provider.behaviour = fails_first(99, 503)
    with pytest.raises(CaseError, match="http 503"):
        ask(models())
    assert provider.count == 1 + FAST.max_retries
    assert row(engine)["retries"] == FAST.max_retries


def test_a_limit_uses_up_no_retries(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = fails_first(5, 429)
    assert ask(models(replace(FAST, max_retries=0))).text == "готово"
    assert (row(engine)["status"], row(engine)["retries"]) == ("ok", 5)


def test_a_limit_is_waited_for_within_a_bound(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = fails_first(10_000, 429)
    with pytest.raises(CaseError, match="http 429: позже") as failed:
        ask(models(replace(FAST, max_limited_seconds=0.2)))
    assert failed.value.retryable
    assert 2 <= provider.count < 20
    assert (row(engine)["status"], row(engine)["http_status"]) == ("error", 429)


def test_a_provider_that_answers_nothing_is_waited_for_less(
    models: MakeModels, provider: FakeProvider
) -> None:
    provider.behaviour = fails_first(10_000, 429)
    with pytest.raises(CaseError, match="http 429: позже"):
        ask(models(replace(FAST, max_silent_seconds=0.2)))


def test_a_pause_that_the_provider_asks_for_is_not_its_silence(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def twice(body: dict[str, Any], number: int) -> Response:
        if number <= 2:
            headers = {"retry-after-ms": "400" if number == 1 else "1"}
            return JSONResponse({"error": {"message": "позже"}}, 429, headers=headers)
        return JSONResponse(completion("готово"))

    provider.behaviour = twice
    assert ask(models(replace(FAST, max_silent_seconds=0.3))).text == "готово"
    assert provider.count == 3


def test_a_request_that_is_refused_for_itself_does_not_hold_up_the_others(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def dislikes_seven(body: dict[str, Any], number: int) -> Response:
        if body["messages"][-1]["content"] == "7":
            return JSONResponse({"error": {"message": "позже"}}, 429)
        return JSONResponse(completion("да"))

    async def run() -> list[Any]:
        # When the others are through, nothing is answered any more, which would be waited for long.
        async with models(replace(FAST, max_refusals=5, max_silent_seconds=1.0)) as client:
            calls = (client.chat("fake/m", "generation", question(str(n))) for n in range(40))
            return await asyncio.gather(*calls, return_exceptions=True)

    provider.behaviour = dislikes_seven
    replies = asyncio.run(run())
    errors = {n: reply for n, reply in enumerate(replies) if isinstance(reply, BaseException)}
    assert list(errors) == [7]
    assert isinstance(errors[7], CaseError)
    assert errors[7].retryable
    with engine.connect() as connection:
        query = text("select status, count(*) from rag_bench.llm_call group by 1 order by 1")
        assert [tuple(line) for line in connection.execute(query)] == [("error", 1), ("ok", 39)]


def test_an_account_without_money_is_not_waited_for(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def broke(body: dict[str, Any], number: int) -> Response:
        error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
        return JSONResponse({"error": error}, 429)

    provider.behaviour = broke
    with pytest.raises(CaseError, match="http 429: You exceeded"):
        ask(models())
    assert provider.count == 1


@pytest.mark.parametrize("headers", [{}, {"retry-after-ms": "50"}], ids=["plain", "Retry-After"])
def test_no_case_is_lost_at_a_limit_that_the_client_is_not_told(
    headers: dict[str, str], models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    accepted: list[float] = []

    async def at_most_ten_in_100_ms(body: dict[str, Any], number: int) -> Response:
        now = time.monotonic()
        if sum(at > now - 0.1 for at in accepted) >= 10:
            return JSONResponse({"error": "slow down"}, 429, headers=headers)
        accepted.append(now)
        return JSONResponse(completion("да"))

    async def run() -> list[Any]:
        async with models(replace(FAST, first_limited_rate=20.0, max_refusals=99)) as client:
            calls = (client.chat("fake/m", "generation", question(str(n))) for n in range(300))
            return await asyncio.gather(*calls)

    provider.behaviour = at_most_ten_in_100_ms
    assert [reply.text for reply in asyncio.run(run())] == ["да"] * 300
    assert len(accepted) == 300
    with engine.connect() as connection:
        query = text("select status, count(*) from rag_bench.llm_call group by status")
        assert [tuple(line) for line in connection.execute(query)] == [("ok", 300)]


def test_retry_after_is_waited_for_and_kept_out_of_the_latency(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = fails_first(1, 429, **{"retry-after-ms": "300"})
    assert ask(models()).text == "готово"
    stored = row(engine)
    assert stored["wait_ms"] >= 300
    assert stored["latency_ms"] < 300


def test_a_pause_longer_than_we_wait_is_an_error_at_once(
    models: MakeModels, provider: FakeProvider
) -> None:
    provider.behaviour = fails_first(1, 429, **{"retry-after": "3600"})
    with pytest.raises(CaseError, match="http 429"):
        ask(models())
    assert provider.count == 1


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after_seconds({"retry-after": "2"}) == 2
    assert retry_after_seconds({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert retry_after_seconds({"retry-after": date}) == pytest.approx(100, abs=5)
    assert retry_after_seconds({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    for nothing in ({}, {"retry-after": ""}, {"retry-after": "soon"}, {"retry-after": "nan"}):
        assert retry_after_seconds(nothing) is None


def test_refused(models: MakeModels, refusing_port: int, engine: Engine) -> None:
    with pytest.raises(CaseError, match="dead/m: cannot connect") as failed:
        ask(models(dead=refusing_port), "dead/m")
    assert failed.value.code is ErrorCode.LLM_FAILED
    stored = row(engine)
    assert (stored["status"], stored["retries"], stored["http_status"]) == ("error", 2, None)


def test_reset(models: MakeModels, resetting_port: int, engine: Engine) -> None:
    with pytest.raises(CaseError, match="the connection broke") as failed:
        ask(models(dead=resetting_port), "dead/m")
    assert failed.value.code is ErrorCode.LLM_FAILED
    assert row(engine)["retries"] == 2


def test_hang(models: MakeModels, provider: FakeProvider, engine: Engine) -> None:
    async def hang(body: dict[str, Any], number: int) -> Response:
        await provider.hang()
        return JSONResponse(completion("поздно"))

    provider.behaviour = hang
    with pytest.raises(CaseError, match=r"no complete reply within 0\.3 s") as failed:
        ask(models(replace(FAST, call_timeout=0.3)))
    assert failed.value.code is ErrorCode.TIMEOUT
    assert provider.count == 2  # one retry of a timeout is enough
    assert (row(engine)["status"], row(engine)["error_code"]) == ("error", "TIMEOUT")


def test_slow_drip_ends_though_bytes_keep_coming(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def drip(body: dict[str, Any], number: int) -> Response:
        async def bytes_for_ever() -> AsyncIterator[bytes]:
            while not provider.released.is_set():
                yield b" "
                await asyncio.sleep(0.02)

        return StreamingResponse(bytes_for_ever(), media_type="application/json")

    provider.behaviour = drip
    with pytest.raises(CaseError) as failed:
        ask(models(replace(FAST, call_timeout=0.3, max_timeout_retries=0)))
    assert failed.value.code is ErrorCode.TIMEOUT
    assert provider.count == 1


def test_huge(models: MakeModels, provider: FakeProvider, engine: Engine) -> None:
    async def huge(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion("ы" * 3_000_000))

    provider.behaviour = huge
    with pytest.raises(CaseError, match="unreadable reply: longer than 4000000 bytes") as failed:
        ask(models())
    assert failed.value.code is ErrorCode.LLM_FAILED
    with pytest.raises(CaseError, match="longer than"):
        ask(models())
    assert provider.count == 1
    assert len(row(engine)["response"]["unreadable"]) == 64_000


def test_the_other_cases_are_unharmed(
    models: MakeModels, provider: FakeProvider, refusing_port: int, engine: Engine
) -> None:
    async def some_fail(body: dict[str, Any], number: int) -> Response:
        bad = body["messages"][0]["content"].endswith("3")
        return JSONResponse({"error": "x"}, 400) if bad else JSONResponse(completion("да"))

    async def run() -> list[Any]:
        async with models(fake=provider.base_url, dead=refusing_port) as client:
            calls = [
                client.chat(key, "generation", question(f"в {n}"))
                for n in range(20)
                for key in ("fake/m", "dead/m")
            ]
            return await asyncio.gather(*calls, return_exceptions=True)

    provider.behaviour = some_fail
    results = asyncio.run(run())
    good = [r.text for r in results if not isinstance(r, BaseException)]
    assert good == ["да"] * 18  # two of the twenty end in 3
    assert all(isinstance(r, CaseError) for r in results if isinstance(r, BaseException))


def test_no_more_calls_in_flight_than_allowed(models: MakeModels, provider: FakeProvider) -> None:
    async def together(body: dict[str, Any], number: int) -> Response:
        if number >= 3:  # all three slots are taken: let them go
            provider.released.set()
        await provider.hang()
        return JSONResponse(completion("да"))

    async def run() -> None:
        async with models(replace(FAST, concurrency=3)) as client:
            calls = (client.chat("fake/m", "generation", question(str(n))) for n in range(30))
            await asyncio.gather(*calls)

    provider.behaviour = together
    asyncio.run(run())
    assert provider.count == 30
    assert provider.most_in_flight == 3


def test_latency_is_the_last_attempts_own() -> None:
    clock: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started = time.perf_counter()
        failed = not clock
        await asyncio.sleep(0.2 if failed else 0.02)
        clock.append(time.perf_counter() - started)
        status = 500 if failed else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def run() -> CallNumbers:
        transport = LimitTransport(httpx.ASGITransport(app=app), FAST)
        request = httpx.Request("POST", "http://simulator.local/v1/chat/completions", content=b"{}")
        await transport.handle_async_request(request)
        return CallNote.of(request).numbers

    numbers = asyncio.run(run())
    assert numbers.retries == 1
    assert numbers.latency_ms is not None
    assert 20 <= numbers.latency_ms < 150
    assert numbers.wait_ms >= 200
