"""A dump with something done to its chunks: the file's own rows, everything else as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rag_bench.hashing import text_hash
from rag_bench.source.dumps.copy_text import unescape

_CHUNKS = b"COPY public.chunk ("
_END = b"\\."


@dataclass(frozen=True)
class Row:
    """A chunk as a dump has it."""

    id: int
    page: str
    text: str


_ESCAPED = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

Edit = Callable[[Sequence[Row]], Sequence[Row]]


def edited(source: Path, target: Path, edit: Edit) -> Path:
    """Write a plain dump anew with other rows of chunks; return ``target``.

    ``edit`` gets all rows in the file's order and gives back as many.
    """
    lines = source.read_bytes().split(b"\n")
    head = next(n for n, line in enumerate(lines) if line.startswith(_CHUNKS))
    end = lines.index(_END, head)
    names = lines[head].partition(b"(")[2].partition(b")")[0].decode().split(", ")
    at = {name: names.index(name) for name in ("id", "confluence_url", "text")}
    fields = [line.split(b"\t") for line in lines[head + 1 : end]]
    rows = [
        Row(
            int(one[at["id"]]),
            _read(one[at["confluence_url"]]),
            _read(one[at["text"]]),
        )
        for one in fields
    ]
    for one, row in zip(fields, edit(rows), strict=True):
        one[at["id"]] = str(row.id).encode()
        one[at["confluence_url"]], one[at["text"]] = _written(row.page), _written(row.text)
    lines[head + 1 : end] = [b"\t".join(one) for one in fields]
    target.write_bytes(b"\n".join(lines))
    return target


def _read(field: bytes) -> str:
    return (unescape(field) or b"").decode()


def _written(text: str) -> bytes:
    return "".join(_ESCAPED.get(letter, letter) for letter in text).encode()


def reindexed() -> Edit:
    """Number all chunks anew, as a nightly reindex does; no text changes."""
    return lambda rows: [replace(row, id=row.id + 100_000) for row in rows]


def pages_as(share: float, text_of: Callable[[str], str]) -> Edit:
    """Change the texts of this share of the pages, at least of one."""

    def edit(rows: Sequence[Row]) -> Sequence[Row]:
        pages = sorted({row.page for row in rows}, key=text_hash)
        chosen = set(pages[: max(1, math.floor(share * len(pages) + 0.5))])
        return [replace(r, text=text_of(r.text)) if r.page in chosen else r for r in rows]

    return edit


def misread(text: str) -> str:
    """Return UTF-8 read as Windows-1251: «РЎС‚РёРїРµРЅРґРёСЏ» for «Стипендия»."""
    return text.encode().decode("cp1251", errors="replace")


def error_page(_: str) -> str:
    """Return what an export writes where a page's server failed."""
    return "502 Bad Gateway\n\nnginx/1.24.0"


def cut(share: float) -> Edit:
    """Keep only the beginning of every chunk, by characters."""
    return partial(_cut, share)


def _cut(share: float, rows: Sequence[Row]) -> Sequence[Row]:
    return [replace(row, text=row.text[: max(1, int(len(row.text) * share))]) for row in rows]
