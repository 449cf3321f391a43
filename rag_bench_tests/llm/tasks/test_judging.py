"""Rubric scores: a whole number from the asked JSON, or an error. Never a guess."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.rubrics import RUBRICS
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.judging import SCALE, JudgeScore, score

GIVEN = {
    "question": "Когда пересдачи?",
    "answer": "С 8 по 28 февраля.",
    "context": ["Пересдачи идут с 8 по 28 февраля."],
    "reference_answer": "С 8 по 28 февраля; вторая с 1 по 31 марта.",
}


@dataclass
class Reply:
    text: str
    finish_reason: str | None = "stop"
    latency_ms: float | None = 3.0


class Scripted:
    def __init__(self, text: str, finish_reason: str | None = "stop") -> None:
        self.reply = Reply(text, finish_reason)
        self.calls: list[dict[str, Any]] = []

    async def chat(self, model_key, role, messages, **options):
        self.calls.append({"model": model_key, "role": role, "messages": messages, **options})
        return self.reply


def ask(chat: Scripted, measure: str = "faithfulness", mode: str = "direct", **changes: Any):
    return asyncio.run(score(chat, "p/judge", measure, mode=mode, **{**GIVEN, **changes}))


@pytest.mark.parametrize("value", range(SCALE[0], SCALE[1] + 1))
def test_a_score(value):
    assert ask(Scripted(f'{{"score": {value}}}')) == JudgeScore(value, None, 3.0)


def test_reasoned_mode_keeps_the_reasoning_and_asks_for_it_first():
    chat = Scripted('{"reasoning": "Даты совпали, срок второй пропущен.", "score": 4}')
    made = ask(chat, "answer_correctness", "reasoned")
    assert (made.score, made.reasoning) == (4, "Даты совпали, срок второй пропущен.")
    schema = chat.calls[0]["response_format"]["json_schema"]
    assert schema["name"] == "answer_correctness"
    assert schema["strict"] is True
    assert list(schema["schema"]["properties"]) == ["reasoning", "score"]
    assert schema["schema"]["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert schema["schema"]["additionalProperties"] is False


# How the forerunner's parser read them: 5.0, 1.0, 3.0, 3.0, 4.
@pytest.mark.parametrize(
    "text",
    [
        "Оценка по 5-балльной шкале: 2",
        "По шкале от 1 до 5 это 4",
        "Я не могу оценить этот ответ.",
        "{}",
        '{"score": 4.5}',
    ],
)
@pytest.mark.parametrize("mode", ["direct", "reasoned"])
def test_the_five_traps(text, mode):
    with pytest.raises(CaseError) as caught:
        ask(Scripted(text), mode=mode)
    assert caught.value.code is ErrorCode.METRIC_ERROR


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 0}',
        '{"score": 6}',
        '{"score": -1}',
        '{"score": "4"}',
        '{"score": true}',
        '{"score": null}',
        '{"score": 4.25}',
        '{"score": [4]}',
        '{"score": 4, "score": 2}',
        '{"score": 4, "note": "x"}',
        '{"оценка": 4}',
        '{"score": 4} Хороший ответ, 5 из 5.',
        'Вот оценка: {"score": 4}',
        '{"score": ',
        "4",
        "[4]",
        '{"reasoning": "хорошо", "score": 4}',
    ],
)
def test_anything_else_is_unreadable(text):
    with pytest.raises(CaseError) as caught:
        ask(Scripted(text))
    assert caught.value.code is ErrorCode.METRIC_ERROR


@pytest.mark.parametrize("text", ['{"score": 4}', '{"reasoning": " ", "score": 4}'])
def test_a_reasoned_reply_needs_its_reasoning(text):
    with pytest.raises(CaseError) as caught:
        ask(Scripted(text), mode="reasoned")
    assert caught.value.code is ErrorCode.METRIC_ERROR


@pytest.mark.parametrize(("text", "finish_reason"), [("", "stop"), ('{"score": 4}', "length")])
def test_an_empty_or_cut_reply_is_an_error_of_the_call(text, finish_reason):
    with pytest.raises(CaseError) as caught:
        ask(Scripted(text, finish_reason))
    assert caught.value.code is ErrorCode.LLM_FAILED


@pytest.mark.parametrize("measure", RUBRICS)
def test_a_measure_sends_exactly_what_it_reads(measure):
    chat = Scripted('{"score": 5}')
    ask(chat, measure)
    call = chat.calls[0]
    assert call["role"] is Role.benchmark_judge
    assert call["temperature"] == 0.0
    user = call["messages"][1]["content"]
    for name, value in GIVEN.items():
        sent = f"<{name}>" in user
        assert sent == (name in RUBRICS[measure].inputs)
        if sent:
            assert (value if isinstance(value, str) else value[0]) in user


@pytest.mark.parametrize("measure", RUBRICS)
def test_a_missing_input_is_invalid_and_nothing_is_sent(measure):
    for name in RUBRICS[measure].inputs:
        for missing in ("", [], None) if name == "context" else ("",):
            chat = Scripted('{"score": 5}')
            with pytest.raises(CaseError) as caught:
                ask(chat, measure, **{name: missing})
            assert caught.value.code is ErrorCode.INVALID_INPUT
            assert chat.calls == []


def test_an_unread_input_may_be_absent():
    chat = Scripted('{"score": 2}')
    assert ask(chat, "answer_relevance", context=None, reference_answer=None).score == 2


def test_unknown_measures_and_modes_are_refused():
    with pytest.raises(KeyError, match="faithfulness"):
        ask(Scripted("{}"), "kindness")
    with pytest.raises(ValueError, match="silent"):
        ask(Scripted("{}"), mode="silent")
