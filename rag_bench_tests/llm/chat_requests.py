"""Requests to a provider as tests make them: providers, bodies, a question asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fake_provider import FAST, question
from sqlalchemy import Engine, text

from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.requests import chat_body
from rag_bench.llm.reading.structured import response_format_for
from rag_bench.llm.tasks.judging import DirectScore
from rag_bench.llm.transport.client import ChatModels

MakeModels = Callable[..., ChatModels]


def ask(client: ChatModels, key: str = "fake/m", words: str = "Когда сессия?", **more: Any) -> Any:
    async def run() -> Any:
        async with client:
            return await client.chat(key, Role.generation, question(words), **more)

    return asyncio.run(run())


def row(engine: Engine) -> Any:
    """The newest call of the ledger."""
    with engine.connect() as connection:
        query = text("select * from rag_bench.llm_call order by id desc limit 1")
        return connection.execute(query).mappings().one()


SCHEMA = response_format_for("score", DirectScore)


PROMPT = [{"role": "system", "content": "Правила."}, {"role": "user", "content": "Вопрос?"}]


def body_of(model: str = "m", /, *, structured: bool = True, **variables: str) -> dict[str, Any]:
    provider = providers_with(**variables).provider("x")
    schema = SCHEMA if structured else None
    return chat_body(provider, model, PROMPT, schema, 0.0, 256)


def providers_with(**variables: str) -> Providers:
    named = {f"PROVIDER_X_{name}": value for name, value in variables.items()}
    return Providers({"PROVIDER_X_BASE_URL": "http://x.example/v1", **named})


def ask_of(providers: Providers, database_url: str, key: str = "x/m", **more: Any) -> Any:
    return ask(ChatModels(providers, database_url, limits=FAST), key, **more)
