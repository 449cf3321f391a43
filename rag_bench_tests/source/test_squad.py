"""SQuAD files: XQuAD itself, and every way to be none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag_bench.errors import DumpError
from rag_bench.hashing import chunk_hash
from rag_bench.source.question_files.squad import read_squad


def article(title: Any, *paragraphs: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "paragraphs": list(paragraphs)}


def paragraph(context: Any, *ids: Any, **more: Any) -> dict[str, Any]:
    return {
        "context": context,
        "qas": [
            {"id": i, "question": f"Вопрос {i}?", "answers": [{"text": "да"}, {"text": "ага"}]}
            | more
            for i in ids
        ],
    }


def write(folder: Path, *articles: Any, name: str = "вики.ru.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"version": "1.1", "data": list(articles)}), encoding="utf-8")
    return path


def test_xquad(xquad: Path) -> None:
    russian = read_squad([xquad / "xquad.ru.json"])
    assert (len(russian.chunks), len(russian.items)) == (240, 1190)
    assert len({row.page_url for row in russian.chunks}) == 48
    first = russian.items[0]
    assert first.item_id == "56beb4343aeaaa14008c925b"
    assert first.question == "Сколько очков уступила защита Пэнтерс?"
    assert first.reference_answer == "308"
    assert first.page_url == "squad://xquad.ru/Super_Bowl_50"
    by_hash = {chunk_hash(row.page_url, row.text): row for row in russian.chunks}
    for item in russian.items:
        assert item.reference_answer is not None
        assert item.reference_answer in by_hash[item.chunk_hash].text
    both = read_squad([xquad / "xquad.ru.json", xquad / "xquad.en.json"])
    assert (len(both.chunks), len(both.items)) == (480, 2380)
    assert len({item.item_id for item in both.items}) == 2380
    assert f"xquad.ru:{first.item_id}" in {item.item_id for item in both.items}
    assert both.sha256 == read_squad([xquad / "xquad.en.json", xquad / "xquad.ru.json"]).sha256
    assert both.sha256 != russian.sha256
    snapshot = both.to_snapshot()
    assert (snapshot.kind, len(snapshot.chunks), snapshot.questions) == ("squad", 480, [])


def test_pages_items_and_repeats(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        article("Общая физика / том 1", paragraph("Абзац.", 1, "2"), paragraph("Абзац.", "3")),
        article(None, paragraph("Другой.")),
        article("Общая физика / том 1", paragraph("Абзац.", "4", is_impossible=True)),
    )
    parsed = read_squad([path])
    assert [row.page_url for row in parsed.chunks] == [
        "squad://вики.ru/Общая-физика-том-1",
        "squad://вики.ru/1",
        "squad://вики.ru/Общая-физика-том-1-2",
    ]
    assert [item.item_id for item in parsed.items] == ["1", "2", "3", "4"]
    assert len({item.chunk_hash for item in parsed.items}) == 2
    assert [item.reference_answer for item in parsed.items] == ["да", "да", "да", None]
    assert parsed.items[0].details["answers"] == ["да", "ага"]
    assert parsed.items[3].details["is_impossible"] is True
    assert parsed.warnings[:2] == [
        "1 paragraphs repeat another of their article and count once",
        "1 questions have no answer in their paragraph (is_impossible): they are out of scope, "
        "where to refuse is right",
    ]
    assert parsed.warnings[2].startswith("2 chunks share 1 texts")


def qa(key: str, answers: list[str] | None, **more: Any) -> dict[str, Any]:
    found = {} if answers is None else {"answers": [{"text": text} for text in answers]}
    return {"id": key, "question": f"Вопрос {key}?", **found, **more}


def test_impossible_questions_are_out_of_scope(tmp_path: Path) -> None:
    plausible = [{"text": "на мысе", "answer_start": 0}]
    qas = [
        qa("yes", ["в 1911 году"], is_impossible=False),
        qa("no", [], is_impossible=True, plausible_answers=plausible),
        qa("number", [], is_impossible=1),
        # Some exports put the plausible answer where the right ones stand.
        qa("mixed", ["на мысе"], is_impossible=True),
        qa("held back", [], is_impossible=False, plausible_answers=plausible),
    ]
    parsed = read_squad([write(tmp_path, article("Маяк", {"context": "Маяк.", "qas": qas}))])
    items = {item.item_id: item.to_item() for item in parsed.items}
    assert [key for key, item in items.items() if item.out_of_scope] == ["no", "number", "mixed"]
    for key in ("no", "number", "mixed"):
        assert (items[key].chunk_hashes, items[key].page_urls) == ((), ())
        assert items[key].reference_answer is None
        assert items[key].details["answers"] == []
        # Questions of one page are not independent, whether it answers them or not.
        assert items[key].cluster == items["yes"].cluster == "squad://вики.ru/Маяк"
    assert items["yes"].reference_answer == "в 1911 году"
    assert items["held back"].reference_answer is None
    assert len(items["held back"].chunk_hashes) == 1
    assert "на мысе" not in json.dumps(
        [item.as_json() for item in items.values()], ensure_ascii=False
    )
    assert parsed.warnings[-2:] == [
        "3 questions have no answer in their paragraph (is_impossible): they are out of scope, "
        "where to refuse is right",
        "1 questions have no reference answer",
    ]


def test_no_answers_where_others_have_some_are_out_of_scope(tmp_path: Path) -> None:
    def scopes(*qas: dict[str, Any]) -> list[bool]:
        path = write(tmp_path, article("Маяк", {"context": "Маяк.", "qas": list(qas)}))
        return [item.to_item().out_of_scope for item in read_squad([path]).items]

    assert scopes(qa("1", ["да"]), qa("2", []), qa("3", None)) == [False, True, True]
    # A test set, whose answers are held back.
    assert scopes(qa("1", []), qa("2", None)) == [False, False]
    with pytest.raises(DumpError, match="is_impossible should be true or false"):
        scopes(qa("1", [], is_impossible="false"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b'{"data": [', "not JSON, or was cut off"),
        (b"\xff\xfe", "not UTF-8"),
        pytest.param(b"[" * 100_000, "not readable JSON", id="deep"),
        (b"[]", "the file should be an object"),
        (b"{}", "data should be a list"),
        (b'{"data": []}', "holds no paragraph"),
        (b'{"data": [1]}', r"data\[0\] should be an object"),
        (b'{"data": [{"title": "x"}]}', r"data\[0\].paragraphs should be a list"),
        (b'{"data": [{"paragraphs": [{}]}]}', "context should be a text"),
        (b'{"data": [{"paragraphs": [{"context": " "}]}]}', "context should be a text"),
        (b'{"data": [{"paragraphs": [{"context": "a\\u0000"}]}]}', "NUL character"),
        (b'{"data": [{"paragraphs": [{"context": "\\ud800"}]}]}', "lone surrogate"),
        (b'{"data": [{"paragraphs": [{"context": "a", "qas": {}}]}]}', "qas should be a list"),
        (b'{"data": [{"paragraphs": [{"context": "a", "qas": [{}]}]}]}', "id should be a text"),
        (
            b'{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "1"}]}]}]}',
            "question should be a text",
        ),
        (
            b'{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "1", "question": "q", '
            b'"answers": ["x"]}]}]}]}',
            r"answers\[0\] should be an object",
        ),
    ],
)
def test_what_is_not_squad(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DumpError, match=message) as caught:
        read_squad([path])
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_taken(tmp_path: Path) -> None:
    path = write(tmp_path, article("x", paragraph("a", "1", "1")))
    with pytest.raises(DumpError, match="id '1' comes twice"):
        read_squad([path])
    with pytest.raises(DumpError, match="two files are named"):
        read_squad([path, path])
    with pytest.raises(DumpError, match="is a directory"):
        read_squad([tmp_path])
    with pytest.raises(DumpError, match="no such file"):
        read_squad([tmp_path / "missing.json"])
    with pytest.raises(DumpError, match="no SQuAD file"):
        read_squad([])
