"""What leaves for a live assistant, and under which key its reply is kept."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from fake_provider import FAST, FakeProvider
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response, StreamingResponse

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode
from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.reading.target_reply import Named, TargetReply
from rag_bench.llm.tasks.target import ask_target
from rag_bench.llm.transport.budget import Budget, CapReachedError
from rag_bench.llm.transport.client import ChatModels

TOKEN = "tok-planted-0123456789"
QUESTION = 'Где "справка"?\nИ когда?'


async def answers(body: dict[str, Any], number: int) -> Response:
    return JSONResponse({"answer": f"ответ {number}", "ids": [number]})


def ask(
    database_url: str,
    provider: FakeProvider,
    question: str = QUESTION,
    name: str = "DESK",
    knowledge: str = "k",
    budget: Budget | None = None,
    prices: dict[str, Price] | None = None,
    **variables: str,
) -> TargetReply:
    """Ask once, as a program of its own would."""
    url = variables.pop("URL", f"http://127.0.0.1:{provider.port}/api/ask")
    environment = {
        f"TARGET_{name}_URL": url,
        "DESK_TOKEN": variables.pop("token", TOKEN),
        **{f"TARGET_{name}_{what}": value for what, value in variables.items()},
    }
    providers = Providers(environment, prices)

    async def run() -> TargetReply:
        async with ChatModels(providers, database_url, limits=FAST, budget=budget) as client:
            target = providers.provider(f"target/{name}")
            async with client.case("generation", "c"):
                return await ask_target(client, target, question, knowledge)

    return asyncio.run(run())


def test_a_post_carries_the_template_and_the_headers(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = answers
    reply = ask(
        database_url,
        provider,
        IDS="/ids",
        BODY='{"messages": [{"role": "user", "content": "{question}"}], "lang": "ru"}',
        HEADERS="Authorization=Bearer $DESK_TOKEN; X-Tenant=students",
    )
    assert (reply.answer, reply.contexts, reply.from_ledger) == ("ответ 1", (Named("1"),), False)
    assert provider.bodies == [{"messages": [{"role": "user", "content": QUESTION}], "lang": "ru"}]
    [headers] = provider.headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-tenant"] == "students"
    assert headers["content-type"] == "application/json"
    assert "text/event-stream" in headers["accept"]
    assert provider.paths == ["/api/ask"]
    with engine.connect() as connection:
        [row] = connection.execute(text("select * from rag_bench.llm_call")).mappings().all()
    assert (row["provider"], row["model"], row["status"]) == ("target", "desk", "ok")
    assert row["base_url"] == f"http://127.0.0.1:{provider.port}/api/ask"
    assert row["request"]["headers"] == {"x-tenant": "students"}
    assert TOKEN not in str(dict(row))
    assert row["cost_usd"] is None


def test_a_get_carries_the_fields_in_its_query(database_url: str, provider: FakeProvider) -> None:
    provider.behaviour = answers
    ask(
        database_url,
        provider,
        METHOD="GET",
        BODY='{"q": "{question}", "n": 3}',
        URL=f"http://127.0.0.1:{provider.port}/api/ask?site=1",
    )
    assert provider.queries == [{"site": "1", "q": QUESTION, "n": "3"}]
    assert provider.bodies == [{}]


def test_what_changes_a_reply_is_in_the_key_and_nothing_else(
    database_url: str, provider: FakeProvider
) -> None:
    provider.behaviour = answers
    ask(database_url, provider, HEADERS="Authorization=Bearer $DESK_TOKEN")
    same: list[dict[str, Any]] = [
        {"HEADERS": "Authorization=Bearer $DESK_TOKEN", "token": "tok-another-9876543210"},
        {"name": "OTHER"},
        {"IDS": "/ids", "SIMILARITY": "0.9", "TIMEOUT": "3"},
    ]
    for one in same:
        assert ask(database_url, provider, **one).from_ledger, one
    others: list[dict[str, Any]] = [
        {"question": "Другой?"},
        {"knowledge": "another dump"},
        {"VERSION": "2"},
        {"HEADERS": "X-Tenant=staff"},
        {"BODY": '{"q": "{question}"}'},
        {"METHOD": "GET"},
        {"URL": f"http://127.0.0.1:{provider.port}/api/v2/ask"},
    ]
    for number, one in enumerate(others, start=2):
        assert not ask(database_url, provider, **one).from_ledger, one
        assert provider.count == number


def test_secrets_are_hidden_in_replies_and_in_streams(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    async def repeats(body: dict[str, Any], number: int) -> Response:
        said = provider.headers[-1]["authorization"]
        if body["question"] == "json":
            return JSONResponse({"answer": f"вы прислали {said}"})
        event = json.dumps({"answer": f"вы прислали {said}"})
        return Response(f"data: {event}\n\n", media_type="text/event-stream")

    provider.behaviour = repeats
    for question in ("json", "events"):
        reply = ask(database_url, provider, question, HEADERS="Authorization=Bearer $DESK_TOKEN")
        assert reply.answer == "вы прислали [secret]"
    with engine.connect() as connection:
        rows = str(connection.execute(text("select * from rag_bench.llm_call")).all())
    assert TOKEN not in rows


def test_a_stream_that_breaks_off_is_a_broken_connection(
    database_url: str, provider: FakeProvider
) -> None:
    async def breaks(body: dict[str, Any], number: int) -> Response:
        async def parts() -> Any:
            yield b'data: {"answer": "\xd0\xb4\xd0\xb0"}\n\n'
            raise ConnectionAbortedError

        return StreamingResponse(parts(), media_type="text/event-stream")

    provider.behaviour = breaks
    with pytest.raises(CaseError, match="target/desk: the connection broke") as failed:
        ask(database_url, provider)
    assert failed.value.code is ErrorCode.LLM_FAILED
    assert failed.value.retryable
    assert provider.count == 1 + FAST.max_retries


def test_what_may_pass_is_tried_again(database_url: str, provider: FakeProvider) -> None:
    async def at_last(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return JSONResponse({"error": {"message": "busy", "code": 503}})
        if number == 2:
            return JSONResponse({"detail": "later"}, 429, {"retry-after-ms": "1"})
        return JSONResponse({"answer": "да", "error": None})

    provider.behaviour = at_last
    assert ask(database_url, provider).answer == "да"
    assert provider.count == 3


def test_a_price_is_by_the_call_and_a_cap_holds(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    provider.behaviour = answers
    prices = {"target/desk": Price(Decimal(0), Decimal(0), call=Decimal("0.01"))}
    budget = Budget(None, Decimal("0.015"))
    ask(database_url, provider, "1", budget=budget, prices=prices)
    with pytest.raises(CapReachedError):
        ask(database_url, provider, "2", budget=budget, prices=prices)
    assert provider.count == 1
    with engine.connect() as connection:
        costs = connection.execute(text("select cost_usd from rag_bench.llm_call")).scalars().all()
    assert costs == [Decimal("0.01")]


def test_a_chat_model_is_no_assistant(database_url: str, provider: FakeProvider) -> None:
    providers = Providers({"PROVIDER_X_BASE_URL": provider.base_url})

    async def run() -> None:
        async with ChatModels(providers, database_url, limits=FAST) as client:
            await ask_target(client, providers.provider("x"), "?", "")

    with pytest.raises(ConfigurationError, match="'x' is no live assistant"):
        asyncio.run(run())
