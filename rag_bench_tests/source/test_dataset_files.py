"""Datasets that people made, in all the forms in which they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from question_files import (
    BASE,
    CHUNKS,
    DORM,
    GOLD,
    OLD,
    STIPEND,
    Chunk,
    _chunk,
    _lines,
    write,
)
from sqlalchemy import Engine

from rag_bench.demo.corpus import read_corpus
from rag_bench.errors import RagBenchError
from rag_bench.hashing import chunk_hash
from rag_bench.settings import PROJECT_ROOT
from rag_bench.source.question_files.dataset_export import export_annotation
from rag_bench.source.question_files.dataset_files import (
    read_dataset,
    read_dataset_file,
    read_gold,
)
from rag_bench.store.datasets import items_of, save_dataset

# Our own format -------------------------------------------------------------------------------


def test_a_chunk_is_named_by_its_place_on_the_page(tmp_path: Path) -> None:
    (item,) = read_gold([write(tmp_path, [GOLD])], CHUNKS)
    assert item.item_id == "g1"
    assert item.reference_answer == "25-го числа."
    assert item.chunk_hashes == (STIPEND[1].chunk_hash,)  # third in the snapshot, second there
    assert item.page_urls == (BASE + "stipend",)
    assert item.details == {"language": "ru"}


@pytest.mark.parametrize("page", ["stipend", BASE + "stipend"])
def test_a_page_is_named_by_slug_or_address(tmp_path: Path, page: str) -> None:
    row = {**GOLD, "relevant": [{"page": page, "chunk": 3}, {"page": "dorm", "chunk": 1}]}
    (item,) = read_gold([write(tmp_path, [row])], CHUNKS)
    assert item.chunk_hashes == (STIPEND[2].chunk_hash, DORM[0].chunk_hash)
    assert item.page_urls == (BASE + "stipend", BASE + "dorm")


def test_a_chunk_is_named_by_a_part_of_its_text(tmp_path: Path) -> None:
    entry = {"page": "stipend", "text_contains": "Стипендия Приходит"}
    (item,) = read_gold([write(tmp_path, [{**GOLD, "relevant": [entry]}])], CHUNKS)
    assert item.chunk_hashes == (STIPEND[1].chunk_hash,)


def test_a_page_alone_is_judged_by_page(tmp_path: Path) -> None:
    row = {**GOLD, "relevant": [{"page": "dorm"}]}
    (item,) = read_gold([write(tmp_path, [row])], CHUNKS)
    assert item.chunk_hashes == ()
    assert item.page_urls == (BASE + "dorm",)


def test_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    row = {**GOLD, "relevant": [{"page": "stipend", "chunk": 1}, {"page": "stipend", "chunk": 1}]}
    (item,) = read_gold([write(tmp_path, [row])], CHUNKS)
    assert len(item.chunk_hashes) == len(item.page_urls) == 1


def test_nothing_relevant_is_a_question_without_judgement(tmp_path: Path) -> None:
    (item,) = read_gold([write(tmp_path, [{**GOLD, "relevant": []}])], CHUNKS)
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
    path = write(tmp_path, [{**GOLD, "relevant": [entry]}])
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
        read_gold([write(tmp_path, [GOLD])], [*CHUNKS, other])


def test_up_to_five_unresolved_items_are_listed(tmp_path: Path) -> None:
    rows = [{**GOLD, "id": f"g{i}", "relevant": [{"page": f"p{i}"}]} for i in range(8)]
    with pytest.raises(RagBenchError) as caught:
        read_gold([write(tmp_path, [*rows, {**GOLD, "id": "good"}])], CHUNKS)
    message = str(caught.value)
    assert message.startswith("8 of 9 items")
    assert "item 1 (g0): no page 'p0'" in message
    assert "g4" in message
    assert "g5" not in message
    assert "and 3 more" in message


def test_a_chunk_is_found_by_url_and_the_beginning_of_its_text(tmp_path: Path) -> None:
    chunks = [_chunk("dorm", "Совсем другое.", 92401), *CHUNKS]
    (item,) = read_gold([write(tmp_path, [OLD])], chunks)
    assert item.chunk_hashes == (DORM[0].chunk_hash,)
    assert item.reference_answer == "С паспортом и договором."
    assert item.details == {"source": "synthetic", "user_score": 5}


def test_the_beginning_may_fit_one_chunk_wholly_and_another_in_part(tmp_path: Path) -> None:
    short = _chunk("dorm", "Общежитие: заселение.")
    (item,) = read_gold([write(tmp_path, [{**OLD, "chunk_text": short.text}])], [*CHUNKS, short])
    assert item.chunk_hashes == (short.chunk_hash,)
    with pytest.raises(RagBenchError, match="2 chunks with the text 'Общежитие"):
        read_gold([write(tmp_path, [{**OLD, "chunk_text": "Общежитие:"}])], [*CHUNKS, short])


def test_a_changed_chunk_is_never_taken_by_its_id(tmp_path: Path) -> None:
    changed = _chunk("dorm", "Общежитие: переезд. Приходите с ключами.", 92401)
    with pytest.raises(RagBenchError, match="no chunk with the text"):
        read_gold([write(tmp_path, [OLD])], [changed])


def test_more_relevant_pages_are_kept(tmp_path: Path) -> None:
    row = {**OLD, "relevant_urls": [BASE + "dorm", BASE + "stipend"]}
    (item,) = read_gold([write(tmp_path, [row])], CHUNKS)
    assert item.page_urls == (BASE + "dorm", BASE + "stipend")
    with pytest.raises(RagBenchError, match="no page"):
        read_gold([write(tmp_path, [{**row, "relevant_urls": [BASE + "none"]}])], CHUNKS)


def test_several_chunks_of_which_one_is_written_down_are_judged_by_page(tmp_path: Path) -> None:
    path = write(tmp_path, [{**OLD, "relevant_chunk_ids": [14, 15]}])
    found = read_dataset_file(path, CHUNKS)
    assert found.items[0].chunk_hashes == ()
    assert found.items[0].page_urls == (BASE + "dorm",)
    assert "judged by page only" in found.warnings[0]
    path = write(tmp_path, [{**OLD, "relevant_chunk_ids": [14, 14]}])
    assert read_gold([path], CHUNKS)[0].chunk_hashes == (DORM[0].chunk_hash,)


def test_hashes_name_chunks(tmp_path: Path) -> None:
    row = {
        "question_id": 17,
        "question": "Сколько?",
        "ground_truth_answer": "3 200",
        "ground_truth_chunks": [STIPEND[0].chunk_hash, DORM[1].chunk_hash],
    }
    (item,) = read_gold([write(tmp_path, _lines(row), "x.jsonl")], CHUNKS)
    assert item.item_id == "17"
    assert item.chunk_hashes == (STIPEND[0].chunk_hash, DORM[1].chunk_hash)
    assert item.page_urls == (BASE + "stipend", BASE + "dorm")
    with pytest.raises(RagBenchError, match="no chunk 'ffff'"):
        read_gold([write(tmp_path, [{**row, "ground_truth_chunks": ["ffff"]}])], CHUNKS)


@pytest.mark.parametrize("flag", ["is_question_ok", "is_answer_ok", "is_chunk_ok", "is_pair_ok"])
@pytest.mark.parametrize("no", [0, False])
def test_what_an_annotator_rejected_is_left_out_and_counted(
    tmp_path: Path, flag: str, no: object
) -> None:
    rows = [GOLD, {**GOLD, "id": "g2", flag: no}, {**GOLD, "id": "g3", flag: 1}]
    found = read_dataset_file(write(tmp_path, rows), CHUNKS)
    assert [item.item_id for item in found.items] == ["g1", "g3"]
    assert found.n_dropped == 1
    with pytest.raises(RagBenchError, match="rejected all 1"):
        read_gold([write(tmp_path, [rows[1]])], CHUNKS)
    with pytest.raises(RagBenchError, match=f"{flag} is 0 or 1, not 'no'"):
        read_gold([write(tmp_path, [{**GOLD, flag: "no"}])], CHUNKS)


# Files ----------------------------------------------------------------------------------------


def test_arrays_and_lines_are_told_apart_by_content(tmp_path: Path) -> None:
    rows = [GOLD, {**GOLD, "id": "g2"}]
    array = read_gold([write(tmp_path, rows, "rows.jsonl")], CHUNKS)
    lines = read_gold([write(tmp_path, "\n" + _lines(*rows) + "\n", "rows.json")], CHUNKS)
    marked = read_gold([write(tmp_path, "\ufeff" + _lines(*rows), "bom.json")], CHUNKS)
    assert array == lines == marked
    one = read_gold([write(tmp_path, json.dumps(GOLD, indent=2), "one.json")], CHUNKS)
    assert one == array[:1]
    # Several files are one dataset, in the order in which they were named.
    files = [write(tmp_path, [row], f"{row['id']}.json") for row in rows]
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
        read_gold([write(tmp_path, text)], CHUNKS, strict=False)


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
    path = write(tmp_path, _lines(GOLD), "same.jsonl")
    with pytest.raises(RagBenchError, match="again"):
        read_gold([path, path], CHUNKS)


def test_items_without_id_get_a_stable_one(tmp_path: Path) -> None:
    row = {name: value for name, value in GOLD.items() if name != "id"}
    path = write(tmp_path, [row, row, {**row, "question": "Сколько?"}])
    ids = [item.item_id for item in read_gold([path], CHUNKS)]
    assert len(set(ids)) == 3  # equal questions too: there are such in real datasets
    assert ids == [item.item_id for item in read_gold([path], CHUNKS)]


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
