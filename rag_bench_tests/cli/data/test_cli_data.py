"""Commands that bring data in, on good files and on bad ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import RagBench
from sqlalchemy import Engine
from world_data import CHUNKS, TRAFFIC, plain_dump, write_data

from rag_bench.source.load import load_dump
from rag_bench.store.datasets import find_dataset, items_of
from rag_bench.store.snapshots import chunks_of, current_snapshot

DUMP = plain_dump()


def squad(*paragraphs: tuple[str, list[tuple[str, str, str]]], title: str = "Общежитие") -> str:
    """A SQuAD file of (context, [(id, question, answer)])."""
    return json.dumps(
        {
            "version": "1.1",
            "data": [
                {
                    "title": title,
                    "paragraphs": [
                        {
                            "context": context,
                            "qas": [
                                {
                                    "id": key,
                                    "question": question,
                                    "answers": [
                                        {"text": answer, "answer_start": context.index(answer)}
                                    ],
                                }
                                for key, question, answer in questions
                            ],
                        }
                        for context, questions in paragraphs
                    ],
                }
            ],
        },
        ensure_ascii=False,
    )


HOSTEL = "Гостей пускают с 9 до 21 часа по паспорту."
RENT = "Комната стоит 940 рублей в месяц."
SQUAD = squad(
    (HOSTEL, [("q1", "До скольки гости?", "21 часа"), ("q2", "Что нужно?", "по паспорту")]),
    (RENT, [("q3", "Сколько стоит комната?", "940 рублей")]),
)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "world.dump"
    path.write_text(DUMP, encoding="utf-8")
    return path


def test_load_dump_makes_it_current_and_says_what_it_holds(
    rag_bench: RagBench, good: Path, engine: Engine
) -> None:
    done = rag_bench("load-dump", good)
    assert (done.code, done.err) == (0, "")
    found = current_snapshot(engine)
    assert found
    assert found.n_chunks == len(CHUNKS)
    assert done.out.startswith(
        f"snapshot {found.sha256[:12]} (world.dump): {len(CHUNKS)} chunks, "
        f"{len(TRAFFIC)} questions of users\n"
    )
    assert {chunk.text for chunk in chunks_of(engine, found.sha256)} == {t for _, t in CHUNKS}


def write_missing(path: Path) -> None: ...


def write_empty(path: Path) -> None:
    path.write_bytes(b"")


def write_truncated(path: Path) -> None:
    path.write_text(DUMP[: DUMP.index("Пересдачи")], encoding="utf-8")


def write_folder(path: Path) -> None:
    path.mkdir()


def test_a_bad_dump_is_one_line_and_the_last_good_snapshot_stays(
    rag_bench: RagBench, good: Path, engine: Engine, tmp_path: Path
) -> None:
    before = load_dump(engine, good).snapshot
    for write, why in {
        write_missing: "no such file",
        write_empty: "empty",
        write_truncated: "",
        write_folder: "",
    }.items():
        path = tmp_path / f"{write.__name__}.dump"
        write(path)
        line = rag_bench("load-dump", path).one_line()
        assert path.name in line
        assert why in line.lower()
        assert current_snapshot(engine) == before
        assert len(chunks_of(engine, before.sha256)) == len(CHUNKS)


def test_a_reindexed_dump_says_that_nothing_changed_and_a_new_one_what_did(
    rag_bench: RagBench, good: Path, tmp_path: Path, engine: Engine
) -> None:
    load_dump(engine, good)
    again = tmp_path / "reindexed.dump"
    again.write_text(plain_dump(first_id=5000), encoding="utf-8")
    assert "0 added, 0 removed, 0 changed" in rag_bench("load-dump", again).out
    changed = tmp_path / "changed.dump"
    page, words = CHUNKS[0]
    rows = [(page, words.replace("25-го", "20-го")), *CHUNKS[2:], ("new", "Новая страница.")]
    changed.write_text(plain_dump(chunks=rows), encoding="utf-8")
    assert "1 added, 1 removed, 1 changed" in rag_bench("load-dump", changed).out


def test_drop_tables_only_clears_the_pointer_and_keeps_the_history(
    rag_bench: RagBench, good: Path, engine: Engine
) -> None:
    assert rag_bench("load-dump", "--drop-tables-only").out == "no snapshot was current\n"
    before = load_dump(engine, good).snapshot
    assert "takes no PATH" in rag_bench("load-dump", good, "--drop-tables-only").one_line()
    assert current_snapshot(engine) == before
    done = rag_bench("load-dump", "--drop-tables-only")
    assert (done.code, done.out) == (0, "no snapshot is current now\n")
    assert current_snapshot(engine) is None
    assert len(chunks_of(engine, before.sha256)) == len(CHUNKS)


def test_without_a_path_the_newest_dump_of_the_folder_is_loaded(
    rag_bench: RagBench, tmp_path: Path, engine: Engine
) -> None:
    rag_bench("load-dump").one_line()
    write_data(tmp_path / "data")
    done = rag_bench("load-dump")
    assert "(world.dump)" in done.out
    assert rag_bench("load-dump").out == done.out, "the same again is no news"


def test_import_squad_makes_a_snapshot_and_its_default_dataset(
    rag_bench: RagBench, tmp_path: Path, engine: Engine
) -> None:
    path = tmp_path / "общежитие.json"
    path.write_text(SQUAD, encoding="utf-8")
    done = rag_bench("import-squad", path)
    assert (done.code, done.err) == (0, "")
    found = current_snapshot(engine)
    assert found
    assert (found.kind, found.n_chunks, found.n_questions) == ("squad", 2, 0)
    assert found.default_dataset_id
    items = {item.item_id: item for item in items_of(engine, found.default_dataset_id)}
    assert set(items) == {"q1", "q2", "q3"}
    assert (items["q3"].question, items["q3"].reference_answer) == (
        "Сколько стоит комната?",
        "940 рублей",
    )
    rent = next(chunk for chunk in chunks_of(engine, found.sha256) if chunk.text == RENT)
    assert items["q3"].chunk_hashes == (rent.chunk_hash,)
    assert f"(squad, 3 items, {found.default_dataset_id[:12]})" in done.out

    assert rag_bench("datasets").out.splitlines() == [
        f"{found.default_dataset_id[:12]}  squad           3  общежитие.json"
    ]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"data": []}', '{"data": [{"title": 1}]}'])
def test_a_bad_squad_file_is_one_line(
    rag_bench: RagBench, tmp_path: Path, engine: Engine, content: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert "bad.json" in rag_bench("import-squad", path).one_line()
    assert current_snapshot(engine) is None


def test_import_dataset(rag_bench: RagBench, tmp_path: Path, engine: Engine) -> None:
    data = write_data(tmp_path / "data")
    gold = data / "gold" / "gold.jsonl"
    assert "load-dump" in rag_bench("import-dataset", gold).one_line()
    load_dump(engine, data / "dumps" / "world.dump")
    done = rag_bench("import-dataset", gold, "--name", "золото", "--default")
    made = find_dataset(engine, "золото")
    assert made
    n = made.n_items
    summary = f"{n} questions: {n} with a reference answer, {n} with a relevant chunk"
    read = "id: id, question: question, reference_answer: reference answer, relevant: chunks that"
    said = f"dataset {made}\n{summary}\nread as questions; {read} the question is about\n"
    assert (done.code, done.out) == (0, said)
    found = current_snapshot(engine)
    assert found
    assert found.default_dataset_id == made.id
    missing = rag_bench("import-dataset", tmp_path / "missing.json")
    assert "missing.json" in missing.one_line()


def test_datasets_with_none_says_nothing(rag_bench: RagBench) -> None:
    done = rag_bench("datasets")
    assert (done.code, done.out, done.err) == (0, "", "")


# The program itself, as a shell starts it -------------------------------------------------------


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("rag-bench")), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_installed_program_ends_with_one_line_and_code_1(
    rag_bench: RagBench, good: Path, engine: Engine, tmp_path: Path
) -> None:
    before = load_dump(engine, good).snapshot
    write_truncated(tmp_path / "truncated.dump")
    done = shell("load-dump", str(tmp_path / "truncated.dump"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rag-bench: ")
    assert current_snapshot(engine) == before


@pytest.mark.parametrize(
    "arguments", [["datasets"], ["load-dump"], ["leaderboard"], ["prepare"], ["sweep"]]
)
def test_an_unreachable_database_is_one_line_without_the_password(
    rag_bench: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/db")
    monkeypatch.delenv("RAG_BENCH_DAGSTER_DATABASE_URL")
    line = rag_bench(*arguments).one_line()
    assert "RAG_BENCH_DATABASE_URL cannot be reached" in line
    assert "s3cret" not in line
