"""A process that was stopped between a call and its sending sends nothing without a lease."""

from __future__ import annotations

import asyncio
import math

import httpx
import pytest
from fake_provider import FakeProvider

from rag_bench.llm.transport.limits import Limits, LimitTransport
from rag_bench.llm.transport.queueing import Gate


@pytest.mark.parametrize("warm", [False, True])
def test_a_call_whose_lease_ran_out_before_it_left_waits_for_its_turn_again(
    provider: FakeProvider, warm: bool
) -> None:
    """``warm``: by a connection that is open already."""
    gate = Gate()
    gate.slots, gate.rate, gate.valid_until = 1, 1.0, math.inf
    n_stopped = 0

    class StoppedBeforeSending(httpx.AsyncHTTPTransport):
        """Once its process is stopped here for as long as a lease stands."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal n_stopped
            if request.url.path == "/v1/second" and not n_stopped:
                n_stopped, gate.valid_until = 1, -math.inf
            return await super().handle_async_request(request)

    async def run() -> None:
        transport = LimitTransport(StoppedBeforeSending(), Limits())
        transport.queue.gate = gate

        def call(path: str) -> asyncio.Task[httpx.Response]:
            request = httpx.Request("POST", f"{provider.base_url}/{path}", json={"model": "m"})
            return asyncio.create_task(transport.handle_async_request(request))

        if warm:
            await call("first")
        second = call("second")
        async with asyncio.timeout(30):
            while not n_stopped or transport.queue.pace.in_flight:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert provider.count == warm, "nothing was sent"
            assert not second.done(), "it waits"
            gate.valid_until = math.inf
            transport.queue.advance()
            assert (await second).status_code == 200
        assert provider.count == warm + 1
        await transport.aclose()

    asyncio.run(run())
