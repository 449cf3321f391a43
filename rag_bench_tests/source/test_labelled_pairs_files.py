"""Labelled pairs in files, and what is exported comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from question_files import (
    BASE,
    CHUNKS,
    GOLD,
    OLD,
    STIPEND,
    _lines,
    write,
)
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
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
    path = write(tmp_path, _lines(PAIR, {**PAIR, "id": "sh2", "ground_truth_show": False}))
    first, second = read_pairs([path])
    assert first.details == {
        name: PAIR[name] for name in ("answer", "context", "ground_truth_show", "rationale")
    }
    assert second.details["ground_truth_show"] is False
    assert first.chunk_hashes == ()
    found = read_dataset_file(path)
    assert (found.kind, found.items) == (SHOW_HIDE, [first, second])
    (empty,) = read_pairs([write(tmp_path, [{**PAIR, "context": "", "rationale": None}])])
    assert (empty.details["context"], empty.details["rationale"]) == ("", None)


@pytest.mark.parametrize("label", [1, 0, "true", "false", None, [True]])
def test_a_label_is_true_or_false_and_nothing_else(tmp_path: Path, label: object) -> None:
    with pytest.raises(RagBenchError, match="ground_truth_show is true or false"):
        read_pairs([write(tmp_path, [{**PAIR, "ground_truth_show": label}])])


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
        read_pairs([write(tmp_path, [{**PAIR, **change}])])


def test_kinds_are_told_apart_by_fields(tmp_path: Path) -> None:
    gold, pairs = write(tmp_path, [GOLD], "a.json"), write(tmp_path, [PAIR], "b.json")
    assert read_dataset_file(gold, CHUNKS).kind == QUESTIONS
    with pytest.raises(RagBenchError, match="not questions"):
        read_gold([pairs], CHUNKS)
    with pytest.raises(RagBenchError, match="have a field ground_truth_show"):
        read_pairs([write(tmp_path, [{"question": "Когда?"}], "plain.json")])
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
    items = read_gold([write(tmp_path, rows)], CHUNKS)
    exported = export_annotation(items, CHUNKS)
    assert exported[0]["chunk_text"] == STIPEND[1].text
    assert exported[0]["chunk_id"] == 12
    assert exported[0]["relevant_chunk_ids"] == [12, 14]
    assert exported[0]["ground_truth_answer"] == "25-го числа."
    for row in exported:
        assert [row[f] for f in ("is_question_ok", "is_answer_ok", "is_chunk_ok")] == [1, 1, 1]
        assert row["notes"] == ""
    assert read_gold([write(tmp_path, exported, "back.json")], CHUNKS) == items

    exported[0]["is_chunk_ok"] = 0
    exported[1]["notes"] = "Проверено."
    back = read_gold([write(tmp_path, exported, "back.json")], CHUNKS)
    assert back == items[1:]


def test_pairs_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(RagBenchError, match="labelled already"):
        export_annotation(read_pairs([write(tmp_path, [PAIR])]))


def test_the_projects_pairs_are_whole_and_balanced(engine: Engine) -> None:
    paths = sorted((PROJECT_ROOT / "data" / "show_hide").glob("*.jsonl"))
    pairs = read_pairs(paths)
    assert len(pairs) >= 60
    shown = sum(item.details["ground_truth_show"] for item in pairs)
    assert 0.25 < shown / len(pairs) < 0.75
    assert all(item.details["rationale"] for item in pairs)
    info = save_dataset(engine, "show_hide", "show_hide", pairs)
    assert items_of(engine, info.id) == pairs
