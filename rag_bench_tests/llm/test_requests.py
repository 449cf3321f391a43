"""What is sent, to the letter, and under which key it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fake_provider import FakeProvider, completion, question
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response, StreamingResponse

from rag_bench.llm.client import ChatModels
from rag_bench.llm.ledger import call_key
from rag_bench.llm.providers import Role

MakeModels = Callable[..., ChatModels]


def ask(client: ChatModels, key: str = "fake/m", **more: Any) -> Any:
    async def run() -> Any:
        async with client:
            return await client.chat(key, Role.generation, question("Когда сессия?"), **more)

    return asyncio.run(run())


def test_a_server_that_streams_unless_told_not_to_is_told(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def eager(body: dict[str, Any], number: int) -> Response:
        if body.get("stream") is not False:
            return StreamingResponse(iter(["data: {}\n\n"]), media_type="text/event-stream")
        return JSONResponse(completion("в мае"))

    provider.behaviour = eager
    reply = ask(models())
    assert reply.text == "в мае"
    # The ledger's key and its request are those of versions that did not send the field.
    body = {name: value for name, value in provider.bodies[0].items() if name != "stream"}
    assert reply.key == call_key("fake", provider.base_url, body, 0)
    with engine.connect() as connection:
        stored = connection.execute(text("select request from rag_bench.llm_call")).scalar_one()
    assert stored == body
