"""Which texts were broken on their way, and which only look unusual."""

from __future__ import annotations

import pytest

from rag_bench.demo.corpus import read_corpus
from rag_bench.evaluation.text.broken_texts import is_cut, misread_as, what_is_broken
from rag_bench.settings import PROJECT_ROOT

RUSSIAN = "Стипендию перечисляют 25-го числа каждого месяца на карту «Мир»."


@pytest.mark.parametrize("encoding", ["cp1251", "latin-1", "koi8-r", "cp866"])
def test_a_text_read_in_a_wrong_encoding(encoding: str) -> None:
    misread = RUSSIAN.encode().decode(encoding, errors="replace")
    assert misread != RUSSIAN
    assert misread_as(misread) is not None
    assert what_is_broken(misread) == "read in a wrong encoding"


def test_a_western_text_read_in_a_wrong_encoding() -> None:
    assert misread_as("Die PrÃ¼fung beginnt spÃ¤ter als geplant.") == "cp1252"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Справку прин\ufffdсят в кабинет А-212.", "letters were lost in decoding (U+FFFD)"),
        ("502 Bad Gateway\n\nnginx/1.24.0", "an error page of a web server"),
        ("HTTP/1.1 503 Service Unavailable", "an error page of a web server"),
        ("Error: 404 Not Found", "an error page of a web server"),
        ("<!DOCTYPE html>\n<html><body>…", "HTML and no text"),
    ],
)
def test_what_else_is_broken(text: str, why: str) -> None:
    assert what_is_broken(text) == why


@pytest.mark.parametrize(
    "text",
    [
        RUSSIAN,
        "",
        "Reading room, 10 am to 8 pm.",
        "Ошибка 404 Not Found значит, что страницы нет: проверьте адрес.",
        "404 студента сдали экзамен.",
        "Früh übt sich, wer später größer wird.",
        "Тег <html> стоит в начале страницы.",
        "Ёлка, ΔΕΖ, 漢字, 10 °C, №5 — «кавычки» и тире…",
    ],
)
def test_texts_that_are_whole(text: str) -> None:
    assert what_is_broken(text) is None


def test_no_text_of_the_demo_is_broken() -> None:
    corpus = read_corpus(PROJECT_ROOT / "data")
    texts = [text for _, text in corpus.chunks()]
    assert len(texts) > 100
    assert [what_is_broken(text) for text in texts] == [None] * len(texts)


@pytest.mark.parametrize(
    ("now", "cut"),
    [
        ("Комната стоит 940 рублей. Платят до 5 чис", True),
        ("Комната стоит 940 рублей. Платят", True),
        # As by hand: the last sentence is gone, or nothing of it.
        ("Комната стоит 940 рублей.", False),
        ("Комната стоит 940 рублей. Платят до 5 числа через кабинет", False),
        ("Комната стоит 950 рублей. Платят до", False),
        ("", False),
    ],
)
def test_a_text_that_was_cut(now: str, cut: bool) -> None:
    before = "Комната стоит 940 рублей. Платят до 5 числа через кабинет"
    assert is_cut(before, now) is cut
