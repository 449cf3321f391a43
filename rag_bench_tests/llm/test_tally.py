"""What a run asked, found and sent, by role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import FakeProvider, completion
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.budget import Budget, CapReachedError, spending
from rag_bench.llm.client import ChatModels
from rag_bench.llm.tally import Requests, Tally, counting

MakeModels = Callable[..., ChatModels]


async def fine(body: dict[str, Any], number: int) -> Response:
    return JSONResponse(completion("да"))


async def ask(client: ChatModels, text: str, role: str = "generation") -> None:
    await client.chat("fake/m", role, [{"role": "user", "content": text}])


def test_asked_is_what_was_found_shared_and_sent(
    models: MakeModels, provider: FakeProvider
) -> None:
    provider.behaviour = fine

    async def run(tally: Tally) -> None:
        async with models() as client:
            await asyncio.gather(*(ask(client, "один") for _ in range(5)))
            await ask(client, "один")
            await ask(client, "два", "benchmark_judge")

    with counting(Tally()) as first:
        asyncio.run(run(first))
    assert first.by_role == {
        "generation": Requests(asked=6, from_ledger=1, shared=4, sent=1),
        "benchmark_judge": Requests(asked=1, sent=1),
    }
    assert first.sent == provider.count == 2
    with counting(Tally()) as again:
        asyncio.run(run(again))
    assert again.sent == 0
    assert again.by_role["generation"].asked == 6


def test_a_failed_call_was_sent_and_one_over_the_cap_was_not(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def unwell(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({"error": {"message": "нет"}}, 400)

    async def run(client: ChatModels) -> None:
        async with client:
            await ask(client, "вопрос")

    provider.behaviour = unwell
    with counting(Tally()) as tally, pytest.raises(CaseError, match="http 400"):
        asyncio.run(run(models()))
    assert (tally.by_role["generation"].asked, tally.sent) == (1, 1)
    with (
        counting(Tally()) as capped,
        spending(Budget(max_calls=0)),
        pytest.raises(CapReachedError),
    ):
        asyncio.run(run(models()))
    assert capped.sent == 0
