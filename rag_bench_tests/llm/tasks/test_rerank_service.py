"""A rerank service is asked as chat models are: ledger, retries, prices, caps, no secret anywhere.

The faults are those of a provider of chat models, and what only a ranking can have wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fake_provider import FAST, KEY, FakeProvider
from ledger_rows import rows
from rerank_faults import FAULTS, refusal
from sqlalchemy import Engine
from starlette.responses import Response

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode
from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.tasks.reranking import RerankService, ask_scores, rerank_service
from rag_bench.llm.transport.budget import Budget
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.limits import Limits
from rag_bench.llm.wires.rerank import RerankWire, rerank_body
from rag_bench_tests.retrieval.rerankers.local_reranker import bare_list, ranking

PASSAGES = ["о стипендии", "об общежитии", "о библиотеке"]
SCORES = [0.25, 0.5, -1e-3]
QUESTION = "Где живут студенты?"


def service(
    provider: FakeProvider, providers: Providers | None = None, **more: Any
) -> RerankService:
    return rerank_service(
        providers or Providers({}),
        {"SECRET": KEY},
        name="shop",
        url=more.pop("url", f"{provider.base_url}/rerank"),
        model=more.pop("model", "ranker-2"),
        api_key_variable=more.pop("api_key_variable", "SECRET"),
        **more,
    )


def ask(
    url: str, asked: RerankService, limits: Limits = FAST, prices: Any = None,
    budget: Budget | None = None, passages: list[str] = PASSAGES, retry_failed: bool = False,
) -> list[float]:  # fmt: skip
    async def run() -> list[float]:
        providers = Providers({}, prices)
        async with (
            ChatModels(providers, url, limits=limits, budget=budget) as client,
            client.case("reranker", "вопрос", retry_failed=retry_failed),
        ):
            return await ask_scores(client, asked, QUESTION, passages)

    return asyncio.run(run())


def answers(response: Callable[[], Response]) -> Callable[[Any, int], Awaitable[Response]]:
    async def behave(body: dict[str, Any], number: int) -> Response:
        return response()

    return behave


def test_what_is_sent_and_stored(provider: FakeProvider, database_url: str, engine: Engine) -> None:
    # A service that repeats the key: it is stored nowhere.
    provider.behaviour = answers(lambda: ranking(SCORES, usage={"total_tokens": 42}, echo=KEY))
    assert ask(database_url, service(provider)) == SCORES
    assert provider.paths == ["/v1/rerank"]
    assert provider.bodies == [
        {"model": "ranker-2", "query": QUESTION, "documents": PASSAGES, "top_n": 3}
    ]
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"
    [row] = rows(engine)
    assert (row["status"], row["role"], row["provider"]) == ("ok", "reranker", "shop")
    assert (row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("ranker-2", 42, 0)
    assert row["base_url"] == f"{provider.base_url}/rerank"
    assert row["request"] == provider.bodies[0]
    assert KEY not in str(dict(row))
    assert set(row["response"]) == {"results", "usage", "echo"}
    # The same again is in the ledger.
    assert ask(database_url, service(provider)) == SCORES
    assert provider.count == 1


def test_tei_has_other_words(provider: FakeProvider, database_url: str) -> None:
    provider.behaviour = answers(lambda: bare_list(SCORES))
    asked = service(provider, model="", api_key_variable="", passages_field="texts")
    assert ask(database_url, asked) == SCORES
    assert provider.bodies == [{"query": QUESTION, "texts": PASSAGES}]
    assert "authorization" not in provider.headers[0]
    assert asked.model_key == "shop/127.0.0.1"


def test_each_part_is_in_the_key(provider: FakeProvider, database_url: str) -> None:
    provider.behaviour = answers(lambda: ranking([1.0]))
    one = service(provider)
    for asked, passages in (
        (one, ["а"]),
        (one, ["б"]),
        (service(provider, model="ranker-3"), ["а"]),
        (service(provider, url=f"{provider.base_url}/v2/rerank"), ["а"]),
        (replace(one, provider=replace(one.provider, name="other")), ["а"]),
    ):
        ask(database_url, asked, passages=passages)
    assert provider.count == 5


def test_no_key_of_a_chat_call_is_one_of_a_ranking() -> None:
    from rag_bench.llm.wires.wire import ChatWire

    found = Providers({"PROVIDER_X_BASE_URL": "http://x.example/v1"}).provider("x")
    body = rerank_body(found, "m", "а", ["б"])
    assert ChatWire(found).hashed(body) != RerankWire(
        replace(found, base_url="http://x.example/v1/rerank"), "m"
    ).hashed(body)


ONCE = replace(
    FAST, call_timeout=0.4, max_retries=0, max_timeout_retries=0, max_limited_seconds=0.2
)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_ends_as_its_code(
    name: str, provider: FakeProvider, database_url: str, engine: Engine
) -> None:
    fault, words, code, by_itself = FAULTS[name]

    async def behave(body: dict[str, Any], number: int) -> Response:
        return await fault()

    provider.behaviour = behave
    with pytest.raises(CaseError) as failed:
        ask(database_url, service(provider), ONCE)
    assert words in failed.value.detail
    assert failed.value.detail.startswith("shop/ranker-2: ")
    assert failed.value.code is ErrorCode(code)
    assert failed.value.retryable is by_itself
    for row in rows(engine):
        assert (row["status"] == "error") is by_itself
        assert row["error_code"] == code
    # No key stands anywhere, though refusals repeat it.
    assert KEY not in failed.value.detail
    assert KEY not in str([dict(row) for row in rows(engine)])
    # When the service works again, what may pass is asked again, the rest on demand.
    provider.behaviour = answers(lambda: ranking(SCORES))
    if not by_itself:
        with pytest.raises(CaseError, match="unreadable reply"):
            ask(database_url, service(provider), ONCE)
    assert ask(database_url, service(provider), ONCE, retry_failed=not by_itself) == SCORES


def test_what_may_pass_is_tried_again(provider: FakeProvider, database_url: str) -> None:
    async def behave(body: dict[str, Any], number: int) -> Response:
        return refusal(503) if number < 3 else ranking(SCORES)

    provider.behaviour = behave
    assert ask(database_url, service(provider)) == SCORES
    assert provider.count == 3


def test_a_limit_is_waited_for(provider: FakeProvider, database_url: str, engine: Engine) -> None:
    async def behave(body: dict[str, Any], number: int) -> Response:
        return refusal(429, **{"retry-after-ms": "200"}) if number == 1 else ranking(SCORES)

    provider.behaviour = behave
    assert ask(database_url, service(provider)) == SCORES
    [row] = rows(engine)
    assert row["wait_ms"] >= 200


def test_nobody_listens(
    provider: FakeProvider, refusing_port: int, resetting_port: int, database_url: str
) -> None:
    for port, words in ((refusing_port, "cannot connect"), (resetting_port, "connection broke")):
        asked = service(provider, url=f"http://127.0.0.1:{port}/rerank")
        with pytest.raises(CaseError, match=words):
            ask(database_url, asked)


def test_prices_by_call_unit_and_token(
    provider: FakeProvider, database_url: str, engine: Engine
) -> None:
    by_token = Price(Decimal(2), Decimal(0))
    by_unit = Price(Decimal(0), Decimal(0), search_unit=Decimal("0.002"))
    by_call = Price(Decimal(0), Decimal(0), call=Decimal("0.01"))
    billed = {"billed_units": {"search_units": 3.0}}
    for passage, price, more, cost in (
        ("а", by_token, {"usage": {"total_tokens": 500}}, "0.001"),
        ("б", by_token, {}, None),
        ("в", by_unit, {"meta": billed}, "0.006"),
        ("г", by_unit, {}, None),  # it should have said, and did not: unknown is not 0
        ("д", by_call, {}, "0.01"),
    ):
        provider.behaviour = answers(lambda more=more: ranking([0.5], **more))
        ask(database_url, service(provider), prices={"shop/ranker-2": price}, passages=[passage])
        stored = rows(engine)[-1]["cost_usd"]
        assert (stored if stored is None else Decimal(stored)) == (cost and Decimal(cost))


def test_a_cap_is_never_passed(provider: FakeProvider, database_url: str) -> None:
    provider.behaviour = answers(lambda: ranking(SCORES))
    dear = {"shop/ranker-2": Price(Decimal(0), Decimal(0), call=Decimal(1))}
    with pytest.raises(CaseError, match="cost cap reached"):
        ask(
            database_url, service(provider), prices=dear, budget=Budget(max_cost_usd=Decimal("0.5"))
        )
    with pytest.raises(CaseError, match="call cap reached"):
        ask(database_url, service(provider), budget=Budget(max_calls=0))
    with pytest.raises(ConfigurationError, match="has no price"):
        ask(database_url, service(provider), budget=Budget(max_cost_usd=Decimal(1)))
    assert provider.count == 0
    budget = Budget(max_calls=1, max_cost_usd=Decimal(1))
    assert ask(database_url, service(provider), prices=dear, budget=budget) == SCORES
    assert (budget.calls, budget.cost_usd) == (1, Decimal(1))


def test_the_most_that_a_call_can_take_holds_long_passages() -> None:
    asked = RerankWire(Providers({}).provider("simulator"), "m")
    short = asked.most({"query": "а", "documents": ["б"] * 100}, b"")
    assert short.search_units == 1
    assert asked.most({"query": "а", "documents": ["б"] * 101}, b"").search_units == 2
    # A passage of many tokens is billed as several: 200 of 1,000 letters are at least 400 pieces.
    assert asked.most({"query": "а", "texts": ["x" * 1000] * 200}, b"").search_units >= 4
    # Each passage is read with the question.
    assert asked.most({"query": "вопрос", "texts": ["x"] * 10}, b"").prompt_tokens >= 10 * 13


def providers(**variables: str) -> Providers:
    return Providers({f"PROVIDER_SHOP_{name}": value for name, value in variables.items()})


def test_the_variables_of_its_provider(
    provider: FakeProvider, second_provider: FakeProvider, database_url: str
) -> None:
    said = {
        "API_KEY": "sk-of-the-provider-123",
        "BASE_URL": provider.base_url,
        "CONCURRENCY": "2",
        "EXTRA_BODY": '{"truncate": true, "top_n": null}',
        "EXTRA_HEADERS": '{"x-team": "secret-team-word"}',
    }
    same = service(provider, providers(**said), api_key_variable="")
    provider.behaviour = answers(lambda: ranking(SCORES))
    ask(database_url, same)
    assert provider.headers[0]["authorization"] == "Bearer sk-of-the-provider-123"
    assert provider.headers[0]["x-team"] == "secret-team-word"
    assert provider.bodies[0] == {
        "model": "ranker-2", "query": QUESTION, "documents": PASSAGES, "truncate": True,
    }  # fmt: skip
    # Elsewhere only the limits count: neither key nor headers go to another host.
    there = service(second_provider, providers(**said), api_key_variable="")
    second_provider.behaviour = answers(lambda: ranking(SCORES))
    ask(database_url, there)
    assert there.provider.concurrency == 2
    assert "authorization" not in second_provider.headers[0]
    assert "x-team" not in second_provider.headers[0]
    # Limits alone are enough; the name need be no chat provider's.
    alone = service(provider, providers(CONCURRENCY="3", RPM="60"))
    assert (alone.provider.concurrency, alone.provider.rpm) == (3, 60)


def test_what_its_scores_depend_on_holds_no_secret(provider: FakeProvider) -> None:
    plain = service(provider)
    changed = service(
        provider, providers(BASE_URL=provider.base_url, EXTRA_BODY='{"truncate": true}')
    )
    assert plain.content() != changed.content()
    assert plain.content() == service(provider, api_key_variable="").content()
    for shown in (repr(plain), str(plain.content())):
        assert KEY not in shown


def test_a_table_that_cannot_be_meant(provider: FakeProvider) -> None:
    with pytest.raises(ConfigurationError, match="RERANK_KEY, which is not set"):
        service(provider, api_key_variable="RERANK_KEY")
    with pytest.raises(ConfigurationError, match="is not an address"):
        service(provider, url="127.0.0.1/rerank")
    with pytest.raises(ConfigurationError, match="another provider's name"):
        rerank_service(Providers({}), {}, name="simulator", url="http://a.example/rerank")
