"""A judge whose reply cannot be read is asked once more, and told why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import FAST, FakeProvider, completion, providers_for
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.roles import Role
from rag_bench.llm.tasks import judging, pipeline
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.llm.transport.client import ChatModels
from rag_bench.settings import Settings

PROSE = "Оценка по 5-балльной шкале: 2"


@pytest.fixture
def ask(database_url: str, provider: FakeProvider) -> Callable[..., Any]:
    """Score an answer in a new process' client; return the score and the case's flags."""

    def score(setting: str = "judges", retry_failed: bool = False) -> Any:
        async def main() -> Any:
            client = ChatModels(
                providers_for(fake=provider.base_url),
                database_url,
                Settings(reask_unreadable=setting),
                limits=FAST,
            )
            async with (
                client,
                client.case(Role.benchmark_judge, "q", retry_failed=retry_failed) as context,
            ):
                found = await judging.score(
                    client, "fake/m", "answer_relevance", question="Когда?", answer="25"
                )
                return found, context.flags

        return asyncio.run(main())

    return score


def replies(provider: FakeProvider, *texts: str) -> None:
    given = iter(texts)

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion(next(given)))

    provider.behaviour = behaviour


def test_the_second_reply_counts_and_a_rerun_asks_nothing(
    ask: Callable[..., Any], provider: FakeProvider, engine: Engine
) -> None:
    replies(provider, PROSE, '{"score": 4}')
    found, flags = ask()
    assert (found.score, flags) == (4, ("asked_again",))
    first, second = (body["messages"] for body in provider.bodies)
    assert second[: len(first)] == first
    reply, reason = second[len(first) :]
    assert reply == {"role": "assistant", "content": PROSE}
    assert reason["role"] == "user"
    assert "it is not one JSON object" in reason["content"]
    again, flags = ask()
    assert (again.score, flags, provider.count) == (4, ("asked_again",), 2)
    assert again.latency_ms == found.latency_ms
    with engine.connect() as connection:
        kept = connection.execute(
            text("select status, error_code from rag_bench.llm_call order by id")
        ).all()
    assert [tuple(row) for row in kept] == [("ok", None)] * 2  # nothing failed
    replies(provider)
    assert ask(retry_failed=True)[0].score == 4


def test_there_is_no_third_time_and_both_are_asked_again_on_demand(
    ask: Callable[..., Any], provider: FakeProvider
) -> None:
    replies(provider, PROSE, '{"score": 4.5}')
    for _ in range(2):
        with pytest.raises(CaseError) as caught:
            ask()
        assert caught.value.code is ErrorCode.METRIC_ERROR
        assert "score: Input should be a valid integer" in caught.value.detail
        assert caught.value.flags == ("asked_again",)
        assert not caught.value.retryable
    assert provider.count == 2
    replies(provider, '{"score": 5}')
    found, flags = ask(retry_failed=True)
    assert (found.score, flags, provider.count) == (5, (), 3)


def test_a_readable_reply_is_not_asked_about(
    ask: Callable[..., Any], provider: FakeProvider
) -> None:
    replies(provider, '{"score": 4.0}')
    found, flags = ask()
    assert (found.score, flags, provider.count) == (4, (), 1)


def test_the_switch(ask: Callable[..., Any], provider: FakeProvider) -> None:
    replies(provider, PROSE, '{"score": 4}')
    with pytest.raises(CaseError):
        ask("none")
    assert provider.count == 1
    table = {
        setting: [role for role in Role if asks_again(setting, role)]
        for setting in ("judges", "all", "none")
    }
    assert table == {
        "judges": [Role.benchmark_judge],
        "all": [Role.benchmark_judge, Role.dataset],
        "none": [],
    }


def test_a_reply_that_was_cut_is_no_reply_to_ask_about(
    ask: Callable[..., Any], provider: FakeProvider
) -> None:
    async def cut(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion('{"score": ', finish_reason="length"))

    provider.behaviour = cut
    with pytest.raises(CaseError, match="truncated"):
        ask()
    assert provider.count == 1


def test_a_production_judge_is_asked_once_as_in_production(
    database_url: str, provider: FakeProvider
) -> None:
    replies(provider, "Да")

    async def main() -> None:
        settings = Settings(reask_unreadable="all")
        client = ChatModels(
            providers_for(fake=provider.base_url), database_url, settings, limits=FAST
        )
        async with client, client.case(Role.production_judge, "q"):
            await pipeline.show_or_hide(client, "fake/m", "Когда?", "25", "")

    with pytest.raises(CaseError):
        asyncio.run(main())
    assert provider.count == 1
