"""Checks of the dump's texts: broken ones and cut ones are told, ordinary changes are not."""

from __future__ import annotations

from pathlib import Path

from small_world import World
from world_data import CHUNKS, plain_dump

from rag_bench.source.load import load_dump

PAGE, WORDS = CHUNKS[2]


def load(world: World, folder: Path, words: str) -> None:
    """Make a dump current in which one chunk has other words."""
    chunks = [(page, words if text == WORDS else text) for page, text in CHUNKS]
    path = folder / "next.dump"
    path.write_text(plain_dump(500, chunks), encoding="utf-8")
    load_dump(world.engine, path)


def test_whole_texts_pass_with_nothing_to_compare_with(free_world: World) -> None:
    found = free_world.check("chunk")
    assert found["texts_can_be_read"].passed
    assert found["no_chunk_was_cut"].passed
    assert found["no_chunk_was_cut"].description == "there is no dump before this one"


def test_a_misread_chunk_is_told(free_world: World, tmp_path: Path) -> None:
    load(free_world, tmp_path, WORDS.encode().decode("cp1251", errors="replace"))
    found = free_world.check("chunk")["texts_can_be_read"]
    assert not found.passed
    assert found.severity.value == "WARN"
    assert found.description == f"1 of {len(CHUNKS)} chunks cannot be read as they are"
    [record] = found.metadata["broken"].value.records
    assert record.data["page"].endswith(PAGE)
    assert record.data["what is wrong"] == "read in a wrong encoding"


def test_a_cut_chunk_is_told(free_world: World, tmp_path: Path) -> None:
    load(free_world, tmp_path, WORDS[: len(WORDS) // 2])
    found = free_world.check("chunk")
    assert found["texts_can_be_read"].passed
    cut = found["no_chunk_was_cut"]
    assert not cut.passed
    assert cut.severity.value == "WARN"
    assert cut.description == f"1 of {len(CHUNKS)} chunks are cut, compared with the dump before"
    [record] = cut.metadata["cut"].value.records
    assert record.data["page"].endswith(PAGE)
    assert record.data["now ends with"].endswith("по паспорту. Н")


def test_an_edited_chunk_is_not(free_world: World, tmp_path: Path) -> None:
    load(free_world, tmp_path, WORDS.replace("21", "22"))
    assert free_world.check("chunk")["no_chunk_was_cut"].passed
    first = WORDS[: WORDS.index(".") + 1]
    load(free_world, tmp_path, first)
    assert free_world.check("chunk")["no_chunk_was_cut"].passed
