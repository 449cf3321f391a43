"""A BEIR collection becomes a snapshot with questions; faults are told by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rag_bench.errors import DumpError
from rag_bench.hashing import chunk_hash
from rag_bench.source.foreign.beir import read_beir
from rag_bench.source.load import import_beir
from rag_bench.store import datasets, snapshots

CORPUS = [
    {"_id": "d1", "title": "Grants", "text": "Money comes on the 25th.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "The gym is open.", "metadata": {"url": "https://gym"}},
    {"_id": "d3", "title": "", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "When is the grant paid?"},
    {"_id": "q2", "text": "Is the gym open?"},
    {"_id": "q3", "text": "Of another split?"},
]
QRELS = ["query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q2\td2\t1", "q2\tlost\t1"]


def collection(
    folder: Path, corpus: Any = CORPUS, queries: Any = QUERIES, qrels: Any = QRELS
) -> Path:
    """Write a collection as it is published."""
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder


def test_documents_are_chunks_and_judged_queries_are_questions(tmp_path: Path) -> None:
    found = read_beir(collection(tmp_path / "mini"))
    assert [row.text for row in found.chunks] == [
        "Grants\nMoney comes on the 25th.",
        "The gym is open.",
    ]
    assert [row.page_url for row in found.chunks] == ["beir://mini/d1", "https://gym"]
    first, second = found.items
    grants = chunk_hash("beir://mini/d1", "Grants\nMoney comes on the 25th.")
    assert (first.item_id, first.chunk_hashes) == ("q1", (grants,))
    assert first.details == {"beir_id": "q1", "grades": {grants: 2}}
    assert second.page_urls == ("https://gym",)
    assert any("1 documents without title and text" in one for one in found.warnings)
    assert any("1 judgements name documents" in one for one in found.warnings)


def test_it_is_stored_as_the_current_snapshot_with_its_default_dataset(
    tmp_path: Path, engine: Engine
) -> None:
    report, dataset = import_beir(engine, collection(tmp_path / "mini"), "test")
    assert (report.snapshot.kind, report.snapshot.n_chunks) == ("beir", 2)
    current = snapshots.require_current(engine)
    assert current.default_dataset_id == dataset.id
    assert [item.question for item in datasets.items_of(engine, dataset.id)] == [
        "When is the grant paid?",
        "Is the gym open?",
    ]
    again, same = import_beir(engine, tmp_path / "mini", "test")
    assert (again.reused, same.id) == (True, dataset.id)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpus": [*CORPUS, CORPUS[0]]}, r"corpus\.jsonl:4: _id 'd1' stands twice"),
        ({"corpus": ["{nonsense"]}, r"corpus\.jsonl:1: not JSON: .*\(column 2\)"),
        ({"corpus": [{"title": "x", "text": "y"}]}, r"corpus\.jsonl:1: _id must be a text"),
        ({"corpus": [{"_id": "d", "text": 5}]}, r"corpus\.jsonl:1: text must be a text"),
        ({"queries": [{"_id": "q1"}]}, r"queries\.jsonl:1: text must be a text"),
        ({"queries": [QUERIES[0]]}, r"qrels judge queries that it lacks: q2"),
        ({"qrels": ["query,doc,score"]}, r"test\.tsv:1: 1 columns; query-id, corpus-id, score"),
        ({"qrels": [QRELS[0], "q1\td1"]}, r"test\.tsv:2: 2 columns; query-id, corpus-id, score"),
        ({"qrels": [QRELS[0], "q1\td1\t0.5"]}, r"test\.tsv:2: score is a whole number"),
        ({"qrels": [QRELS[0], "q1\t\t1"]}, r"test\.tsv:2: a query and a document must be named"),
        ({"qrels": [QRELS[0], "q1\td1\thigh"]}, r"test\.tsv:2: score is a whole number"),
        ({"qrels": [QRELS[0], "q1\tlost\t1"]}, r"no query has a relevant document"),
    ],
)
def test_what_is_wrong_is_told_by_file_line_and_field(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DumpError, match=said):
        read_beir(collection(tmp_path / "mini", **change))


def test_a_folder_or_a_split_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"A BEIR collection is a folder"):
        read_beir(tmp_path)
    folder = collection(tmp_path / "mini")
    with pytest.raises(DumpError, match="the splits are: test"):
        read_beir(folder, "dev")


@pytest.mark.parametrize(
    "qrels",
    [
        ["q1\td1\t2", "q2\td2\t1"],
        ["query_id\tcorpus_id\tscore", "q1\td1\t2.0", "q2\td2\t1.0"],
        ["q1\t0\td1\t2", "q2\t0\td2\t1"],
        ["q1 Q0 d1 2", "q2 Q0 d2 1\r"],
    ],
    ids=["no header", "underscores", "trec", "blanks"],
)
def test_judgements_are_read_as_they_are_published(tmp_path: Path, qrels: list[str]) -> None:
    found = read_beir(collection(tmp_path / "mini", qrels=qrels))
    assert [one.item_id for one in found.items] == ["q1", "q2"]
    [grade] = found.items[0].details["grades"].values()
    assert grade == 2
