"""Pages and phrasings: what is read, and that every mistake names its file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag_bench.demo.corpus import read_corpus, read_phrasings
from rag_bench.errors import RagBenchError

PAGE = """---
url: https://help.example/pages/library-card
title: Читательский билет: кто, где, когда
lang: ru
topic: library
---
Как записаться

Отдельной карточки нет.

=====

Сколько книг выдают

Учебники — на семестр.
"""


def _data(tmp_path: Path, page: str = PAGE, slug: str = "library-card") -> Path:
    (tmp_path / "corpus").mkdir(exist_ok=True)
    (tmp_path / "corpus" / f"{slug}.md").write_text(page, encoding="utf-8")
    return tmp_path


def test_a_page_is_read_into_its_chunks(tmp_path: Path) -> None:
    corpus = read_corpus(_data(tmp_path))
    page = corpus.by_slug["library-card"]
    assert page.title == "Читательский билет: кто, где, когда"
    assert (page.url, page.lang, page.topic) == (
        "https://help.example/pages/library-card",
        "ru",
        "library",
    )
    assert page.chunks == (
        "Как записаться\n\nОтдельной карточки нет.",
        "Сколько книг выдают\n\nУчебники — на семестр.",
    )
    assert corpus.n_chunks == 2
    assert [text for _, text in corpus.chunks()] == list(page.chunks)


def test_line_endings_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = _data(tmp_path) / "corpus" / "library-card.md"
    plain = read_corpus(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + PAGE.replace("\n", "\r\n").encode())
    assert read_corpus(tmp_path) == plain


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (PAGE.replace("---\n", "", 1), r"library-card\.md:1: "),
        (PAGE.replace("lang: ru\n", ""), r"library-card\.md:5: the fields lack lang"),
        (PAGE.replace("lang: ru", "lang ru"), r"library-card\.md:4: expected each"),
        (PAGE.replace("lang: ru", "url: x"), r"library-card\.md:4: expected each"),
        (PAGE.replace("lang: ru", "author: x"), r"library-card\.md:4: expected each"),
        (PAGE.replace("lang: ru", "lang:"), r"library-card\.md:4: the field lang is empty"),
        (PAGE.replace("lang: ru", "lang: russian"), "lang is two letters"),
        (PAGE.replace("https://", ""), "url is not an address"),
        (PAGE + "\n=====\n\n", r"library-card\.md:17: an empty chunk follows"),
        (
            PAGE + "=====\nСколько книг выдают\n\nУчебники — на семестр.",
            r":17: the same chunk as the one at line 13",
        ),
        (PAGE[: PAGE.index("\n---\nКак")], "not closed"),
        (PAGE[: PAGE.index("---\nКак")], r":6: expected each"),
        (PAGE + "\0", r":16: a zero character"),
    ],
)
def test_a_mistake_in_a_page_names_its_place(tmp_path: Path, page: str, message: str) -> None:
    with pytest.raises(RagBenchError, match=message):
        read_corpus(_data(tmp_path, page))


def test_what_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = _data(tmp_path) / "corpus" / "library-card.md"
    path.write_bytes(PAGE.encode("cp1251", errors="replace"))
    with pytest.raises(RagBenchError, match="not UTF-8"):
        read_corpus(tmp_path)


def test_two_pages_of_one_url_are_refused(tmp_path: Path) -> None:
    _data(tmp_path)
    with pytest.raises(RagBenchError, match=r"a-copy\.md and library-card\.md have one url"):
        read_corpus(_data(tmp_path, slug="a-copy"))


def test_a_file_that_is_no_slug_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RagBenchError, match="holds no pages"):
        read_corpus(tmp_path)
    with pytest.raises(RagBenchError, match="<slug>"):
        read_corpus(_data(tmp_path, slug="Моя страница"))


def _phrasings(tmp_path: Path, *lines: object) -> Path:
    (tmp_path / "phrasings").mkdir(exist_ok=True)
    text = "\n".join(
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    )
    (tmp_path / "phrasings" / "a.jsonl").write_text(text + "\n", encoding="utf-8")
    return _data(tmp_path)


ROW = {
    "text": "как получить читательский",
    "topic": "library",
    "page": "library-card",
    "lang": "ru",
}


def test_phrasings_are_read(tmp_path: Path) -> None:
    data = _phrasings(tmp_path, ROW, "", {**ROW, "text": "курс евро", "page": None})
    covered, uncovered = read_phrasings(data, read_corpus(data))
    assert covered.page == "library-card"
    assert (uncovered.text, uncovered.page) == ("курс евро", None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"a\.jsonl:2: not JSON"),
        ("[]", r"a\.jsonl:2: expected an object"),
        ({**ROW, "text": " "}, r"a\.jsonl:2: text must be"),
        ({**ROW, "text": "иначе", "lang": None}, r"a\.jsonl:2: lang must be"),
        (
            {**ROW, "text": "иначе", "page": "no-such"},
            r"a\.jsonl:2: the corpus has no page 'no-such'",
        ),
        (ROW, r"a\.jsonl:2: the text of .*a\.jsonl:1 again"),
    ],
)
def test_a_mistake_in_a_phrasing_names_its_line(tmp_path: Path, line: object, message: str) -> None:
    data = _phrasings(tmp_path, ROW, line)
    with pytest.raises(RagBenchError, match=message):
        read_phrasings(data, read_corpus(data))
