"""The terms that a search by words looks for."""

from __future__ import annotations

import Stemmer
from sample_sentences import SENTENCES

from rag_bench.evaluation.text.search_terms import TERMS_VERSION, terms, terms_of
from rag_bench.evaluation.text.text_folding import words
from rag_bench.hashing import content_hash


def test_each_word_is_stemmed_by_its_own_script() -> None:
    assert terms("Справки студентов: running students, общежитиями") == [
        "справк",
        "студент",
        "run",
        "student",
        "общежит",
    ]


def test_yo_is_ye_case_and_marks_do_not_count() -> None:
    assert terms("ЁЛКИ ещё") == terms("елки еще") == ["елк", "ещ"]
    assert terms("за́мок") == terms("замок")


def test_words_are_those_of_rouge_and_none_is_left_out() -> None:
    text = "Как в 2024 г. получить справку №408 (каб. А-212)?"
    assert len(terms(text)) == len(words(text))
    assert terms(text)[:3] == ["как", "в", "2024"]


def test_codes_and_words_of_two_scripts_stay() -> None:
    assert terms("ПИб22ами covid19s qпринтерами") == ["пиб22ами", "covid19s", "qпринтерами"]


def test_other_scripts_with_words_are_not_stemmed() -> None:
    assert terms("Βιβλιοθήκη") == words("Βιβλιοθήκη")


def test_characters_of_chinese_and_japanese_are_terms() -> None:
    assert terms("奖学金 2024") == ["奖", "学", "金", "2024"]
    assert terms("図書館は") == ["図", "書", "館", "は"]


def test_runs_of_scripts_without_spaces_are_no_terms() -> None:
    assert terms("ห้องสมุดเปิดทุกวัน") == []
    assert terms("ห้องสมุด Python 3 ເປີດ") == ["python", "3"]


def test_no_words_no_terms() -> None:
    assert terms_of(["", " …!", "да"]) == [[], [], ["да"]]


def test_many_texts_at_once_are_the_same() -> None:
    texts = [text for language in SENTENCES.values() for text in language]
    assert terms_of(texts) == [terms(text) for text in texts]


def test_the_version_changes_with_the_terms() -> None:
    # Stored terms and results are named by it: raise TERMS_VERSION when this fails.
    texts = [text for name in sorted(SENTENCES) for text in SENTENCES[name]] + [
        "Обучающимся, получающим стипендию, выдают справки; ёлочные огни зажигаются вечером.",
        "Generously relational conditions of universities' libraries were happily published.",
    ]
    assert TERMS_VERSION.endswith(f"snowball-{Stemmer.version()}")
    assert (TERMS_VERSION, content_hash(terms_of(texts))[:16]) == (
        "1-snowball-3.1.0",
        "ad3e7b4e9ab83c25",
    )
