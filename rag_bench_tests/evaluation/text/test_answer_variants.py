"""Longer without saying more, the same words as Markdown, and half of them."""

from __future__ import annotations

import re

import pytest

from rag_bench.evaluation.text.answer_variants import (
    FILLERS,
    first_half,
    padded,
    styled,
    without_padding,
)

ANSWERS = (
    "Стипендию перечисляют 25-го числа. Справку приносят в каб. А-212, г. Тюмень. Ждите!",
    "The reading room is open until 5 pm. Dr. Smith has the key",
    "1943",
    "Да",
    "«Мир», 940 рублей…",
)


@pytest.mark.parametrize("answer", ANSWERS)
def test_padding_is_in_the_answers_language_and_can_be_taken_off(answer):
    long = padded(answer, "Сколько?")
    russian = not re.search("[A-Za-z]", answer)
    assert long.startswith(FILLERS[russian][0])
    assert answer in long
    assert len(long) > len(answer) + 150
    assert without_padding(long).rstrip(".") == answer.rstrip(".")
    assert without_padding(answer) is None


def test_a_number_is_padded_in_the_language_of_its_question():
    assert padded("1943", "In which year?").startswith("Thank you")
    assert padded("1943", "В каком году?").startswith("Спасибо")


def test_the_fillers_say_nothing_checkable():
    for sentences in FILLERS.values():
        assert not re.search(r"\d", " ".join(sentences))


@pytest.mark.parametrize("answer", ANSWERS)
def test_style_changes_no_word(answer):
    dressed = styled(answer)
    assert re.findall(r"\w+", dressed) == re.findall(r"\w+", answer)
    assert "**" in dressed
    assert re.search(r"^- ", dressed, re.MULTILINE)


def test_several_sentences_become_a_heading_and_a_list():
    assert styled(ANSWERS[0]).splitlines() == [
        "### Стипендию перечисляют 25-го числа.",
        "",
        "- **Справку приносят** в каб. А-212, г. Тюмень.",
        "- **Ждите!**",
    ]


def test_half_an_answer():
    assert first_half("Гостей пускают с 9 до 21 часа по паспорту.") == "Гостей пускают с 9"
    assert first_half("Решает комиссия 1 марта.") is None
