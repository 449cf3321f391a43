"""Datasets that people made, in all the forms in which they come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rag_bench.demo.corpus import read_corpus
from rag_bench.errors import RagBenchError
from rag_bench.hashing import chunk_hash
from rag_bench.settings import PROJECT_ROOT
from rag_bench.source.question_files.dataset_export import export_annotation
from rag_bench.source.question_files.dataset_files import (
    QUESTIONS,
    SHOW_HIDE,
    read_dataset,
    read_dataset_file,
    read_gold,
    read_pairs,
)
from rag_bench.store.datasets import items_of, save_dataset

BASE = "https://help.example/pages/"


@dataclass(frozen=True)
class Chunk:
    chunk_hash: str
    page_url: str
    text: str
    source_id: int | None = None


def _chunk(slug: str, text: str, source_id: int | None = None) -> Chunk:
    url = slug if "://" in slug else BASE + slug
    return Chunk(chunk_hash(url, text), url, text, source_id)


LONG = "Общежитие: заселение. " + "Приходите с паспортом и договором. " * 40
STIPEND = [
    _chunk("stipend", "Стипендия\n\nРазмер стипендии 3 200 рублей.", 11),
    _chunk("stipend", "Стипендия\n\nПриходит 25-го числа.", 12),
    _chunk("stipend", "Реквизиты меняют в кабинете.", 13),
]
DORM = [_chunk("dorm", LONG, 14), _chunk("dorm", "Оплата до 10-го числа.", 15)]
CHUNKS = [STIPEND[0], DORM[0], STIPEND[1], STIPEND[2], DORM[1]]


def _write(path: Path, value: Any, name: str = "gold.json") -> Path:
    file = path / name
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return file


def _lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


GOLD = {
    "id": "g1",
    "question": "Когда придёт стипендия?",
    "reference_answer": "25-го числа.",
    "relevant": [{"page": "stipend", "chunk": 2}],
    "lang": "ru",
}


# Our own format -------------------------------------------------------------------------------


def test_a_chunk_is_named_by_its_place_on_the_page(tmp_path: Path) -> None:
    (item,) = read_gold([_write(tmp_path, [GOLD])], CHUNKS)
    assert item.item_id == "g1"
    assert item.reference_answer == "25-го числа."
    assert item.chunk_hashes == (STIPEND[1].chunk_hash,)  # third in the snapshot, second there
    assert item.page_urls == (BASE + "stipend",)
    assert item.details == {"language": "ru"}


@pytest.mark.parametrize("page", ["stipend", BASE + "stipend"])
def test_a_page_is_named_by_slug_or_address(tmp_path: Path, page: str) -> None:
    row = {**GOLD, "relevant": [{"page": page, "chunk": 3}, {"page": "dorm", "chunk": 1}]}
    (item,) = read_gold([_write(tmp_path, [row])], CHUNKS)
    assert item.chunk_hashes == (STIPEND[2].chunk_hash, DORM[0].chunk_hash)
    assert item.page_urls == (BASE + "stipend", BASE + "dorm")


def test_a_chunk_is_named_by_a_part_of_its_text(tmp_path: Path) -> None:
    entry = {"page": "stipend", "text_contains": "Стипендия Приходит"}
    (item,) = read_gold([_write(tmp_path, [{**GOLD, "relevant": [entry]}])], CHUNKS)
    assert item.chunk_hashes == (STIPEND[1].chunk_hash,)


def test_a_page_alone_is_judged_by_page(tmp_path: Path) -> None:
    row = {**GOLD, "relevant": [{"page": "dorm"}]}
    (item,) = read_gold([_write(tmp_path, [row])], CHUNKS)
    assert item.chunk_hashes == ()
    assert item.page_urls == (BASE + "dorm",)


def test_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    row = {**GOLD, "relevant": [{"page": "stipend", "chunk": 1}, {"page": "stipend", "chunk": 1}]}
    (item,) = read_gold([_write(tmp_path, [row])], CHUNKS)
    assert len(item.chunk_hashes) == len(item.page_urls) == 1


def test_nothing_relevant_is_a_question_without_judgement(tmp_path: Path) -> None:
    (item,) = read_gold([_write(tmp_path, [{**GOLD, "relevant": []}])], CHUNKS)
    assert (item.chunk_hashes, item.page_urls) == ((), ())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"page": "library", "chunk": 1}, "no page 'library'"),
        ({"page": "stipend", "chunk": 4}, "has 3 chunks, there is no chunk 4"),
        ({"page": "stipend", "chunk": 0}, "there is no chunk 0"),
        ({"page": "stipend", "text_contains": "Стипендия"}, "2 chunks with the text"),
        ({"page": "dorm", "text_contains": "Стипендия"}, "no chunk with the text 'Стипендия'"),
        ({"page": "stipend", "chunk": 1, "text_contains": "25-го"}, "is not the one"),
    ],
)
def test_what_the_snapshot_does_not_have_is_said(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    path = _write(tmp_path, [{**GOLD, "relevant": [entry]}])
    with pytest.raises(RagBenchError, match=message):
        read_gold([path], CHUNKS)
    (item,) = read_gold([path], CHUNKS, strict=False)
    assert (item.chunk_hashes, item.page_urls) == ((), ())
    found = read_dataset_file(path, CHUNKS, strict=False)
    assert len(found.warnings) == 1
    assert "g1" in found.warnings[0]


def test_two_pages_of_one_slug_are_not_guessed(tmp_path: Path) -> None:
    other = _chunk("https://other.example/stipend", "Другая стипендия.")
    with pytest.raises(RagBenchError, match="2 pages end in 'stipend'"):
        read_gold([_write(tmp_path, [GOLD])], [*CHUNKS, other])


def test_up_to_five_unresolved_items_are_listed(tmp_path: Path) -> None:
    rows = [{**GOLD, "id": f"g{i}", "relevant": [{"page": f"p{i}"}]} for i in range(8)]
    with pytest.raises(RagBenchError) as caught:
        read_gold([_write(tmp_path, [*rows, {**GOLD, "id": "good"}])], CHUNKS)
    message = str(caught.value)
    assert message.startswith("8 of 9 items")
    assert "item 1 (g0): no page 'p0'" in message
    assert "g4" in message
    assert "g5" not in message
    assert "and 3 more" in message


# The forerunner's format ----------------------------------------------------------------------

OLD = {
    "question": "как заселиться в общагу",
    "ground_truth_answer": "С паспортом и договором.",
    "chunk_id": 92401,  # of a dump long gone; here another chunk has it
    "chunk_text": LONG[:500],
    "confluence_url": BASE + "dorm",
    "source": "synthetic",
    "user_score": 5,
    "question_source": None,
}


def test_a_chunk_is_found_by_url_and_the_beginning_of_its_text(tmp_path: Path) -> None:
    chunks = [_chunk("dorm", "Совсем другое.", 92401), *CHUNKS]
    (item,) = read_gold([_write(tmp_path, [OLD])], chunks)
    assert item.chunk_hashes == (DORM[0].chunk_hash,)
    assert item.reference_answer == "С паспортом и договором."
    assert item.details == {"source": "synthetic", "user_score": 5}


def test_the_beginning_may_fit_one_chunk_wholly_and_another_in_part(tmp_path: Path) -> None:
    short = _chunk("dorm", "Общежитие: заселение.")
    (item,) = read_gold([_write(tmp_path, [{**OLD, "chunk_text": short.text}])], [*CHUNKS, short])
    assert item.chunk_hashes == (short.chunk_hash,)
    with pytest.raises(RagBenchError, match="2 chunks with the text 'Общежитие"):
        read_gold([_write(tmp_path, [{**OLD, "chunk_text": "Общежитие:"}])], [*CHUNKS, short])


def test_a_changed_chunk_is_never_taken_by_its_id(tmp_path: Path) -> None:
    changed = _chunk("dorm", "Общежитие: переезд. Приходите с ключами.", 92401)
    with pytest.raises(RagBenchError, match="no chunk with the text"):
        read_gold([_write(tmp_path, [OLD])], [changed])


def test_more_relevant_pages_are_kept(tmp_path: Path) -> None:
    row = {**OLD, "relevant_urls": [BASE + "dorm", BASE + "stipend"]}
    (item,) = read_gold([_write(tmp_path, [row])], CHUNKS)
    assert item.page_urls == (BASE + "dorm", BASE + "stipend")
    with pytest.raises(RagBenchError, match="no page"):
        read_gold([_write(tmp_path, [{**row, "relevant_urls": [BASE + "none"]}])], CHUNKS)


def test_several_chunks_of_which_one_is_written_down_are_judged_by_page(tmp_path: Path) -> None:
    path = _write(tmp_path, [{**OLD, "relevant_chunk_ids": [14, 15]}])
    found = read_dataset_file(path, CHUNKS)
    assert found.items[0].chunk_hashes == ()
    assert found.items[0].page_urls == (BASE + "dorm",)
    assert "judged by page only" in found.warnings[0]
    path = _write(tmp_path, [{**OLD, "relevant_chunk_ids": [14, 14]}])
    assert read_gold([path], CHUNKS)[0].chunk_hashes == (DORM[0].chunk_hash,)


def test_hashes_name_chunks(tmp_path: Path) -> None:
    row = {
        "question_id": 17,
        "question": "Сколько?",
        "ground_truth_answer": "3 200",
        "ground_truth_chunks": [STIPEND[0].chunk_hash, DORM[1].chunk_hash],
    }
    (item,) = read_gold([_write(tmp_path, _lines(row), "x.jsonl")], CHUNKS)
    assert item.item_id == "17"
    assert item.chunk_hashes == (STIPEND[0].chunk_hash, DORM[1].chunk_hash)
    assert item.page_urls == (BASE + "stipend", BASE + "dorm")
    with pytest.raises(RagBenchError, match="no chunk 'ffff'"):
        read_gold([_write(tmp_path, [{**row, "ground_truth_chunks": ["ffff"]}])], CHUNKS)


@pytest.mark.parametrize("flag", ["is_question_ok", "is_answer_ok", "is_chunk_ok", "is_pair_ok"])
@pytest.mark.parametrize("no", [0, False])
def test_what_an_annotator_rejected_is_left_out_and_counted(
    tmp_path: Path, flag: str, no: object
) -> None:
    rows = [GOLD, {**GOLD, "id": "g2", flag: no}, {**GOLD, "id": "g3", flag: 1}]
    found = read_dataset_file(_write(tmp_path, rows), CHUNKS)
    assert [item.item_id for item in found.items] == ["g1", "g3"]
    assert found.n_dropped == 1
    with pytest.raises(RagBenchError, match="rejected all 1"):
        read_gold([_write(tmp_path, [rows[1]])], CHUNKS)
    with pytest.raises(RagBenchError, match=f"{flag} is 0 or 1, not 'no'"):
        read_gold([_write(tmp_path, [{**GOLD, flag: "no"}])], CHUNKS)


# Files ----------------------------------------------------------------------------------------


def test_arrays_and_lines_are_told_apart_by_content(tmp_path: Path) -> None:
    rows = [GOLD, {**GOLD, "id": "g2"}]
    array = read_gold([_write(tmp_path, rows, "rows.jsonl")], CHUNKS)
    lines = read_gold([_write(tmp_path, "\n" + _lines(*rows) + "\n", "rows.json")], CHUNKS)
    marked = read_gold([_write(tmp_path, "\ufeff" + _lines(*rows), "bom.json")], CHUNKS)
    assert array == lines == marked
    one = read_gold([_write(tmp_path, json.dumps(GOLD, indent=2), "one.json")], CHUNKS)
    assert one == array[:1]
    # Several files are one dataset, in the order in which they were named.
    files = [_write(tmp_path, [row], f"{row['id']}.json") for row in rows]
    assert read_gold(files, CHUNKS) == array


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no items"),
        ("[]", "holds no items"),
        ("вот,так\nи,этак\n", "neither a JSON array"),
        ("[1]", "item 1: expected an object, found 1"),
        ('[{"question": "а"},', r"gold\.json:1: not JSON"),
        (_lines(GOLD) + '{"question": \n', r"gold\.json:2: not JSON"),
        (_lines(GOLD) + "[]\n", r"gold\.json:2: expected an object"),
        ('{"version": "1.1", "data": [{"paragraphs": []}]}', "import-squad"),
        (_lines({**GOLD, "question": " "}), "question must be a text that is not empty"),
        (_lines({**GOLD, "question": 5}), "question must be a text, not 5"),
        (_lines({**GOLD, "question": "а\0б"}), "cannot be stored"),
        (_lines(GOLD).replace("Когда", "\\ud800"), "cannot be stored"),
        (_lines({**GOLD, "reference_answer": ["а", 5]}), "reference_answer must be a text"),
        (_lines({**GOLD, "id": True}), "id must be a text or a number"),
        (_lines({**GOLD, "id": " "}), "id must be a text or a number"),
        (_lines({**GOLD, "relevant": "stipend"}), "relevant must be a list of objects"),
        (_lines({**GOLD, "relevant": [{"chunk": 1}]}), "names its page"),
        (_lines({**GOLD, "relevant": [{"page": "stipend", "chunk": "2"}]}), "chunk's number"),
        (_lines({**OLD, "relevant_urls": [1]}), "relevant_urls must be a list of texts"),
        (_lines({**OLD, "confluence_url": None}), "chunk_text needs confluence_url"),
        (_lines(GOLD, GOLD), r"gold\.json:2: the id 'g1' of .*gold\.json:1 again"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RagBenchError, match=message):
        read_gold([_write(tmp_path, text)], CHUNKS, strict=False)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(RagBenchError, match="cannot be read"):
            read_gold([path], CHUNKS)
    for encoding in ("koi8-r", "cp866"):
        (tmp_path / "x.json").write_bytes(json.dumps([GOLD], ensure_ascii=False).encode(encoding))
        with pytest.raises(RagBenchError, match="not UTF-8"):
            read_gold([tmp_path / "x.json"], CHUNKS)
    with pytest.raises(RagBenchError, match="No dataset files"):
        read_gold([], CHUNKS)
    path = _write(tmp_path, _lines(GOLD), "same.jsonl")
    with pytest.raises(RagBenchError, match="again"):
        read_gold([path, path], CHUNKS)


def test_items_without_id_get_a_stable_one(tmp_path: Path) -> None:
    row = {name: value for name, value in GOLD.items() if name != "id"}
    path = _write(tmp_path, [row, row, {**row, "question": "Сколько?"}])
    ids = [item.item_id for item in read_gold([path], CHUNKS)]
    assert len(set(ids)) == 3  # equal questions too: there are such in real datasets
    assert ids == [item.item_id for item in read_gold([path], CHUNKS)]


# Show/hide pairs ------------------------------------------------------------------------------

PAIR = {
    "id": "sh1",
    "question": "стипа когда?",
    "answer": "25-го числа.",
    "context": "Стипендию перечисляют 25-го.",
    "ground_truth_show": True,
    "rationale": "Ответ есть в тексте.",
}


def test_pairs_are_read_with_their_own_context(tmp_path: Path) -> None:
    path = _write(tmp_path, _lines(PAIR, {**PAIR, "id": "sh2", "ground_truth_show": False}))
    first, second = read_pairs([path])
    assert first.details == {
        name: PAIR[name] for name in ("answer", "context", "ground_truth_show", "rationale")
    }
    assert second.details["ground_truth_show"] is False
    assert first.chunk_hashes == ()
    found = read_dataset_file(path)
    assert (found.kind, found.items) == (SHOW_HIDE, [first, second])
    (empty,) = read_pairs([_write(tmp_path, [{**PAIR, "context": "", "rationale": None}])])
    assert (empty.details["context"], empty.details["rationale"]) == ("", None)


@pytest.mark.parametrize("label", [1, 0, "true", "false", None, [True]])
def test_a_label_is_true_or_false_and_nothing_else(tmp_path: Path, label: object) -> None:
    with pytest.raises(RagBenchError, match="ground_truth_show is true or false"):
        read_pairs([_write(tmp_path, [{**PAIR, "ground_truth_show": label}])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": ""}, "answer must be a text that is not empty"),
        ({"answer": None}, "answer must be a text that is not empty"),
        ({"context": None}, "context must be a text"),
        ({"context": ["а"]}, "context must be a text"),
        ({"question": ""}, "question must be a text"),
        ({"rationale": 1}, "rationale must be a text"),
    ],
)
def test_a_pair_must_be_whole(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RagBenchError, match=message):
        read_pairs([_write(tmp_path, [{**PAIR, **change}])])


def test_kinds_are_told_apart_by_fields(tmp_path: Path) -> None:
    gold, pairs = _write(tmp_path, [GOLD], "a.json"), _write(tmp_path, [PAIR], "b.json")
    assert read_dataset_file(gold, CHUNKS).kind == QUESTIONS
    with pytest.raises(RagBenchError, match="not questions"):
        read_gold([pairs], CHUNKS)
    with pytest.raises(RagBenchError, match="have a field ground_truth_show"):
        read_pairs([_write(tmp_path, [{"question": "Когда?"}], "plain.json")])
    with pytest.raises(RagBenchError, match=r"b\.json, item 1: .* mixed"):
        read_dataset([gold, pairs], CHUNKS)


# Export ---------------------------------------------------------------------------------------


def test_an_export_holds_the_annotators_fields_and_comes_back(tmp_path: Path) -> None:
    rows = [
        {**GOLD, "relevant": [{"page": "stipend", "chunk": 2}, {"page": "dorm", "chunk": 1}]},
        {**GOLD, "id": "by-page", "relevant": [{"page": "dorm"}], "reference_answer": None},
        {**GOLD, "id": "none", "relevant": [], "type": "refusal"},
        {**OLD, "id": "old", "relevant_urls": [BASE + "stipend"]},
    ]
    items = read_gold([_write(tmp_path, rows)], CHUNKS)
    exported = export_annotation(items, CHUNKS)
    assert exported[0]["chunk_text"] == STIPEND[1].text
    assert exported[0]["chunk_id"] == 12
    assert exported[0]["relevant_chunk_ids"] == [12, 14]
    assert exported[0]["ground_truth_answer"] == "25-го числа."
    for row in exported:
        assert [row[f] for f in ("is_question_ok", "is_answer_ok", "is_chunk_ok")] == [1, 1, 1]
        assert row["notes"] == ""
    assert read_gold([_write(tmp_path, exported, "back.json")], CHUNKS) == items

    exported[0]["is_chunk_ok"] = 0
    exported[1]["notes"] = "Проверено."
    back = read_gold([_write(tmp_path, exported, "back.json")], CHUNKS)
    assert back == items[1:]


def test_pairs_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(RagBenchError, match="labelled already"):
        export_annotation(read_pairs([_write(tmp_path, [PAIR])]))


# The project's own files ----------------------------------------------------------------------


def _project_chunks() -> list[Chunk]:
    corpus = read_corpus(PROJECT_ROOT / "data")
    return [
        Chunk(chunk_hash(page.url, text), page.url, text, 92_401 + place)
        for place, (page, text) in enumerate(corpus.chunks())
    ]


def test_every_gold_question_of_the_project_is_resolved(engine: Engine) -> None:
    chunks = _project_chunks()
    paths = sorted((PROJECT_ROOT / "data" / "gold").glob("*.jsonl"))
    found = read_dataset(paths, chunks)
    assert len(found.items) >= 95
    assert (found.n_dropped, found.warnings) == (0, [])
    for item in found.items:
        assert item.reference_answer
        assert item.chunk_hashes
        assert item.details["language"] in {"ru", "en"}
    assert len({item.page_urls[0] for item in found.items}) >= 40
    assert {item.details["language"] for item in found.items} == {"ru", "en"}
    assert len({item.question.lower() for item in found.items}) == len(found.items)
    info = save_dataset(engine, "gold", "manual", found.items)
    assert items_of(engine, info.id) == found.items
    exported = export_annotation(found.items, chunks)
    assert [row["id"] for row in exported] == [item.item_id for item in found.items]


def test_the_projects_pairs_are_whole_and_balanced(engine: Engine) -> None:
    paths = sorted((PROJECT_ROOT / "data" / "show_hide").glob("*.jsonl"))
    pairs = read_pairs(paths)
    assert len(pairs) >= 60
    shown = sum(item.details["ground_truth_show"] for item in pairs)
    assert 0.25 < shown / len(pairs) < 0.75
    assert all(item.details["rationale"] for item in pairs)
    info = save_dataset(engine, "show_hide", "show_hide", pairs)
    assert items_of(engine, info.id) == pairs
