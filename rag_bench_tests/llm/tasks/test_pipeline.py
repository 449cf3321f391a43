"""The pipeline under test: citations, refusals, and verdicts read to the letter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import (
    Fragment,
    answer_question,
    is_refusal,
    parse_verdict,
    read_answer,
    show_or_hide,
    split_citations,
)

FRAGMENTS = [
    Fragment("hash-a", "https://help.example/a", "Пересдачи идут с 8 по 28 февраля."),
    Fragment("hash-b", "https://help.example/b", "Стипендию платят 25 числа."),
    Fragment("hash-c", "https://help.example/c", "The library opens at 9:00."),
]


@dataclass
class Reply:
    text: str
    finish_reason: str | None = "stop"
    latency_ms: float | None = 12.5


class Scripted:
    """A model that says one thing and remembers what it was asked."""

    def __init__(self, text: str, finish_reason: str | None = "stop") -> None:
        self.reply = Reply(text, finish_reason)
        self.calls: list[tuple[str, Role, list[dict[str, str]]]] = []

    async def chat(self, model_key, role, messages, **options):
        self.calls.append((model_key, role, messages))
        return self.reply


def answer(text: str, finish_reason: str | None = "stop"):
    chat = Scripted(text, finish_reason)
    return asyncio.run(answer_question(chat, "p/m", "Когда пересдачи?", FRAGMENTS))


def test_an_answer_with_citations():
    chat = Scripted("С 8 по 28 февраля [1]. Стипендия — 25 числа [2][1].")
    made = asyncio.run(answer_question(chat, "p/m", "Когда пересдачи?", FRAGMENTS))
    assert made.text == "С 8 по 28 февраля. Стипендия — 25 числа."
    assert made.reply == "С 8 по 28 февраля [1]. Стипендия — 25 числа [2][1]."
    assert made.citations == ("hash-a", "hash-b")
    assert made.latency_ms == 12.5
    assert (made.refused, made.flags) == (False, ())
    model, role, messages = chat.calls[0]
    assert (model, role) == ("p/m", Role.generation)
    assert '<fragment id="3">\nThe library opens at 9:00.\n</fragment>' in messages[1]["content"]


@pytest.mark.parametrize(
    ("text", "numbers", "rest"),
    [
        ("Да [1].", [1], "Да."),
        ("Да [1, 3]", [1, 3], "Да"),
        ("Да [1;2]", [1, 2], "Да"),
        ("Да [1-3]", [1, 2, 3], "Да"),
        ("Да [фрагмент 2].", [2], "Да."),
        ("Yes [fragment 2][3]", [2, 3], "Yes"),
        ("Основан в [1943] году", [], "Основан в [1943] году"),
        ("Массив a[i] и [прим.]", [], "Массив a[i] и [прим.]"),
        ("Без ссылок", [], "Без ссылок"),
        ("Да\u00a0[\u200b1,\u00a02\ufeff].", [1, 2], "Да."),
        ("Да [1\u20113] и [2\u2014\u00ad3]", [1, 2, 3, 2, 3], "Да и"),
        ("是的【１】［2、3］。", [1, 2, 3], "是的。"),
    ],
)
def test_citation_markers(text, numbers, rest):
    assert split_citations(text) == (numbers, rest)


def test_an_answer_without_citations_is_flagged():
    assert answer("С 8 по 28 февраля.").flags == ("NO_CITATIONS",)


@pytest.mark.parametrize("number", [0, 4, 61])
def test_a_citation_of_no_fragment_is_flagged_and_not_counted(number):
    made = answer(f"С 8 февраля [1][{number}].")
    assert made.citations == ("hash-a",)
    assert made.flags == ("invalid_citation",)
    alone = answer(f"С 8 февраля [{number}].")
    assert alone.citations == ()
    assert set(alone.flags) == {"NO_CITATIONS", "invalid_citation"}


@pytest.mark.parametrize(
    "text", ["Ответ не найден", "ответ не найден.", " «Ответ  не найден» ", "ОТВЕТ НЕ НАЙДЕН! [1]"]
)
def test_refusals(text):
    made = answer(text)
    assert made.refused
    assert made.citations == ()
    assert made.flags == ()


@pytest.mark.parametrize(
    "text",
    [
        "Ответ не найден, но обычно это 25 число [2].",
        "Ответ найден [1]",
        "Я не нашёл ответа",
        "The answer was not found",
    ],
)
def test_what_is_not_a_refusal(text):
    assert not is_refusal(text)
    assert not read_answer(text, FRAGMENTS, None).refused


def test_a_refusal_inside_a_longer_answer_is_flagged():
    made = answer("Ответ не найден, но обычно это 25 число [2].")
    assert made.flags == ("mentions_not_found",)
    assert made.citations == ("hash-b",)


@pytest.mark.parametrize(
    ("text", "finish_reason"),
    [("", "stop"), (" \n", None), ("С 8 по", "length"), ("x", "content_filter")],
)
def test_an_empty_or_cut_reply_is_an_error(text, finish_reason):
    with pytest.raises(CaseError) as caught:
        answer(text, finish_reason)
    assert caught.value.code is ErrorCode.LLM_FAILED


def test_no_fragments_is_invalid_input():
    chat = Scripted("x")
    with pytest.raises(CaseError) as caught:
        asyncio.run(answer_question(chat, "p/m", "Когда?", []))
    assert caught.value.code is ErrorCode.INVALID_INPUT
    assert chat.calls == []


@pytest.mark.parametrize(
    ("text", "show", "reason"),
    [
        ("Yes", True, None),
        ("yes", True, None),
        (" YES\n", True, None),
        ("No", False, None),
        ("no: не по теме", False, "не по теме"),
        ("No: reason", False, "reason"),
        ("No:выдумано", False, "выдумано"),
        ("No: yes, it is invented", False, "yes, it is invented"),
        ("Yes.", True, None),
        ("**Yes**", True, None),
        ("`Yes`", True, None),
        ('"Yes."', True, None),
        ("«No»", False, None),
        ("```\nYes\n```", True, None),
        ("**No:** не по теме", False, "не по теме"),
        ("**No**: не по теме.", False, "не по теме."),
        ("**No: не по теме**", False, "не по теме"),
        ("No.", False, None),
    ],
)
def test_verdicts(text, show, reason):
    assert parse_verdict(text) == (show, reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes, but it is incomplete",
        "Yes: good",
        "Yes\nNo",
        "Yes. No.",
        "Да.",
        "Yes?",
        "Да",
        "Нет",
        "No reason",
        "Not sure",
        "No, yes",
        "yesterday",
        "I say Yes",
        "**Yes** and No",
    ],
)
def test_any_other_verdict_is_an_error(text):
    with pytest.raises(CaseError) as caught:
        parse_verdict(text)
    assert caught.value.code is ErrorCode.METRIC_ERROR


@pytest.mark.parametrize("context", ["", [], ["  "], "Один текст", ["Первый", "Второй"]])
def test_the_gate_is_asked_with_any_context(context):
    chat = Scripted("No: выдумано")
    verdict = asyncio.run(show_or_hide(chat, "p/g", "Когда?", "Никогда", context))
    assert (verdict.show, verdict.reason, verdict.latency_ms) == (False, "выдумано", 12.5)
    assert chat.calls[0][1] is Role.production_judge
    user = chat.calls[0][2][1]["content"]
    texts = [context] if isinstance(context, str) else context
    assert all(text.strip() in user for text in texts)
    assert ("<fragment" in user) == any(text.strip() for text in texts)


def test_an_empty_gate_reply_is_an_error_of_the_call():
    with pytest.raises(CaseError) as caught:
        asyncio.run(show_or_hide(Scripted(""), "p/g", "Когда?", "Никогда", ""))
    assert caught.value.code is ErrorCode.LLM_FAILED
