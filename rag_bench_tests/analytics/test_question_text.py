"""Words, answers and masks, each worked by hand."""

from __future__ import annotations

import pytest

from rag_bench.analytics.text import content_words, is_answer, sample_text
from rag_bench.privacy.public_names import PublicNames


def test_content_words_leave_out_stop_words_short_ones_and_personal_data() -> None:
    text = "Здравствуйте, подскажите, когда стипендия в ИГ? ivan@mail.ru, 89123456789"
    assert content_words([text, "как мне быть"]) == [["стипендия"], []]
    assert content_words(["Why was it that they would have had no dormitory?"]) == [["dormitory"]]


def test_names_are_no_content_words_unless_the_knowledge_base_has_them() -> None:
    text = "дозвониться куратору Зоркину Глебу Ильичу"
    assert content_words([text]) == [["дозвониться", "куратору"]]
    public = PublicNames(["Куратор — Зоркин Глеб Ильич."])
    assert content_words([text], public) == [
        ["дозвониться", "куратору", "зоркину", "глебу", "ильичу"]
    ]


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ("25-го числа.", True),
        ("Ответа нет в фрагменте", True),
        ("Найден ответ: не опаздывать", True),
        (None, False),
        ("", False),
        (" \n", False),
        ("Ответ не найден.", False),
        ("ответ НЕ найден", False),
        ("К сожалению, ответ не найден. Обратитесь в деканат.", False),
    ],
)
def test_a_refusal_is_not_an_answer(answer: str | None, yes: bool) -> None:
    assert is_answer(answer) is yes


def test_a_sample_is_masked_before_it_is_cut() -> None:
    # Cut first, the number would end after five digits and stay.
    text = "ж" * 90 + " 1234567890123"
    assert sample_text(text) == "ж" * 90 + " [number]"
    assert sample_text("один\n два") == "один два"
    long = sample_text("стипендия " * 30)
    assert len(long) <= 100
    assert long.endswith("…")
