"""``rag-bench generate-dataset``, ``generate-embeddings`` and ``load-dump --dump`` as the guide
has them, and the way of an annotated file back.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import RagBench
from sqlalchemy import Engine
from world_data import CHUNKS, TRAFFIC, plain_dump

from rag_bench.source.load import load_dump
from rag_bench.store.datasets import find_dataset, items_of, newest_dataset, source_of
from rag_bench.store.snapshots import current_snapshot

N = len(CHUNKS)
JUDGE = "simulator/sim-judge-steady"


@pytest.fixture
def corpus(engine: Engine, tmp_path: Path, quick_encoder: None) -> Path:
    """The small world, loaded; the encoder's weights are those of the session."""
    path = tmp_path / "world.dump"
    path.write_text(plain_dump(), encoding="utf-8")
    load_dump(engine, path)
    return path


@pytest.fixture
def shared_home(monkeypatch: pytest.MonkeyPatch, rag_bench: RagBench) -> None:
    """Not a home of the test's own: converting the encoder's weights takes long."""
    from rag_bench.settings import PROJECT_ROOT

    monkeypatch.setenv("RAG_BENCH_HOME", str(PROJECT_ROOT / ".rag_bench"))


def test_a_dataset_is_generated_exported_annotated_and_imported(
    rag_bench: RagBench, corpus: Path, engine: Engine, shared_home: None, tmp_path: Path
) -> None:
    plan = rag_bench("generate-dataset", "--check-only", "--types", "all", "--model", JUDGE)
    assert plan.code == 0, plan.err
    assert f"chunk embeddings: 0 of {N}" in plan.out
    assert f"{N} questions to write, 0 of them asked for before" in plan.out
    assert newest_dataset(engine, "synthetic") is None

    out = Path("benchmarks/data/dataset_synthetic.json")
    done = rag_bench(
        *("generate-dataset", "--mode", "synthetic", "--max-questions", "8", "--output", out),
        *("--types", "simple,out_of_scope", "--model", JUDGE, "--generation-attempts", "2"),
    )
    assert done.code == 0, done.err
    dataset = newest_dataset(engine, "synthetic")
    assert dataset
    items = {item.item_id: item for item in items_of(engine, dataset.id)}
    assert source_of(engine, dataset.id)["counts"]["asked"] == 8
    assert f"note: {JUDGE} wrote the questions and criticised them itself" in done.out
    texts = {words for _, words in CHUNKS}
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == list(items)
    for row in rows:
        assert row["source"] == row["question_source"] == "synthetic"
        assert row["question"] == items[row["id"]].question
        if row["type"] == "out_of_scope":
            assert (row["chunk_id"], row["relevant_chunk_ids"]) == (None, [])
        else:
            assert row["chunk_text"] in texts, "the whole text, not 500 characters of it"
            assert row["relevant_chunk_ids"] == [row["chunk_id"]]
    assert {row["type"] for row in rows} == {"simple", "out_of_scope"}

    # The guide's own command, in which --output is the file that is written.
    full = Path("benchmarks/data/dataset_for_annotation_full.json")
    exported = rag_bench("generate-dataset", "--mode", "export-annotation", "--output", full)
    assert exported.code == 0, exported.err
    rows = json.loads(full.read_text(encoding="utf-8"))
    assert all(
        (r["is_question_ok"], r["is_answer_ok"], r["is_chunk_ok"], r["notes"]) == (1, 1, 1, "")
        for r in rows
    )
    assert rag_bench("generate-dataset", "--mode", "export-annotation", "--output", full).code == 0

    for row, flag in zip(rows, ("is_question_ok", "is_answer_ok", "is_chunk_ok"), strict=False):
        row[flag] = 0
    full.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    refused = rag_bench("generate-dataset", "--mode", "export-annotation", "--output", full)
    assert "somebody may have annotated it" in refused.one_line()
    assert json.loads(full.read_text(encoding="utf-8")) == rows

    imported = rag_bench("import-dataset", full, "--default")
    assert imported.code == 0, imported.err
    assert "3 items were rejected by annotators" in imported.out
    back = find_dataset(engine, full.stem)
    assert back
    kept = items_of(engine, back.id)
    assert [item.item_id for item in kept] == list(items)[3:]
    for item in kept:
        before = items[item.item_id]
        assert (item.question, item.reference_answer) == (before.question, before.reference_answer)
        assert (item.chunk_hashes, item.page_urls) == (before.chunk_hashes, before.page_urls)
        assert item.out_of_scope == before.out_of_scope
    assert source_of(engine, back.id)["writer"] == [JUDGE]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--mode", "manual"], "synthetic or export-annotation"),
        (["--types", "simple,hard"], "No such type of question: hard"),
        (["--mode", "export-annotation"], "needs --output"),
        (["--mode", "export-annotation", "--output", "a.json"], "no synthetic dataset yet"),
        (["--dataset", "x"], "--dataset is for export-annotation"),
        (["--skip-existing-dataset", "nowhere"], "no dataset or file 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    rag_bench: RagBench, corpus: Path, arguments: list[str], why: str
) -> None:
    assert why in rag_bench("generate-dataset", *arguments).one_line()


def test_embeddings_are_made_and_counted(
    rag_bench: RagBench, corpus: Path, shared_home: None
) -> None:
    before = rag_bench("generate-embeddings", "--check-coverage")
    assert before.code == 0, before.err
    assert f"chunks: 0 of {N} have a vector, 0.00 %" in before.out
    assert f"questions: 0 of {len(TRAFFIC)} have a vector, 0.00 %" in before.out
    chunks = rag_bench("generate-embeddings", "--chunks", "--overwrite")
    assert f"chunks: {N} of {N} have a vector, 100.00 %" in chunks.out
    assert "none can be stale" in chunks.out
    rated = rag_bench("generate-embeddings", "--score", "5")
    assert "questions rated 5: 1 of 1 have a vector, 100.00 %" in rated.out
    assert f"questions: {len(TRAFFIC)} of {len(TRAFFIC)}" in rated.out
    assert "Name what to encode" in rag_bench("generate-embeddings").one_line()
    assert "1 or 5" in rag_bench("generate-embeddings", "--score", "3").one_line()


def test_a_dump_can_be_named_as_the_guide_does(
    rag_bench: RagBench, corpus: Path, engine: Engine
) -> None:
    assert rag_bench("load-dump", "--drop-tables-only").code == 0
    assert current_snapshot(engine) is None
    assert rag_bench("load-dump", "--dump", corpus).code == 0
    assert current_snapshot(engine)
    assert "name one dump" in rag_bench("load-dump", corpus, "--dump", "other.dump").one_line()
