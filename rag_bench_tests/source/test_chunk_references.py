"""Chunks named by a text: found as the eye sees it, and the exact one first."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag_bench.source.chunk_references import ChunkReferences, UnresolvedError
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.dumps.rows import snapshot_chunks
from rag_bench.source.question_files.dataset_files import read_gold

URL = "https://kb/page"


@dataclass(frozen=True)
class Chunk:
    chunk_hash: str
    text: str
    page_url: str = URL


def references(*texts: str) -> ChunkReferences:
    return ChunkReferences(Chunk(str(n), text) for n, text in enumerate(texts))


TYPED = "Мой «приём» — в кабинете № 408, до 10-го"
AS_STORED = [
    unicodedata.normalize("NFD", TYPED),
    "Мой\u00a0«при\u00adём» \u2013 в\u202fкабинете №\u00a0408, до\u200b 10\u2011го",
    'МОЙ "прием" - в кабинете №408,\r\nдо 10-го',
    "\ufeffМо\u0301й “приём” — в кaбинете № 408, до\u200e 10-го",
]


@pytest.mark.parametrize("stored", AS_STORED, ids=range(len(AS_STORED)))
def test_a_text_is_found_however_it_is_stored(stored: str) -> None:
    known = references("Другое.", f"Начало. {stored} включительно.", "Мои приёмы — в кабинете 40.")
    assert known.containing(URL, TYPED).chunk_hash == "1"
    assert known.containing(URL, stored).chunk_hash == "1"
    assert references("Другое.", f"{stored} и так далее").beginning(URL, TYPED).chunk_hash == "1"


def test_the_exact_text_goes_before_the_alike() -> None:
    known = references("ОТПУСК дают летом", "Отпуск дают летом", "Отпуск дают летом и зимой")
    assert known.beginning(URL, "Отпуск дают летом").chunk_hash == "1"
    assert known.containing(URL, "ОТПУСК").chunk_hash == "0"
    with pytest.raises(UnresolvedError, match="3 chunks"):
        known.containing(URL, "отпуск")
    with pytest.raises(UnresolvedError, match="2 chunks"):
        known.containing(URL, "Отпуск")


def test_a_text_of_nothing_visible_names_no_chunk() -> None:
    known = references("Один", "Два")
    for empty in ("", " \n", "\u200b\ufeff"):
        with pytest.raises(UnresolvedError, match="no chunk"):
            known.containing(URL, empty)


def test_another_word_is_not_found() -> None:
    with pytest.raises(UnresolvedError, match="no chunk"):
        references("मेरा दान कब है").containing(URL, "मेरा दिन")


def test_a_decomposed_chunk_is_found_by_a_text_typed_plainly(cases: Path) -> None:
    chunks = snapshot_chunks(read_dump(cases / "nfd.sql").chunks)
    (item,) = read_gold([cases / "nfd_n1.json"], chunks)
    (found,) = [chunk for chunk in chunks if chunk.chunk_hash in item.chunk_hashes]
    assert "14" in found.text
