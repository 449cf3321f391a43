"""What a run asked, found and sent, by role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import FakeProvider, completion
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.transport.budget import Budget, CapReachedError, spending
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.tally import Requests, Tally, asking_for, counting

MakeModels = Callable[..., ChatModels]


async def fine(body: dict[str, Any], number: int) -> Response:
    return JSONResponse(completion("да"))


async def ask(client: ChatModels, text: str, role: str = "generation") -> None:
    await client.chat("fake/m", role, [{"role": "user", "content": text}])


def counts(requests: Requests) -> tuple[int, int, int, int]:
    return requests.asked, requests.from_ledger, requests.shared, requests.sent


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
    assert {role: counts(requests) for role, requests in first.by_role.items()} == {
        "generation": (6, 1, 4, 1),
        "benchmark_judge": (1, 0, 0, 1),
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


def test_requests_and_what_they_took_are_counted_for_the_cell_that_asked(
    models: MakeModels, provider: FakeProvider
) -> None:
    provider.behaviour = fine

    async def one_cell(client: ChatModels, cell: tuple[str, ...], texts: list[str]) -> None:
        with asking_for(cell):
            for text in texts:
                await ask(client, text)

    async def run() -> None:
        async with models() as client:
            await asyncio.gather(
                one_cell(client, ("a",), ["один", "два"]),
                one_cell(client, ("b", "judge"), ["три"]),
            )
            await one_cell(client, ("b", "judge"), ["один"])
            await ask(client, "четыре")

    whole = Tally()
    with counting(Tally(beside=whole)) as step:
        asyncio.run(run())
    assert counts(step.of_cell(("a",))) == (2, 0, 0, 2)
    assert counts(step.of_cell(("b", "judge"))) == (2, 1, 0, 1)
    assert counts(step.of_cell(())) == (1, 0, 0, 1)
    assert step.of_cell(("nobody",)) == Requests()
    # A reply of the ledger took its tokens when it was sent, and nothing now.
    usage = completion("да")["usage"]
    of_b = step.of_cell(("b", "judge"))
    assert of_b.prompt_tokens == usage["prompt_tokens"] > 0
    assert of_b.completion_tokens == usage["completion_tokens"]
    assert of_b.n_priced == 0  # no table of prices
    assert whole.sent == step.sent == 4


def test_requests_of_http_are_counted_with_their_retries(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def twice_unwell(body: dict[str, Any], number: int) -> Response:
        if "никогда" in str(body):
            return JSONResponse({"error": {"message": "занят"}}, 503)
        return JSONResponse(completion("да"), 503 if number < 3 else 200)

    async def run(client: ChatModels) -> None:
        async with client:
            await ask(client, "вопрос")
            with pytest.raises(CaseError, match="http 503"):
                await ask(client, "никогда", "benchmark_judge")
            await ask(client, "вопрос")

    provider.behaviour = twice_unwell
    whole = Tally()
    with counting(Tally(beside=whole)) as tally:
        asyncio.run(run(models()))
    by_role = {role: (one.sent, one.attempts) for role, one in tally.by_role.items()}
    assert by_role == {"generation": (1, 3), "benchmark_judge": (1, 3)}
    assert tally.attempts == whole.attempts == provider.count == 6
