"""Which calls a case rests on: the ledger's rows, by what they were made for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fake_provider import FakeProvider, completion
from ledger_rows import rows
from sqlalchemy import Engine
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.transport.case_calls import CaseCall, noting
from rag_bench.llm.transport.client import ChatModels

MakeModels = Callable[..., ChatModels]


async def ask(client: ChatModels, text: str, case: str, metric: str = "", repeat: int = 0) -> None:
    async with client.case("generation", case, metric, repeat):
        await client.chat("fake/m", "generation", [{"role": "user", "content": text}])


def named(calls: list[CaseCall]) -> list[tuple[Any, ...]]:
    return [(call.case_id, call.repeat, call.metric, call.how, call.call_id) for call in calls]


def test_each_case_names_the_rows_that_answered_it(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def fine(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion("да"))

    async def run(calls: list[CaseCall]) -> None:
        async with models() as client:
            with noting(calls):
                await asyncio.gather(ask(client, "один", "a"), ask(client, "один", "b"))
                await ask(client, "один", "c", "rubric")
                await ask(client, "один", "c", "rubric", repeat=1)
            await ask(client, "два", "a")  # outside: another's

    provider.behaviour = fine
    calls: list[CaseCall] = []
    asyncio.run(run(calls))
    first, again, other = (row["id"] for row in rows(engine))
    assert sorted(named(calls)[:2], key=lambda call: call[3]) == sorted(
        [("a", 0, "", "sent", first), ("b", 0, "", "shared", first)], key=lambda call: call[3]
    )
    assert named(calls)[2:] == [
        ("c", 0, "rubric", "ledger", first),
        ("c", 1, "rubric", "sent", again),
    ]
    assert other not in {call.call_id for call in calls}


def test_a_failed_call_is_named_and_so_is_the_one_that_took_its_place(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def first_unwell(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return JSONResponse({"error": {"message": "нет"}}, 400)
        return JSONResponse(completion("да"))

    async def run(calls: list[CaseCall]) -> None:
        async with models() as client:
            with noting(calls):
                for _ in range(2):
                    with suppress(CaseError):
                        await ask(client, "один", "a")

    provider.behaviour = first_unwell
    calls: list[CaseCall] = []
    asyncio.run(run(calls))
    stored = {row["id"]: row["status"] for row in rows(engine)}
    assert [(call.how, stored[call.call_id]) for call in calls] == [
        ("sent", "error"),
        ("sent", "ok"),
    ]
