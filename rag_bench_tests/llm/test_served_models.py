"""What a reply says of who made it stands in the ledger, and whoever watches a job hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_provider import FakeProvider, completion, question
from ledger_rows import MakeModels, rows
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.evaluation.instrument.served import ServedTally
from rag_bench.llm.reading import replies
from rag_bench.llm.transport.context import Watch, watching

NAMED = {"model": "m-2026-01-05", "system_fingerprint": "fp_1"}


def asked(models: MakeModels, *questions: str) -> ServedTally:
    watch = Watch()

    async def run() -> None:
        async with models() as client:
            with watching(watch):
                for one in questions:
                    await client.chat("fake/m", "generation", question(one))

    asyncio.run(run())
    return watch.served


def names(served: ServedTally) -> list[tuple[Any, ...]]:
    found = served.as_inputs().get("served", {}).get("fake/m", [])
    return [(one["model"], one["system_fingerprint"], one["calls"]) for one in found]


def test_the_name_and_the_build_are_stored_and_told_again_from_the_ledger(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def reply(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({**completion("да"), **NAMED})

    provider.behaviour = reply
    assert names(asked(models, "один", "два")) == [("m-2026-01-05", "fp_1", 2)]
    found = [(row["served_model"], row["system_fingerprint"]) for row in rows(engine)]
    assert found == [("m-2026-01-05", "fp_1")] * 2
    again = asked(models, "один")
    assert provider.count == 2
    assert names(again) == [("m-2026-01-05", "fp_1", 1)]


def test_a_reply_of_an_earlier_version_is_read_for_it(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def reply(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({**completion("да"), **NAMED})

    provider.behaviour = reply
    first = asked(models, "один")
    with engine.begin() as connection:
        connection.execute(
            text("update rag_bench.llm_call set served_model = null, system_fingerprint = null")
        )
    again = asked(models, "один")
    assert names(again) == names(first)
    one, other = (t.as_inputs()["served"]["fake/m"][0]["first"] for t in (first, again))
    assert other[:16] == one[:16], "the reply was made when it was first asked for"


def test_what_is_no_name_is_none() -> None:
    assert not replies.served_by({"model": 5, "system_fingerprint": ["x"]})
    assert not replies.served_by({"model": "  "})
    assert not replies.served_by([{"model": "m"}])
    assert len(replies.served_by({"model": "m" * 5000}).model or "") == 200


def test_a_failed_call_was_served_by_nobody(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def reply(body: dict[str, Any], number: int) -> Response:
        return JSONResponse({"error": {"message": "нет"}, "model": "m"}, 400)

    provider.behaviour = reply
    watch = Watch()

    async def run() -> None:
        async with models() as client:
            with watching(watch), pytest.raises(CaseError, match="400"):
                await client.chat("fake/m", "generation", question("один"))

    asyncio.run(run())
    assert names(watch.served) == []
    assert [row["served_model"] for row in rows(engine)] == [None]
