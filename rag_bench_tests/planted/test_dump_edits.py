"""Edits of a dump's chunks: what was meant is changed, and every other byte is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from world_data import CHUNKS, plain_dump

from rag_bench.planted.dump_edits import (
    Edit,
    cut,
    edited,
    error_page,
    misread,
    pages_as,
    reindexed,
)
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.dumps.rows import ChunkRow

N_PAGES = len({page for page, _ in CHUNKS})


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "world.dump"
    odd = ("stipendiya", "Косая \\ черта,\nи строка \\n.")
    path.write_text(plain_dump(1, [*CHUNKS, odd]), encoding="utf-8")
    return path


def chunks(path: Path) -> list[ChunkRow]:
    return list(read_dump(path).chunks)


def after(dump: Path, edit: Edit) -> list[ChunkRow]:
    return chunks(edited(dump, dump.with_name("edited.dump"), edit))


def test_an_edit_that_changes_nothing_leaves_every_byte(dump: Path) -> None:
    assert edited(dump, dump.with_name("same.dump"), lambda rows: rows).read_bytes() == (
        dump.read_bytes()
    )


def test_reindexed(dump: Path) -> None:
    before, now = chunks(dump), after(dump, reindexed())
    assert [(row.page_url, row.text) for row in now] == [(row.page_url, row.text) for row in before]
    assert {row.source_id for row in now}.isdisjoint({row.source_id for row in before})


@pytest.mark.parametrize(("share", "n"), [(0.01, 1), (0.5, 3), (1.0, N_PAGES)])
def test_so_many_pages_and_all_of_their_chunks(dump: Path, share: float, n: int) -> None:
    before, now = chunks(dump), after(dump, pages_as(share, lambda text: text + "!"))
    changed = {a.page_url for a, b in zip(before, now, strict=True) if a.text != b.text}
    assert len(changed) == n
    assert all(
        (a.page_url in changed) == (b.text == a.text + "!")
        for a, b in zip(before, now, strict=True)
    )


def test_cut(dump: Path) -> None:
    for a, b in zip(chunks(dump), after(dump, cut(0.5)), strict=True):
        assert a.text.startswith(b.text)
        assert len(b.text) <= len(a.text) // 2


def test_the_words_of_the_faults() -> None:
    assert misread("Стипендия") == "РЎС‚РёРїРµРЅРґРёСЏ"
    assert error_page("что угодно").startswith("502 Bad Gateway")
