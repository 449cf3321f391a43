"""Why a reply ended, in the words of many servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import FakeProvider, completion, question
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.reading.finish import finish_problem, is_known
from rag_bench.llm.transport.client import ChatModels

MakeModels = Callable[..., ChatModels]
WHOLE = [
    *("stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence", "stop-sequence", "COMPLETE"),
    *("completed", "FINISH_REASON_STOP", "tool_calls", "", None, "null", "Stop Sequence"),
]
CUT = ["length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "incomplete"]
WITHHELD = ["content_filter", "SAFETY", "RECITATION", "blacklist", "sensitive", "content-filter"]
BROKEN = ["error", "ERROR", "network_error", "insufficient_system_resource", "abort", "cancelled"]
UNKNOWN = ["weather", "FINISH_REASON_UNSPECIFIED", 1, {"type": "weather"}, "other"]


def test_the_table() -> None:
    assert [finish_problem(reason) for reason in [*WHOLE, *UNKNOWN]] == [None] * (
        len(WHOLE) + len(UNKNOWN)
    )
    assert all(is_known(reason) for reason in [*WHOLE, *CUT, *WITHHELD, *BROKEN])
    assert not any(is_known(reason) for reason in UNKNOWN)
    assert all("raise the token limit" in (finish_problem(reason) or "") for reason in CUT)
    assert all("content filter" in (finish_problem(reason) or "") for reason in WITHHELD)
    assert all("broke off" in (finish_problem(reason) or "") for reason in BROKEN)
    assert finish_problem({"type": "length"})


def ask(models: MakeModels, provider: FakeProvider, reason: Any, text: str = "ответ") -> Any:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        reply = completion(text, finish_reason=reason)
        if reason == "missing":
            del reply["choices"][0]["finish_reason"]
        return JSONResponse(reply)

    async def main() -> Any:
        async with models() as client, client.case("role", "case") as context:
            reply = await client.chat("fake/m", "r", question("q"))
            return reply.text, context.flags

    provider.behaviour = behaviour
    return asyncio.run(main())


@pytest.mark.parametrize("reason", [*WHOLE, "missing"])
def test_a_whole_reply_is_read(models: MakeModels, provider: FakeProvider, reason: Any) -> None:
    assert ask(models, provider, reason)[0] == "ответ"


@pytest.mark.parametrize("reason", UNKNOWN)
def test_a_reply_that_ends_for_an_unknown_reason_is_read_and_flagged(
    models: MakeModels, provider: FakeProvider, reason: Any
) -> None:
    assert ask(models, provider, reason) == ("ответ", ("unknown_finish_reason",))


@pytest.mark.parametrize("reason", [*CUT, *WITHHELD, *BROKEN])
def test_a_reply_that_is_not_whole_is_an_error(
    models: MakeModels, provider: FakeProvider, reason: str
) -> None:
    for _ in range(2):
        with pytest.raises(CaseError) as caught:
            ask(models, provider, reason)
        assert caught.value.code is ErrorCode.LLM_FAILED
        assert f"finish_reason={reason}" in caught.value.detail
    assert provider.count == 1
