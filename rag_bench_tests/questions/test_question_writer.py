"""Synthetic questions: taken only if a person could ask them and the chunk answers them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.questions.writer import check_pair, write_question

CHUNK = (
    "Когда проходят пересдачи\n"
    "Первая пересдача за зиму — с 8 по 28 февраля, за лето — с 1 по 20 сентября. Вторая, с "
    "комиссией, — с 1 по 31 марта и с 25 сентября по 25 октября. Дата появляется в кабинете не "
    "позже чем за 5 дней, записываться отдельно не нужно."
)
GOOD = ("Когда можно закрыть хвосты за зиму?", "Первая пересдача за зиму — с 8 по 28 февраля.")
ENGLISH = "The library opens at 9:00 on weekdays. A lost card costs 300 roubles to replace."


@dataclass
class Reply:
    text: str
    finish_reason: str | None = "stop"
    latency_ms: float | None = 3.0


class Scripted:
    def __init__(self, text: str) -> None:
        self.reply = Reply(text)
        self.calls: list[tuple[Role, list[dict[str, str]]]] = []

    async def chat(self, model_key, role, messages, **options):
        self.calls.append((role, messages))
        return self.reply


def write(text: str):
    return asyncio.run(write_question(Scripted(text), "p/m", CHUNK, "Пересдачи и комиссия"))


def test_a_good_pair_is_returned_with_spaces_tidied():
    chat = Scripted(
        json.dumps({"question": "Когда можно\nзакрыть  хвосты?", "reference_answer": GOOD[1]})
    )
    assert asyncio.run(write_question(chat, "p/m", CHUNK, "Пересдачи")) == (
        "Когда можно закрыть хвосты?",
        GOOD[1],
    )
    role, messages = chat.calls[0]
    assert role is Role.dataset
    assert f"<chunk>\n{CHUNK}\n</chunk>" in messages[1]["content"]


@pytest.mark.parametrize(
    ("question", "reference"),
    [
        GOOD,
        ("а если завалил комиссию зимой, когда вторая пересдача", "С 1 по 31 марта"),
        ("Надо ли записываться на пересдачу?", "Нет, записываться отдельно не нужно."),
    ],
)
def test_usable_pairs(question, reference):
    check_pair(question, reference, CHUNK)


def test_usable_in_english():
    check_pair("How much is a new library card if I lose mine?", "300 roubles.", ENGLISH)


@pytest.mark.parametrize(
    ("question", "reference", "why"),
    [
        ("Когда?", GOOD[1], "characters"),
        ("Когда " + "очень " * 100 + "?", GOOD[1], "characters"),
        ("Пересдача?", GOOD[1], "one word"),
        ("Когда можно закрыть хвосты, если", "", "empty"),
        ("Когда можно закрыть хвосты,", GOOD[1], "breaks off"),
        ("Когда можно закрыть хвосты...", GOOD[1], "breaks off"),
        ("О чём говорится в этом тексте?", GOOD[1], "points at a text"),
        ("Какие сроки указаны в данном фрагменте?", GOOD[1], "points at a text"),
        ("Согласно тексту, когда пересдачи?", GOOD[1], "points at a text"),
        ("What does the passage say about retakes?", GOOD[1], "points at a text"),
        (CHUNK, GOOD[1], "copies"),
        (CHUNK.split("\n")[1].split(". Вторая")[0] + "?", GOOD[1], "copies"),
        (GOOD[0], " ", "empty"),
        (GOOD[0], "Ответ не найден", "empty"),
        (GOOD[0], "Обратитесь к методисту Ивановой, телефон 555-12-34.", "words are in the chunk"),
    ],
)
def test_unusable_pairs(question, reference, why):
    with pytest.raises(CaseError, match=why) as caught:
        check_pair(question, reference.strip(), CHUNK)
    assert caught.value.code is ErrorCode.METRIC_ERROR


@pytest.mark.parametrize(
    "text",
    [
        "Вопрос: Когда пересдачи? Ответ: в феврале.",
        '{"question": "Когда можно закрыть хвосты?"}',
        '{"question": "Когда можно закрыть хвосты?", "reference_answer": null}',
        '{"question": "Когда можно закрыть хвосты?", "reference_answer": "x", "id": 1}',
    ],
)
def test_an_unreadable_reply_is_an_error(text):
    with pytest.raises(CaseError) as caught:
        write(text)
    assert caught.value.code is ErrorCode.METRIC_ERROR


def test_a_blank_chunk_is_invalid_input():
    with pytest.raises(CaseError) as caught:
        asyncio.run(write_question(Scripted("{}"), "p/m", "  ", "Пересдачи"))
    assert caught.value.code is ErrorCode.INVALID_INPUT
