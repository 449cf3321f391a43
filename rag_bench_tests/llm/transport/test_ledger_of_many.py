"""The ledger under callers that give up, processes that ask at once, runs that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

from fake_provider import FakeProvider, completion, question
from ledger_rows import MakeModels, rows
from sqlalchemy import Engine
from starlette.responses import JSONResponse, Response


def test_a_caller_that_gives_up_does_not_lose_the_reply(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def slow(body: dict[str, Any], number: int) -> Response:
        await provider.hang()
        return JSONResponse(completion("дождались"))

    async def run() -> None:
        async with models() as client:
            call = asyncio.create_task(client.chat("fake/m", "generation", question("?")))
            while provider.count == 0:
                await asyncio.sleep(0.005)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            provider.released.set()
            assert (await client.chat("fake/m", "generation", question("?"))).text == "дождались"

    provider.behaviour = slow
    asyncio.run(run())
    assert provider.count == 1
    assert len(rows(engine)) == 1


_KILLED = """
    import asyncio, os, sys
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.llm.transport.context import call_context
    from rag_bench.llm.transport.limits import Limits
    from rag_bench.llm.config.providers import Providers

    async def main():
        limits = Limits(concurrency=4, max_retries=0)
        async with ChatModels(Providers(os.environ), os.environ["URL"], limits=limits) as models:
            async def one(n):
                with call_context("generation", f"q{n}"):
                    message = [{"role": "user", "content": f"вопрос {n}"}]
                    return (await models.chat("fake/m", "generation", message)).text
            texts = await asyncio.gather(*(one(n) for n in range(40)))
            print(len(set(texts)))

    asyncio.run(main())
"""


def test_a_killed_run_goes_on_and_repeats_only_what_was_in_flight(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    async def stall_after_20(body: dict[str, Any], number: int) -> Response:
        if number > 20:
            await provider.hang()
        return JSONResponse(completion(f"ответ {number}"))

    provider.behaviour = stall_after_20
    environment = {
        **os.environ,
        "URL": database_url,
        "PROVIDER_FAKE_BASE_URL": provider.base_url,
        "PROVIDER_FAKE_API_KEY": "sk-planted-0123456789",
    }
    command = [sys.executable, "-c", textwrap.dedent(_KILLED)]
    first = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while provider.count < 24 or len(rows(engine, "id")) < 20:
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(rows(engine, "id")) == 20

    provider.released.set()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert second.stdout.strip() == "40"
    assert provider.count == 40 + 4
    assert len(rows(engine, "id")) == 40
