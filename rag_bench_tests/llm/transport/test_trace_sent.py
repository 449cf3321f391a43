"""A trace goes along with each call of a provider, and is part of no key."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from fake_provider import FAST, FakeProvider, completion, question
from ledger_rows import MakeModels, rows
from sqlalchemy import Engine
from starlette.responses import JSONResponse, Response

from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.tasks.target import ask_target
from rag_bench.llm.transport.client import ChatModels
from rag_bench.observing.trace import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def asked(models: MakeModels, text: str) -> Any:
    async def run() -> Any:
        async with models() as client:
            return await client.chat("fake/m", Role.generation, question(text))

    return asyncio.run(run())


def test_a_models_call_names_the_trace_and_the_ledger_does_not(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    with tracing(TRACE, run_id="r1", user_id="anna"):
        first = asked(models, "Где?")
    [headers] = provider.headers
    assert re.fullmatch(rf"00-{TRACE}-(?!0{{16}})[0-9a-f]{{16}}-01", headers["traceparent"])
    again = asked(models, "Где?")
    with tracing("0" * 31 + "1"):
        third = asked(models, "Где?")
    assert (again.key, again.from_ledger, third.from_ledger) == (first.key, True, True)
    asked(models, "Когда?")
    assert "traceparent" not in provider.headers[1], "outside of a trace there is none to hand on"
    assert TRACE not in str(rows(engine))


def test_a_provider_can_be_told_nothing(
    models: MakeModels,
    provider: FakeProvider,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answers(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({**completion("да"), "answer": "да"})

    provider.behaviour = answers
    variables = {
        "TARGET_DESK_URL": f"http://127.0.0.1:{provider.port}/ask",
        "PROVIDER_FAKE_BASE_URL": provider.base_url,
        "PROVIDER_FAKE_EXTRA_HEADERS": '{"traceparent": null}',
    }

    async def run() -> None:
        providers = Providers(variables)
        async with ChatModels(providers, database_url, limits=FAST) as client:
            target = providers.provider("target/desk")
            async with client.case("generation", "c"):
                await ask_target(client, target, "Где?", "k")
            await client.chat("fake/m", Role.generation, question("Где?"))

    with tracing(TRACE):
        asyncio.run(run())
    of_target, of_model = provider.headers
    assert TRACE in of_target["traceparent"]
    assert "traceparent" not in of_model
