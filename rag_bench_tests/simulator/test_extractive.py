"""The baseline: sentences, headings, citations, and no knowledge of the answer key."""

from __future__ import annotations

import json

import pytest

from rag_bench.simulator.extractive import NOT_FOUND, extractive_answer
from rag_bench.simulator.text import contains, overlap, sentences, stem

RETAKES = (
    "Когда проходят пересдачи\n"
    "Первая пересдача за зиму — с 8 по 28 февраля. В каникулы пересдачи не назначают, даже если "
    "преподаватель не против. Телефон сдают секретарю."
)
LIBRARY = "Library hours\nThe library opens at 9:00 on weekdays. Lost cards cost 300 roubles."
FRAGMENTS = [(1, RETAKES), (2, LIBRARY)]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Назначают ли пересдачу в каникулы?", "В каникулы пересдачи не назначают"),
        ("кому сдать телефон", "Телефон сдают секретарю. [1]"),
        ("пересдачи за зиму когда", "Первая пересдача за зиму — с 8 по 28 февраля."),
        ("How much does a lost card cost?", "Lost cards cost 300 roubles. [2]"),
        ("when does the libary open", "The library opens at 9:00 on weekdays. [2]"),
    ],
)
def test_the_nearest_sentence_is_cited(question, answer):
    assert extractive_answer(question, FRAGMENTS).startswith(answer)


def test_a_heading_is_no_answer():
    answer = extractive_answer("Когда проходят пересдачи?", FRAGMENTS)
    assert answer != NOT_FOUND
    assert not answer.startswith("Когда проходят")


def test_nothing_near_is_not_found():
    assert extractive_answer("Xylophon?", [(1, RETAKES)]) == NOT_FOUND
    assert extractive_answer("Где?", []) == NOT_FOUND
    assert extractive_answer("", FRAGMENTS) == NOT_FOUND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Раз. Два! Три?", ["Раз.", "Два!", "Три?"]),
        (
            "Каб. 214, ул. Ленина, д. 5. Вход со двора.",
            ["Каб. 214, ул. Ленина, д. 5.", "Вход со двора."],
        ),
        ("Позвоните А. С. Пушкину. Он ждёт.", ["Позвоните А. С. Пушкину.", "Он ждёт."]),
        ("Стоит 3.5 тыс. руб. в месяц.", ["Стоит 3.5 тыс. руб. в месяц."]),
        ("Он сказал: «Да.» Потом ушёл.", ["Он сказал: «Да.»", "Потом ушёл."]),
        ("Пункт один\nПункт два", ["Пункт один", "Пункт два"]),
        ("Mr. Smith left. It rained.", ["Mr. Smith left.", "It rained."]),
        ("… — !", []),
    ],
)
def test_sentences(text, expected):
    assert list(sentences(text)) == expected


def test_words_are_compared_without_endings_and_markers():
    assert stem("пересдача") == stem("пересдачи") == stem("пересдачу")
    assert stem("2024") == "2024"
    assert overlap("Стипендию платят [1]", "стипендия, которую платят 25 числа") == 1.0
    assert contains("Ёлка в холле.", "елка в ХОЛЛЕ")
    assert not contains("в холлею", "в холле")


def test_it_is_a_floor_worth_having_on_real_questions(xquad):
    for language, least in (("ru", 0.75), ("en", 0.8)):
        data = json.loads((xquad / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]
        cases = [
            (asked["question"], asked["answers"][0]["text"], paragraph["context"])
            for article in data
            for paragraph in article["paragraphs"]
            for asked in paragraph["qas"]
        ]
        found = sum(
            contains(extractive_answer(question, [(1, context)]), answer)
            for question, answer, context in cases
        )
        assert least < found / len(cases) < 0.95
