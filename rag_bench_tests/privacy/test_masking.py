"""What is masked, and what stays: each case worked by hand. All persons are invented."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise

import pytest

from rag_bench.evaluation.text.text_folding import readable
from rag_bench.privacy import masking
from rag_bench.privacy.kinds import PLACEHOLDERS, Kind, Span
from rag_bench.privacy.masking import find, find_all, mask, mask_all
from rag_bench.privacy.numbers import is_inn, is_snils
from rag_bench.privacy.public_names import PublicNames


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
        # Telephones of small towns, told by the word before them; a year and hours are none.
        ("дом. тел. 3-45-67-89", "дом. тел. [number]"),
        ("справка: тел. 2-34-56, 2 34 57", "справка: тел. [number], 2 34 57"),
        ("телефон 23-45-678 (деканат)", "телефон [number] (деканат)"),
        ("раб. т. 5-67-89", "раб. т. [number]"),
        ("call 3-45-67-89", "call [number]"),
        (
            "телефон работает с 9 до 18 30, тел. 2024 год",
            "телефон работает с 9 до 18 30, тел. 2024 год",
        ),
        ("пары 1-2, 3-45", "пары 1-2, 3-45"),
        ("my SSN is 123-45-6789", "my SSN is [number]"),
        ("студ. билет N 54321", "студ. билет N [number]"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("я Зоркин Глеб Ильич, где справка", "я [name], где справка"),
        ("говорил с Ритой Лисицкой вчера", "говорил с [name] вчера"),
        ("зоркин глеб из группы", "[name] из группы"),
        ("глеб ильич не отвечает", "[name] не отвечает"),
        ("лисицкой р.п. отправил письмо", "[name] отправил письмо"),
        ("ЗОРКИН ГЛЕБ ИЛЬИЧ", "[name]"),
        ("меня зовут гульнара мухаметзянова", "меня зовут [name]"),
        ("долг у преподавателя зоркина", "долг у преподавателя [name]"),
        ("my name is john zorkins and i study", "my name is [name] and i study"),
        ("Prof. Zorkins is absent", "Prof. [name] is absent"),
        ("Emily Stonebrook, room 5", "[name], room 5"),
        ("Kind regards,\nGleb Zorkin", "Kind regards,\n[name]"),
        ("от имени Глеба Зоркина", "от имени [name]"),
        # No persons: words that are names as well, and what bears a name.
        ("вера в себя, роман толстого, роза и лев", "вера в себя, роман толстого, роза и лев"),
        ("Вера, надежда и любовь. Роман прочитан", "Вера, надежда и любовь. Роман прочитан"),
        ("академ с 8 марта до мая", "академ с 8 марта до мая"),
        ("улица Зоркина 23, имени Глеба Зоркина", "улица Зоркина 23, имени Глеба Зоркина"),
        ("Google Classroom and Data Science", "Google Classroom and Data Science"),
        ("Will University open in May?", "Will University open in May?"),
        # An initial of another script is a letter of a list.
        ("В. Велосипед можно", "В. Велосипед можно"),
        # Sums and dates stay.
        ("98 000–146 000 руб. до 01.09.2025 10.10.2025", None),
        # What looks alike, and what cannot be seen.
        ("Зор\u00adкин Гл\u200bеб", "[name]"),
        ("я З\u006fркин Гл\u0065б", "я [name]"),  # Latin o and e
        ("", ""),
    ],
)
def test_names_are_masked_and_words_are_not(text: str, masked: str | None) -> None:
    assert mask(text) == (text if masked is None else masked)


def test_a_name_of_the_knowledge_base_is_public() -> None:
    public = PublicNames(["Директор: Зоркин Глеб Ильич. Декан — Лисицкая Р. П.", "Dean Ann Oakes"])
    text = "писал Глебу Ильичу Зоркину, Лисицкой Р.П. и Ann Oakes"
    assert mask(text, public) == text
    # In small letters too.
    assert mask("зоркину глебу", public) == "зоркину глебу"
    assert mask("Зоркин Глеб Петрович", public) == "[name]"
    # The first name is not in the chunks, so that somebody else may be meant.
    assert mask("Лисицкая Рената", public) == "[name]"
    assert mask("Зоркина Рената", public) == "[name]"
    # Words of two names that do not stand together are no name.
    assert mask("Лисицкий Глеб", public) == "[name]"


def test_nobody_is_public_in_no_texts() -> None:
    assert len(PublicNames()) == 0
    assert not PublicNames(["текст без имён"]).hold("Зоркин Глеб")


@pytest.mark.parametrize(
    ("digits", "yes"),
    [
        # Worked by hand: 2·7+4·8+10·9+3·1+5·2+9·3+4·4+6·5+8·6 = 270, 270 mod 11 = 6.
        ("7891234566", True),
        ("7891234567", False),
        # 7·5+2·0+4·0+10·1+3·0+5·0+9·7+4·3+6·2+8·2 = 148, mod 11 = 5;
        # 3·5+7·0+2·0+4·1+10·0+3·0+5·7+9·3+4·2+6·2+8·5 = 141, mod 11 = 9.
        ("500100732259", True),
        ("500100732258", False),
        ("500100732249", False),
        ("123", False),
    ],
)
def test_check_digits_of_an_inn(digits: str, yes: bool) -> None:
    assert is_inn(digits) is yes


@pytest.mark.parametrize(
    ("digits", "yes"),
    [
        # 1·9+1·8+2·7+2·6+3·5+3·4+4·3+4·2+5·1 = 95.
        ("11223344595", True),
        ("11223344594", False),
        # 0·9+8·8+7·7+6·6+5·5+4·4+3·3+0·2+2·1 = 201, mod 101 = 100, which is written 00.
        ("08765430200", True),
        ("00100199800", False),
        ("1122334459", False),
    ],
)
def test_check_number_of_a_snils(digits: str, yes: bool) -> None:
    assert is_snils(digits) is yes


def kinds(text: str) -> list[tuple[str, str]]:
    shown = readable(text)
    return [(shown[span.start : span.end], str(span.kind)) for span in find(text)]


def test_numbers_have_kinds_by_their_check_digits_form_and_words() -> None:
    assert kinds("ИНН 500100732259 и инн организации: 7891234566") == [
        ("500100732259", "inn"),
        ("7891234566", "inn"),
    ]
    # A wrong check digit: it is masked all the same.
    assert kinds("ИНН 500100732258") == [("500100732258", "number")]
    assert kinds("СНИЛС 112-233-445 95") == [("112-233-445 95", "snils")]
    assert kinds("снилс 11223344594") == [("11223344594", "number")]
    assert kinds("паспорт 7112123456") == [("7112123456", "passport")]
    assert kinds("71 12 № 123456") == [("71 12 № 123456", "passport")]
    assert kinds("серия 7112 номер 123456") == [("7112 номер 123456", "passport")]
    assert kinds("8 912 345-67-89 или +44 20 7946 0958") == [
        ("8 912 345-67-89", "phone"),
        ("+44 20 7946 0958", "phone"),
    ]
    assert kinds("зачётка 202300123") == [("202300123", "number")]


def test_what_is_left_of_digits_beside_a_known_number_is_masked_too() -> None:
    assert mask("паспорт 7112 123456 40 17 81 55 66 00") == "паспорт [number] [number]"
    assert mask("8 912 345-67-89 8 900 123-45-67") == "[number]"
    assert mask("инн 500100732259 0000 1111 2222") == "инн [number] [number]"


def test_spans_are_in_order_and_do_not_overlap() -> None:
    text = (
        "Зоркин Глеб, gleb@example.org, @gleb_z, https://example.org/?tel=89123456789, "
        "8 912 345 67 89"
    )
    spans = find(text)
    assert [span.kind for span in spans] == ["name", "e-mail", "handle", "link", "phone"]
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert spans[0] == Span(0, 11, Kind.NAME)


def test_a_text_is_masked_alike_alone_and_among_others() -> None:
    texts = [
        "я Зоркин Глеб Ильич, где справка",
        "Рита Лисицкая",
        "когда стипендия",
        "Рита Лисицкая " + "и очень длинное письмо о том, что было " * 20,
        "Рита Лисицкая",
    ]
    assert mask_all(texts) == [mask(text) for text in texts]
    assert find_all([]) == []


def test_a_masked_text_is_left_as_it_is() -> None:
    once = mask("Зоркин Глеб, 8 912 345-67-89, gleb@example.org, @gleb_z, vk.com/gleb")
    assert once == "[name], [number], [e-mail], [name], [link]"
    assert mask(once) == once


def test_released_placeholders_stay() -> None:
    assert set(PLACEHOLDERS) == set(Kind)
    assert set(PLACEHOLDERS.values()) == {"[e-mail]", "[link]", "[name]", "[number]"}


def test_the_recognizer_is_loaded_once_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rag_bench.privacy import recognizer

    loaded = []
    load = recognizer._load
    monkeypatch.setattr(recognizer, "_ner", None)
    monkeypatch.setattr(recognizer, "_load", lambda: loaded.append(1) or load())
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(mask("говорил с Ритой Лисицкой")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["говорил с [name]"] * 8
    assert loaded == [1]


@pytest.mark.once  # of imports
def test_nothing_heavy_is_imported_before_it_is_needed_and_all_of_it_by_prepare() -> None:
    program = """
import sys
import rag_bench.privacy.masking as masking
heavy = {"slovnet", "navec", "pymorphy3", "phonenumbers", "numpy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
masking.prepare()
assert heavy <= set(sys.modules)
# natasha's own code cannot run with every setuptools.
assert not {"natasha", "pymorphy2"} & set(sys.modules)
before = set(sys.modules)
masking.mask_all(["Говорил с Марией, +44 20 7946 0958, Ann Oakes", "ИНН 500100732259"] * 3)
assert set(sys.modules) == before, set(sys.modules) - before
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_missing_weights_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_bench.errors import NotInstalledError
    from rag_bench.privacy import recognizer

    monkeypatch.setattr(recognizer, "_ner", None)
    monkeypatch.setattr(recognizer, "_WEIGHTS", "data/model/none.tar")
    with pytest.raises(NotInstalledError, match="natasha"):
        masking.mask("Говорил с Марией Лисицкой")
