"""Sentences of references: units that claim something, in the languages that people use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bench.evaluation.text.sentences import sentences
from rag_bench.evaluation.text.text_folding import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Окно 4. Она готова.", ["Окно 4.", "Она готова."]),
        # A bare word in front claims nothing by itself; at the end it does.
        ("Да. Справку выдают.", ["Да. Справку выдают."]),
        ("Yes! It is open. Free.", ["Yes! It is open.", "Free."]),
        ("1. Заказать справку. 2. Забрать её.", ["1. Заказать справку.", "2. Забрать её."]),
        ("а) Первый шаг.\nб) Второй шаг.", ["а) Первый шаг.", "б) Второй шаг."]),
        (
            "А. С. Пушкин, т. е. поэт, жил на ул. Мойка, д. 12, каб. 3. Он писал.",
            ["А. С. Пушкин, т. е. поэт, жил на ул. Мойка, д. 12, каб. 3.", "Он писал."],
        ),
        ("Это 3.5 км и 1,5 ч. по п. 5.2. Правил.", ["Это 3.5 км и 1,5 ч. по п. 5.2. Правил."]),
        ("Паспорт и т. д. Затем окно 4.", ["Паспорт и т. д.", "Затем окно 4."]),
        ("Паспорт и т. д. для входа.", ["Паспорт и т. д. для входа."]),
        ("Стоит 150 руб. Оплата в кассе.", ["Стоит 150 руб.", "Оплата в кассе."]),
        ("Dr. J. R. Smith came, e.g. on Jan. 5.", ["Dr. J. R. Smith came, e.g. on Jan. 5."]),
        ("«Приходите!» — сказал он. Мы пришли…", ["«Приходите!» — сказал он.", "Мы пришли…"]),
        ("Готово [1]. Выдача тут. [2] Вход там.", ["Готово [1].", "Выдача тут. [2]", "Вход там."]),
        ("Сайт utmn.ru. почта там же", ["Сайт utmn.ru. почта там же"]),
        ("请到三号窗口。办公室在二楼！", ["请到三号窗口。", "办公室在二楼！"]),
        ("दाखिला खुला है। कल आइए।", ["दाखिला खुला है।", "कल आइए।"]),
        ("ทุนจ่ายวันที่ ๒๕ ของเดือน", ["ทุนจ่ายวันที่ ๒๕ ของเดือน"]),
        ("25", ["25"]),
        ("— …\n!", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


pieces = st.sampled_from(
    ["Да.", "Окно 4.", "т. е. Он", "«Так!»", "1.", "—", "он", "\n", "Всё…", "是。"]
)


@given(st.lists(pieces, max_size=12).map(" ".join))
def test_no_word_is_lost_or_moved(text: str) -> None:
    found = sentences(text)
    assert [word for part in found for word in words(part)] == words(text)
    assert all(words(part) for part in found)
