"""Caps of calls and money: never passed, whatever is in flight, and raised later."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from fake_provider import FAST, FakeProvider, completion, providers_for, question
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode
from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.transport.budget import Budget, CapReachedError, current_budget, spending
from rag_bench.llm.transport.call_note import CallNote, CallSize
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.context import call_context
from rag_bench.llm.transport.limits import Limits, LimitTransport
from rag_bench.llm.transport.stopping import StoppedError, current_stop, run_stoppable
from rag_bench.store.calls import LedgerError

# completion() says 11 tokens of prompt and 7 of completion.
PRICE = Price(Decimal(1000), Decimal(10_000))
COST = (1000 * 11 + 10_000 * 7) / Decimal(1_000_000)


def ask(
    url: str, provider: FakeProvider, budget: Budget | None, n: int = 60, limits: Limits = FAST,
    price: Price | None = PRICE,
) -> list[Any]:  # fmt: skip
    """Ask n questions at once; return texts and errors."""
    environment = {"PROVIDER_FAKE_BASE_URL": provider.base_url, "PROVIDER_FAKE_API_KEY": "sk-x"}
    providers = Providers(environment, {"fake/m": price} if price else None)

    async def run() -> list[Any]:
        async with ChatModels(providers, url, limits=limits, budget=budget) as client:
            calls = [
                client.chat("fake/m", "generation", question(str(i)), max_tokens=8)
                for i in range(n)
            ]
            replies = await asyncio.gather(*calls, return_exceptions=True)
            return [getattr(reply, "text", reply) for reply in replies]

    return asyncio.run(run())


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def test_a_cap_of_calls_is_met_exactly_and_the_next_run_goes_on(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    budget = Budget(max_calls=25)
    results = ask(database_url, provider, budget)
    assert provider.count == budget.calls == 25
    assert kinds(results) == {"str": 25, "CapReachedError": 35}
    refused = next(r for r in results if isinstance(r, CapReachedError))
    assert refused.code is ErrorCode.LLM_FAILED
    assert refused.retryable
    assert refused.detail.startswith("not asked: call cap reached (25 calls)")
    assert budget.reached == refused.detail
    with engine.connect() as connection:  # what was not asked leaves nothing behind
        query = text("select status, count(*) from rag_bench.llm_call group by status")
        assert dict(connection.execute(query).tuples().all()) == {"ok": 25}

    assert kinds(ask(database_url, provider, Budget(max_calls=30)))["str"] == 55
    assert kinds(ask(database_url, provider, Budget(max_calls=0)))["str"] == 55
    assert kinds(ask(database_url, provider, Budget(max_calls=30)))["str"] == 60
    assert provider.count == 60


def test_a_cap_of_money_is_used_up_and_never_passed(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    budget = Budget(max_cost_usd=COST * 20 + Decimal("0.5"))
    results = ask(database_url, provider, budget)
    with engine.connect() as connection:
        spent = connection.execute(text("select sum(cost_usd) from rag_bench.llm_call")).scalar()
    assert spent == budget.cost_usd <= budget.max_cost_usd  # type: ignore[operator]
    made = kinds(results)["str"]
    # Near the end calls wait for those in flight, so only the last call's worst case is left over.
    worst = (1000 * (300 + 64) + 10_000 * 8) / Decimal(1_000_000)
    assert budget.max_cost_usd - spent < worst  # type: ignore[operator]
    assert 15 <= made == provider.count
    assert "not asked: cost cap reached" in str(budget.reached)


def test_capped_money_and_an_unknown_price_is_an_error(
    database_url: str, provider: FakeProvider
) -> None:
    results = ask(database_url, provider, Budget(max_cost_usd=Decimal(1)), n=2, price=None)
    assert all(isinstance(r, ConfigurationError) for r in results)
    assert "fake/m has no price" in str(results[0])
    assert provider.count == 0


def test_attempts_that_fail_count_and_refused_ones_do_not(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    statuses = Counter[int]()

    async def trouble(body: dict[str, Any], number: int) -> Response:
        status = (200, 429, 500)[number % 3]
        statuses[status] += 1
        if status == 200:
            return JSONResponse(completion("да"))
        return JSONResponse({"error": "нет"}, status)

    provider.behaviour = trouble
    budget = Budget(max_calls=20)
    results = ask(database_url, provider, budget, limits=replace(FAST, max_retries=9))
    assert statuses[200] + statuses[500] == budget.calls == 20
    assert kinds(results)["str"] == statuses[200]
    assert kinds(results)["CapReachedError"] > 0
    with engine.connect() as connection:
        query = text("select count(*) from rag_bench.llm_call where status = 'ok'")
        assert connection.execute(query).scalar() == statuses[200]


def test_a_call_that_cannot_connect_costs_nothing(
    database_url: str, refusing_port: int, engine: Engine
) -> None:
    budget = Budget(max_calls=1)

    async def run() -> list[Any]:
        providers = providers_for(dead=refusing_port)
        async with ChatModels(providers, database_url, limits=FAST, budget=budget) as client:
            calls = (client.chat("dead/m", "generation", question(str(n))) for n in range(3))
            return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(run())
    assert kinds(results) == {"CaseError": 3}
    assert all("cannot connect" in str(result) for result in results)
    assert budget.calls == 0
    assert budget.reached is None


def test_a_reply_without_tokens_counts_as_the_most_it_can_have_cost(
    database_url: str, provider: FakeProvider
) -> None:
    async def no_usage(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({**completion("да"), "usage": None})

    provider.behaviour = no_usage
    budget = Budget(max_cost_usd=Decimal(5))
    ask(database_url, provider, budget, n=3)
    assert budget.cost_usd > 3 * COST


def test_a_bad_reply_that_may_not_be_asked_again_stays(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    async def truncated(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion("Стип", finish_reason="length"))

    async def run(budget: Budget | None, retry_failed: bool) -> None:
        providers = providers_for(fake=provider.base_url)
        async with ChatModels(providers, database_url, limits=FAST, budget=budget) as client:
            with call_context("generation", "q", retry_failed=retry_failed):
                await client.chat("fake/m", "generation", question("?"))

    provider.behaviour = truncated
    with pytest.raises(CaseError, match="truncated"):
        asyncio.run(run(None, False))
    with pytest.raises(CapReachedError):
        asyncio.run(run(Budget(max_calls=0), True))
    with engine.connect() as connection:
        assert connection.execute(
            text("select status from rag_bench.llm_call")
        ).scalars().all() == ["ok"]


def test_impossible_caps_and_the_budget_of_a_block() -> None:
    for caps in (
        {"max_calls": -1},
        {"max_cost_usd": Decimal(-1)},
        {"max_cost_usd": Decimal("nan")},
    ):
        with pytest.raises(ConfigurationError):
            Budget(**caps)  # type: ignore[arg-type]
    assert current_budget() is None
    budget = Budget(max_calls=1)
    with spending(budget):
        assert current_budget() is budget
    assert current_budget() is None


def test_what_is_no_chat_call_counts_and_does_not_keep_its_room(
    database_url: str, provider: FakeProvider
) -> None:
    budget = Budget(max_calls=2)

    async def run() -> None:
        async with ChatModels(
            providers_for(fake=provider.base_url), database_url, limits=FAST, budget=budget
        ) as client:
            for _ in range(2):
                with suppress(openai.APIStatusError):
                    await client.openai_client("fake/m").models.list()
            async with asyncio.timeout(30):
                with pytest.raises(CapReachedError):
                    await client.chat("fake/m", "generation", question("?"))

    asyncio.run(run())
    assert budget.calls == 2


def test_a_stop_ends_who_waits_for_room() -> None:
    """Room that comes after the stop is given to nobody."""
    budget, sent = Budget(max_cost_usd=Decimal(1)), list[httpx.Request]()

    async def work() -> list[Any]:
        free = asyncio.Event()

        class Provider(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                sent.append(request)
                await free.wait()
                return httpx.Response(400)  # which costs nothing: the room comes back

        transport, stop = LimitTransport(Provider(), FAST, budget), current_stop()
        assert stop is not None
        requests = [httpx.Request("POST", "http://fake/") for _ in range(2)]
        for request in requests:
            CallNote(CallSize("fake/m", most_usd=Decimal(1))).put_into(request)
        calls = [asyncio.create_task(transport.handle_async_request(one)) for one in requests]
        while not (sent and budget._waiting):
            await asyncio.sleep(0)
        stop.request()
        free.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(30):
            await budget.reserve("fake/m", Decimal(1))  # the stopped one has given it back
        return results

    first, second = run_stoppable(work)
    assert first.status_code == 400
    assert isinstance(second, StoppedError)
    assert len(sent) == 1


def test_a_reply_that_could_not_be_kept_counts_all_the_same(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    async def truncated(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion("Стип", finish_reason="length"))

    async def run(budget: Budget | None, retry_failed: bool) -> None:
        providers = providers_for(fake=provider.base_url)
        async with ChatModels(providers, database_url, limits=FAST, budget=budget) as client:
            with call_context("generation", "q", retry_failed=retry_failed):
                await client.chat("fake/m", "generation", question("?"))

    provider.behaviour = truncated
    with pytest.raises(CaseError, match="truncated"):
        asyncio.run(run(None, False))
    with engine.begin() as connection:
        connection.execute(
            text(
                "create function no() returns trigger language plpgsql as "
                "$$ begin raise exception 'read only'; end $$"
            )
        )
        connection.execute(
            text(
                "create trigger no before update on rag_bench.llm_call "
                "for each row execute function no()"
            )
        )
    budget = Budget(max_calls=5)
    with pytest.raises(LedgerError, match="read only"):
        asyncio.run(run(budget, True))
    assert budget.calls == 1
