"""The list of reports: concurrent writers, kills and lists of earlier versions."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from report_content import board, content

from rag_bench.errors import RagBenchError
from rag_bench.reporting import report


def test_reports_of_one_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    of = board()
    written = [report.write(content(of), of, tmp_path) for _ in range(3)]
    assert [w.json.name for w in written] == [
        "rag_benchmark_20260223_183530.json",
        "rag_benchmark_20260223_183530_2.json",
        "rag_benchmark_20260223_183530_3.json",
    ]
    entries = json.loads((tmp_path / "benchmark_runs.json").read_text(encoding="utf-8"))
    assert [entry["report_file"] for entry in entries] == [w.json.name for w in written]
    assert len({entry["id"] for entry in entries}) == 3
    for w in written:
        number = w.json.stem.removeprefix("rag_benchmark_")
        assert json.loads(w.json.read_text(encoding="utf-8"))["id"] == number
        assert f"# RAG benchmark {number}\n" in w.markdown.read_text(encoding="utf-8")
        assert number in w.html.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))


def _write_some(folder: Path, barrier: Any, writer: int) -> None:
    of = board(name=f"набор {writer}")
    barrier.wait()
    for _ in range(5):
        report.write(content(of), of, folder)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    """All in the same second: names and registry entries are fought for."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    writers = [
        context.Process(target=_write_some, args=(tmp_path, barrier, writer)) for writer in range(4)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
    assert [process.exitcode for process in writers] == [0] * 4
    entries = json.loads((tmp_path / "benchmark_runs.json").read_text(encoding="utf-8"))
    assert len(entries) == len({entry["id"] for entry in entries}) == 20
    names = [entry["dataset_file"] for entry in entries]
    assert {name: names.count(name) for name in names} == {f"набор {w}": 5 for w in range(4)}
    for entry in entries:
        stored = json.loads((tmp_path / entry["report_file"]).read_text(encoding="utf-8"))
        assert stored["dataset_file"] == entry["dataset_file"]


@pytest.mark.parametrize(
    "damaged", ['[{"id": 1}, {"id"', '{"id": 1}', "", "\x00\x01", '[\n {\n  "id": 1,\n  "a', "[1]"]
)
def test_a_damaged_registry_is_left_as_it_is(tmp_path: Path, damaged: str) -> None:
    registry = tmp_path / "benchmark_runs.json"
    registry.write_text(damaged, encoding="utf-8")
    of = board()
    with pytest.raises(RagBenchError, match=r"benchmark_runs\.json is damaged.*Move it away"):
        report.write(content(of), of, tmp_path)
    assert registry.read_text(encoding="utf-8") == damaged
    assert (tmp_path / "rag_benchmark_20260223_183530.json").exists(), "the report is not lost"


def test_entries_of_others_are_kept(tmp_path: Path) -> None:
    registry = tmp_path / "benchmark_runs.json"
    registry.write_text('[{"id": "20250101", "schema_version": "2.0", "чужое": 1}]')
    report.register(registry, {"id": "new", "run_metadata": {"timestamp": "t"}})
    first, second = json.loads(registry.read_text(encoding="utf-8"))
    assert first == {"id": "20250101", "schema_version": "2.0", "чужое": 1}
    assert (second["id"], second["timestamp"]) == ("new", "t")


def test_a_list_of_an_earlier_version_is_continued_where_it_ends(tmp_path: Path) -> None:
    registry = tmp_path / "benchmark_runs.json"
    old = [{"id": str(number), "run_metadata": {}, "текст": "ё" * 50_000} for number in range(3)]
    registry.write_text(json.dumps(old, ensure_ascii=False, indent=1), encoding="utf-8")
    inode, before = registry.stat().st_ino, registry.read_bytes()
    report.register(registry, {"id": "new", "run_metadata": {"timestamp": "t"}})
    assert registry.stat().st_ino == inode, "appended to, not written anew"
    assert registry.read_bytes().startswith(before[:-2])
    assert [entry["id"] for entry in json.loads(registry.read_bytes())] == ["0", "1", "2", "new"]


def entries(registry: Path) -> list[str]:
    return [entry["id"] for entry in json.loads(registry.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_kill_at_any_byte_of_an_append_loses_that_entry_only(
    tmp_path: Path, indent: int | None
) -> None:
    registry = tmp_path / "benchmark_runs.json"
    old = [{"id": "a", "n": [1, {"m": 2}]}, {"id": "b", "n": [{"m": 2}]}]
    registry.write_text(json.dumps(old, indent=indent))
    report.register(registry, {"id": "c", "run_metadata": {"author": "Марина, {1}"}})
    whole = registry.read_bytes()
    before = json.dumps(old, indent=indent).rstrip("]\n").encode()
    for length in range(len(before) + 1, len(whole)):
        registry.write_bytes(whole[:length])
        report.register(registry, {"id": "d", "run_metadata": {}})
        expected = {("a", "b", "d"), ("a", "b", "c", "d")}
        assert tuple(entries(registry)) in expected, whole[len(before) : length]
    first = tmp_path / "first.json"
    report.register(first, {"id": "c", "run_metadata": {}})
    whole = first.read_bytes()
    for length in range(2, len(whole)):
        first.write_bytes(whole[:length])
        report.register(first, {"id": "d", "run_metadata": {}})
        assert entries(first) in (["d"], ["c", "d"]), whole[:length]
