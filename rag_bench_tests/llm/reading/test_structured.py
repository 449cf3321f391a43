"""Structured replies: the exact JSON or an error, never a number found in prose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from fake_provider import FakeProvider, completion, question
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.reading.structured import (
    UnreadableReplyError,
    parse_structured,
    response_format_for,
)
from rag_bench.llm.transport.client import ChatModels


class Score(BaseModel):
    reasoning: str
    score: Annotated[int, Field(ge=1, le=5)]


class Bare(BaseModel):
    score: int = 3


class Claim(BaseModel):
    statement: str
    verdict: Literal["yes", "no"]


class Claims(BaseModel):
    claims: list[Claim]
    note: str | None


GOOD = '{"reasoning": "Ответ опирается на фрагмент.", "score": 4}'


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        GOOD.replace(", ", ",\n"),
    ],
)
def test_the_asked_json_is_read(reply: str) -> None:
    assert parse_structured(reply, Score) == Score(
        reasoning="Ответ опирается на фрагмент.", score=4
    )


@pytest.mark.parametrize(
    "reply",
    [
        # The forerunner read 5, 1, 3, 3 and 4 out of the first five.
        "Оценка по 5-балльной шкале: 2",
        "По шкале от 1 до 5 это 4",
        "",
        "Извините, я не могу оценить этот ответ.",
        "4.5",
        None,
        "   ",
        "4",
        "null",
        "[4]",
        '{"reasoning": "a", "score": 4.5}',
        '{"reasoning": "a", "score": 4.0000001}',
        '{"reasoning": "a", "score": 6.0}',
        '{"reasoning": "a", "score": 1e999}',
        '{"reasoning": "a", "score": "4"}',
        '{"reasoning": "a", "score": true}',
        '{"reasoning": "a", "score": null}',
        '{"reasoning": "a", "score": 0}',
        '{"reasoning": "a", "score": 6}',
        '{"reasoning": "a", "score": NaN}',
        '{"reasoning": "a", "score": -Infinity}',
        '{"reasoning": 1, "score": 4}',
        '{"score": 4}',
        "{}",
        '{"reasoning": "a", "score": 4, "confidence": 1}',
        '{"reasoning": "a", "score": 2, "score": 4}',
        '{"reasoning": "a", "Score": 4}',
        f"Вот оценка: {GOOD}",
        f"{GOOD} Надеюсь, помогло.",
        f"{GOOD}{GOOD}",
        f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```",
        f"```json\n{GOOD}",
        f"хм: {GOOD}",
        "{'reasoning': 'a', 'score': 4}",
        '{"reasoning": "a", "score": 4',
        '{"reasoning": "a", "score": 4,}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_an_error(reply: str | None) -> None:
    with pytest.raises(UnreadableReplyError, match="unreadable reply") as failed:
        parse_structured(reply, Score)
    assert isinstance(failed.value, CaseError)
    assert failed.value.code is ErrorCode.METRIC_ERROR
    assert len(failed.value.detail) < 600


@pytest.mark.parametrize("written", ["4", "4.0", "4.00", "4e0", "40e-1"])
def test_a_whole_number_may_be_written_with_a_point(written: str) -> None:
    reply = f'{{"reasoning": "a", "score": {written}}}'
    score = parse_structured(reply, Score).score
    assert (score, type(score)) == (4, int)


class Marks(BaseModel):
    each: list[Annotated[int, Field(strict=True, ge=0, le=5)]]
    inner: Bare
    maybe: int | None
    share: float


def test_whole_numbers_at_any_depth_and_nothing_else_is_converted() -> None:
    text = '{"each": [1.0, 2], "inner": {"score": 3.0}, "maybe": 4.0, "share": 1.0}'
    marks = parse_structured(text, Marks)
    assert (marks.each, marks.inner.score, marks.maybe, marks.share) == ([1, 2], 3, 4, 1.0)
    assert type(marks.share) is float
    for bad in ('"each": [1.5]', '"each": [true]', '"each": ["1"]', '"each": [6.0]'):
        with pytest.raises(UnreadableReplyError):
            parse_structured(text.replace('"each": [1.0, 2]', bad), Marks)


@pytest.mark.parametrize("fence", ["```json {}```", "```JSON\n{}\n```", "```\n\n{}\n\n```"])
def test_a_fence_of_any_make(fence: str) -> None:
    assert parse_structured(fence.replace("{}", GOOD), Score).score == 4


def test_a_default_does_not_fill_a_missing_field() -> None:
    with pytest.raises(UnreadableReplyError, match="score is missing"):
        parse_structured("{}", Bare)


def test_nested_objects_are_as_strict() -> None:
    good = '{"claims": [{"statement": "а", "verdict": "yes"}], "note": null}'
    assert parse_structured(good, Claims).claims[0].verdict == "yes"
    for bad in (
        '{"claims": [{"statement": "а", "verdict": "yes", "x": 1}], "note": null}',
        '{"claims": [{"statement": "а"}], "note": null}',
        '{"claims": [{"statement": "а", "verdict": "да"}], "note": null}',
        '{"claims": ["а"], "note": null}',
        '{"claims": {}, "note": null}',
    ):
        with pytest.raises(UnreadableReplyError):
            parse_structured(bad, Claims)


@given(st.text())
def test_no_text_is_ever_turned_into_a_score(reply: str) -> None:
    with pytest.raises(UnreadableReplyError):
        parse_structured(reply, Score)


def test_the_schema_sent_is_strict_on_every_level() -> None:
    sent = response_format_for("claims", Claims)
    assert sent["type"] == "json_schema"
    schema = sent["json_schema"]["schema"]
    assert sent["json_schema"]["strict"] is True
    assert schema["required"] == ["claims", "note"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Claim"]["additionalProperties"] is False
    bare = response_format_for("bare", Bare)["json_schema"]["schema"]
    assert bare["required"] == ["score"]
    assert "default" not in bare["properties"]["score"]
    given_by_hand = {"type": "object", "properties": {"default": {"type": "string"}}}
    strict = response_format_for("x", given_by_hand)["json_schema"]["schema"]
    assert strict["properties"] == {"default": {"type": "string"}}


def test_an_unreadable_judge_reply_is_marked_in_the_ledger(
    models: Callable[..., ChatModels], provider: FakeProvider, engine: Engine
) -> None:
    async def prose_first(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion("Оценка: 2" if number == 1 else GOOD))

    async def judge(retry_failed: bool) -> int:
        async with models() as client, client.case("judge", "q", retry_failed=retry_failed):
            parsed, _ = await client.chat_structured(
                "fake/m", "benchmark_judge", question("оцени"), Score
            )
            return parsed.score

    provider.behaviour = prose_first
    for _ in range(2):
        with pytest.raises(UnreadableReplyError):
            asyncio.run(judge(False))
    assert provider.count == 1
    with engine.connect() as connection:
        found = connection.execute(text("select error_code, error_detail from rag_bench.llm_call"))
        code, detail = found.one()
    assert code == "METRIC_ERROR"
    assert "Оценка: 2" in detail
    assert asyncio.run(judge(True)) == 4
    assert provider.count == 2


def test_a_provider_without_json_schema_gets_it_in_the_prompt(
    database_url: str, provider: FakeProvider
) -> None:
    from rag_bench.llm.config.providers import Providers

    async def good(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion(GOOD))

    async def run() -> None:
        environment = {
            "PROVIDER_FAKE_BASE_URL": provider.base_url,
            "PROVIDER_FAKE_RESPONSE_FORMAT": "json_object",
        }
        async with ChatModels(Providers(environment), database_url) as client:
            await client.chat_structured("fake/m", "judge", question("оцени"), Score)

    provider.behaviour = good
    asyncio.run(run())
    assert provider.bodies[0]["response_format"] == {"type": "json_object"}
    assert '"score"' in provider.bodies[0]["messages"][0]["content"]
    assert "authorization" not in provider.headers[0]  # a provider without a key


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", {"temperature", "max_tokens"}),
        ("openai/gpt-4.1-mini", {"temperature", "max_tokens"}),
        ("o3-mini", {"max_completion_tokens"}),
        ("openai/gpt-5-mini", {"max_completion_tokens"}),
        ("open-mistral-nemo", {"temperature", "max_tokens"}),
        ("gpt-oss-20b", {"temperature", "max_tokens"}),
    ],
)
def test_reasoning_models_are_not_sent_what_they_refuse(
    model: str, expected: set[str], models: Callable[..., ChatModels], provider: FakeProvider
) -> None:
    async def run() -> None:
        async with models() as client:
            await client.chat(f"fake/{model}", "generation", question("?"))

    asyncio.run(run())
    assert set(provider.bodies[0]) == {"model", "messages", "stream", *expected}
