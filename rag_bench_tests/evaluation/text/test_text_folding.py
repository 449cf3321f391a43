"""One folding for every comparison: what the eye cannot tell apart is one text."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.analytics.text import is_answer
from rag_bench.evaluation.question_sets import near_duplicates
from rag_bench.evaluation.text.text_folding import (
    compounds,
    fold,
    has_words_in_a_row,
    readable,
    visible,
    words,
    words_alone,
)
from rag_bench.llm.tasks.pipeline import is_refusal

# Soft hyphen, zero-width space and joiners, word joiner, byte-order mark, directions and
# isolates, variation selector, filler, tag, control character.
INVISIBLE = [
    *"\u00ad\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u202a\u202c\u2066\u2069\u061c",
    *"\ufe0f\u034f\u3164\U000e0041\x00\x1b\x7f\ufffc",
]
# No-break, narrow, ideographic and other spaces; line and paragraph separators; tabs and lines.
WHITE = [*"\u00a0\u202f\u3000\u2009\u205f\u1680\u2028\u2029\u0085\t\n\x0b\x1f", "\r\n"]


@pytest.mark.parametrize("mark", INVISIBLE, ids=lambda mark: f"U+{ord(mark):04X}")
def test_what_is_invisible_is_no_difference(mark: str) -> None:
    text = "Кабинет 408"
    spoilt = mark + mark.join(text) + mark
    assert fold(spoilt) == fold(text)
    assert words(spoilt) == ["кабинет", "408"]
    assert visible(spoilt) == text
    assert readable(f"8{mark}912") == "8912"


@pytest.mark.parametrize("space", WHITE, ids=lambda s: "+".join(f"U+{ord(c):04X}" for c in s))
def test_white_space_of_every_kind_is_one_space(space: str) -> None:
    assert fold(f"{space}в{space}{space}деканате{space}") == "в деканате"
    assert visible(f"В{space}деканате") == "В деканате"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("мой приём", unicodedata.normalize("NFD", "Мой приём")),
        ("за\u0301мок, дого\u0301во\u0301р", "замок, договор"),
        ("«Ёлка» – это “ёлка”", '"Елка" - это "елка"'),
        ("don’t", "don't"),
        ("5−3 = 2", "5-3 = 2"),
        ("ﬁnal ｆｕｌｌ", "final full"),
        ("STRASSE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("İstanbul", "istanbul"),
        ("каб. № 408", "каб. №408"),
        ("каб. Nº 408", "каб. № 408"),
        ("каб. № 408", "каб. #408"),
        ("5 м²", "5 м2"),
        ("Подождите…", "подождите..."),
        # Latin c, o, p and H inside of Cyrillic words.
        ("cтипендия, дoговоp, Hомер", "стипендия, договор, номер"),
        ("ガイド", "ｶﾞｲﾄﾞ"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("क़लम", unicodedata.normalize("NFC", "क़लम")),
    ],
)
def test_what_reads_the_same_is_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("мой", "мои"),
        ("10⁵", "105"),
        ("1½", "11/2"),
        ("кабинет 408", "кабинет no408"),
        # Vowels of Hindi, Thai and Arabic are combining marks, and make other words.
        ("की", "का"),
        ("दिन", "दान"),
        ("ที่", "ทำ"),
        ("عَلِم", "عَلَم"),
        ("resume", "résumé"),
        ("1C", "1С"),  # Latin and Cyrillic, without a letter beside that tells
    ],
)
def test_what_reads_otherwise_stays_another_text(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Кабинет №408-а, № 5", ["кабинет", "408", "а", "5"]),
        ("Бренд™ и 20℃", ["бренд", "и", "20", "c"]),
        ("**_важно_**, e-mail_2", ["важно", "e", "mail", "2"]),
        ("हिन्दी है", ["हिन्दी", "है"]),
        ("请联系学生处 A1。", ["请", "联", "系", "学", "生", "处", "a1"]),
        ("コーヒーを飲む", ["コ", "ー", "ヒ", "ー", "を", "飲", "む"]),
        ("제출은 금요일까지", ["제출은", "금요일까지"]),
        ("mã số", ["mã", "số"]),
        ("— … !", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert words_alone(text) == " ".join(expected)


def test_compounds_are_joined_by_any_hyphen() -> None:
    for dash in ("-", "\u2011", "\u2010"):
        assert compounds(f"группа ПИб{dash}22, «и»") == ["группа", "пиб-22", "и"]


def test_words_in_a_row() -> None:
    assert has_words_in_a_row("Увы: ОТВЕТ не\u00a0найден.", "ответ не найден")
    assert not has_words_in_a_row("Ответ не найденный", "ответ не найден")
    assert not has_words_in_a_row("что угодно", "…")


def test_readable_keeps_signs_and_case() -> None:
    assert readable("№４０８\u200b и Ёж™") == "№408 и Ёж™"


@pytest.mark.once  # of characters
def test_folding_twice_changes_nothing_for_any_character() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        same = unicodedata.normalize("NFKC", character) == character == character.casefold()
        if unicodedata.category(character) != "Cs" and not (same and character.isalnum()):
            once = fold(f"а{character}1")
            assert fold(once) == once, hex(code)


texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("аеёийАЕHcopТ№№⁵½«»—\u0301\u0306\u00ad\u200b 1"),
    max_size=12,
)


@given(texts)
@settings(deadline=None, max_examples=300)
def test_folding_any_text_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert words(fold(text)) == words(text)
    composed = unicodedata.normalize("NFC", text)
    assert fold(composed) == fold(unicodedata.normalize("NFD", composed))


def test_refusals_and_duplicates_are_compared_by_it() -> None:
    import numpy as np

    for refusal in ("Ответ\u00a0не найден.", "_Ответ не найден_", "\ufeffОтвет не най\u00adден"):
        assert is_refusal(refusal)
        assert not is_answer(refusal)
    assert not is_refusal("Ответ не найден в разделе 2")
    asked = ["Когда мой приём?", unicodedata.normalize("NFD", "когда мой\u00a0прие\u0308м")]
    assert near_duplicates(asked, np.eye(2), 0.99) == {1: 0}
    assert near_duplicates(["दिन कब", "दान कब"], np.eye(2), 0.99) == {}
