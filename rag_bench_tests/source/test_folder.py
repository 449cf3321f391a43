"""Which files of the dump folder are looked at."""

from __future__ import annotations

import os
from pathlib import Path

from rag_bench.source.folder import FileState, candidates, settled


def touch(path: Path, age: int, content: bytes = b"x") -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(10**18 - age * 10**9,) * 2)
    return path


def test_candidates_are_the_newest_first(tmp_path: Path) -> None:
    old = touch(tmp_path / "старый.dump", 30)
    new = touch(tmp_path / "b.sql", 10)
    same = touch(tmp_path / "a.gz", 10)
    for name in (
        *(".gitkeep", ".hidden.sql", "README.md", "readme.txt", "x.sql.part", "y.TMP"),
        *("z.crdownload", "backup.sql~", "#lock#"),
    ):
        touch(tmp_path / name, 0)
    (tmp_path / "folder.dump").mkdir()
    (tmp_path / "dangling.sql").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.sql").symlink_to(old)
    assert candidates(tmp_path) == [same, new, tmp_path / "link.sql", old]


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert candidates(tmp_path / "missing") == []
    assert candidates(touch(tmp_path / "file", 0)) == []


def test_a_file_is_settled_after_two_equal_looks(tmp_path: Path) -> None:
    path = touch(tmp_path / "x.dump", 5)
    assert not settled(path, None)
    first = FileState.of(path)
    assert first is not None
    assert settled(path, FileState.from_text(first.to_text()))
    touch(path, 5, b"xy")
    assert not settled(path, first)
    second = FileState.of(path)
    touch(path, 1, b"xy")
    assert not settled(path, second)
    touch(path, 1, b"")
    assert not settled(path, FileState.of(path))
    path.unlink()
    assert not settled(path, None)
    assert FileState.of(tmp_path) is None
    assert FileState.from_text("nonsense") is None
