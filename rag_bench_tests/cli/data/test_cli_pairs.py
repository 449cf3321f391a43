"""``sweep --tier judge_pipeline`` on pairs that were imported, and where there are none."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from command_line import RagBench
from sqlalchemy import Engine, text
from world_data import PAIRS, write_data

from rag_bench.store.datasets import find_dataset

SWEEP = (
    "sweep",
    "--tier",
    "judge_pipeline",
    "--production-judge-models",
    "simulator/sim-gate-sharp",
)


def _pairs(path: Path) -> Path:
    with path.open("w", encoding="cp1251", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["question", "answer", "context", "ground_truth_show"])
        table.writerows([q, a, "", "ИСТИНА" if show else "ЛОЖЬ"] for q, a, _, show in PAIRS)
    return path


def test_imported_pairs_are_used_where_the_data_folder_has_none(
    rag_bench: RagBench, tmp_path: Path, engine: Engine, quick_encoder: None
) -> None:
    data = write_data(tmp_path / "data")
    shutil.rmtree(data / "show_hide")
    assert rag_bench("load-dump").code == 0
    without = rag_bench(*SWEEP)
    assert without.code == 1
    assert "There are no labelled pairs for the current snapshot (world.dump)" in without.err
    assert "rag-bench import-dataset pairs.jsonl" in without.err

    done = rag_bench("import-dataset", _pairs(tmp_path / "пары.csv"))
    assert done.code == 0, done.err
    assert f"{len(PAIRS)} pairs: 4 to be shown, 4 to be hidden, for world.dump" in done.out
    made = find_dataset(engine, "пары")
    done = rag_bench(*SWEEP, "--limit", 2)
    assert done.code == 0, done.err
    assert f"labelled pairs: {made}, imported for world.dump" in done.out
    with engine.connect() as connection:
        [(n,)] = connection.execute(text("select count(*) from rag_bench.evaluation_case")).all()
    assert n == 2, "the limit holds for pairs"
