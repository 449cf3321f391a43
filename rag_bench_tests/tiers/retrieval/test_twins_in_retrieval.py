"""Tier 1 on a corpus where one text stands on many pages."""

from __future__ import annotations

from pathlib import Path

from evaluated import evaluated_whole
from sqlalchemy import Engine
from world_data import plain_dump

from rag_bench.assets.tiers.retrieval import _twins
from rag_bench.resources import BenchmarkResource
from rag_bench.source.load import load_dump
from rag_bench.source.question_files.dataset_files import read_dataset_file
from rag_bench.store import datasets, snapshots
from rag_bench.store.evaluations import StoredEvaluation, cases_of
from rag_bench.tiers.registry import step_named
from rag_bench.tiers.retrieval.retrieval import TWIN_COUNTED, retrieval_tasks

OFFICE = "Приёмная открыта с 10:00 до 16:00, обед с 13:00 до 14:00."
PAGES = [f"faculty-{n:02}" for n in range(6)]
CHUNKS = [(page, OFFICE) for page in PAGES] + [
    ("hours", "Читальный зал открыт до 21:00 по будням."),
    ("print", "Печать одной страницы стоит 5 рублей."),
]


def measured(engine: Engine, gold: Path) -> StoredEvaluation:
    snapshot = snapshots.require_current(engine)
    read = read_dataset_file(gold, snapshots.chunks_of(engine, snapshot.sha256))
    found = datasets.save_dataset(engine, "gold", read.kind, read.items, {})
    bench = BenchmarkResource(dataset=found.id).open(engine, "run")
    bench.embed([bench.encoder_identity.passage_text(c.text) for c in bench.chunks], "chunks")
    return evaluated_whole(retrieval_tasks, bench, step_named("tier1_retrieval"))


def gold_file(folder: Path) -> Path:
    path = folder / "gold.jsonl"
    path.write_text(
        "".join(
            f'{{"id": "{page}", "question": "Когда открыта приёмная?", "reference_answer": "Днём.",'
            f' "relevant": [{{"page": "{page}", "text_contains": "Приёмная"}}]}}\n'
            for page in PAGES
        ),
        encoding="utf-8",
    )
    return path


def test_every_twin_is_as_good_as_the_one_that_is_named(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "twins.sql"
    path.write_text(plain_dump(chunks=CHUNKS), encoding="utf-8")
    report = load_dump(engine, path).snapshot.report
    assert any("6 chunks share 1 texts" in text for text in report["warnings"])
    evaluation = measured(engine, gold_file(tmp_path))
    for name in ("chunk_hit_rate@1", "page_hit_rate@1", "chunk_mrr", "chunk_recall@1"):
        assert evaluation.metrics[name]["value"] == 1.0, name
    assert evaluation.inputs["twins"] == {
        "chunks": 6,
        "texts": 1,
        "questions": 6,
        "counted": 5,
        "contexts_repeated": 6,
    }
    assert _twins(evaluation.inputs["twins"])["questions_with_twins"] == 6
    flagged = [case for case in cases_of(engine, evaluation.id) if TWIN_COUNTED in case.flags]
    assert len(flagged) == 5
    # What was found stays what was found.
    assert len({case.retrieved[0]["chunk_hash"] for case in cases_of(engine, evaluation.id)}) == 1


def test_the_same_paragraph_on_twelve_pages(engine: Engine, cases: Path) -> None:
    report = load_dump(engine, cases / "dup.sql").snapshot.report
    assert any("share 1 texts" in text for text in report["warnings"])
    evaluation = measured(engine, cases / "dupgold.jsonl")
    assert evaluation.metrics["chunk_hit_rate@1"]["value"] == 1.0
    assert evaluation.inputs["twins"]["questions"] == 3
