"""Words, answers and masks, each worked by hand."""

from __future__ import annotations

import pytest

from rag_bench.analytics.text import content_words, is_answer, mask, sample_text


def test_content_words_leave_out_stop_words_short_ones_and_personal_data() -> None:
    text = "Здравствуйте, подскажите, когда стипендия в ИГ? ivan@mail.ru, 89123456789"
    assert content_words(text) == ["стипендия"]
    assert content_words("как мне быть") == []


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


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("пишите на ivan.petrov+1@utmn.ru.", "пишите на [e-mail]."),
        ("тел +7 (912) 345-67-89 вечером", "тел [number] вечером"),
        ("8 912 345 67 89", "[number]"),
        ("снилс 112-233-445 95", "снилс [number]"),
        ("звоните 68-57-55", "звоните [number]"),
        ("паспорт 7112 123456", "паспорт [number]"),
        ("зачётка 202300123", "зачётка [number]"),
        ("я @ivan_petrov, vk.com/id12", "я [name], [link]"),
        ("https://t.me/ivan?x=1 вот", "[link] вот"),
        # What is not personal stays.
        ("до 01.09.2025 в 14:30, каб. 408", "до 01.09.2025 в 14:30, каб. 408"),
        ("группа ПИб-22-1, 15000 рублей", "группа ПИб-22-1, 15000 рублей"),
        ("тел 8\u200b912\u200b345\u200b67\u200b89", "тел [number]"),
        ("ivan\u200b@mail.ru", "[e-mail]"),
        ("каб. №408", "каб. №408"),
        ("\uff18\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19", "[number]"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_sample_is_masked_before_it_is_cut() -> None:
    # Cut first, the number would end after five digits and stay.
    text = "ж" * 90 + " 1234567890123"
    assert sample_text(text) == "ж" * 90 + " [number]"
    assert sample_text("один\n два") == "один два"
    long = sample_text("стипендия " * 30)
    assert len(long) <= 100
    assert long.endswith("…")
