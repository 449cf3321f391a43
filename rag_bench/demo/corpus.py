"""Read the demo's source files: pages of the knowledge base and the wordings of questions.

Every complaint names the file and the line, as these files are written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError

SEPARATOR = "====="
_FENCE = "---"
_REQUIRED = ("url", "title", "lang", "topic")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_LANG = re.compile(r"[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the knowledge base; ``chunks`` are its texts in reading order."""

    slug: str
    url: str
    title: str
    lang: str
    topic: str
    chunks: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """All pages, ordered by slug."""

    pages: tuple[Page, ...]

    @cached_property
    def by_slug(self) -> dict[str, Page]:
        """The pages by their slug (the file's name)."""
        return {page.slug: page for page in self.pages}

    @property
    def n_chunks(self) -> int:
        """How many chunks all pages have together."""
        return sum(len(page.chunks) for page in self.pages)

    def chunks(self) -> Iterator[tuple[Page, str]]:
        """Yield each chunk's page and text, in the order in which they get their ids."""
        for page in self.pages:
            for text in page.chunks:
                yield page, text


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One way to ask something; ``page`` is None when no page covers it."""

    text: str
    topic: str
    page: str | None
    lang: str


def read_corpus(data_dir: Path) -> Corpus:
    """Read ``data_dir/corpus/*.md``.

    Raises:
        RagBenchError: no pages, a page that cannot be read, or two pages of one URL.

    """
    folder = data_dir / "corpus"
    files = sorted(folder.glob("*.md"))
    if not files:
        raise RagBenchError(f"{folder} holds no pages (*.md).")
    pages = [_read_page(path) for path in files]
    owners: dict[str, str] = {}
    for page in pages:
        if (other := owners.setdefault(page.url, page.slug)) != page.slug:
            raise RagBenchError(f"{folder}: {other}.md and {page.slug}.md have one url: {page.url}")
    return Corpus(tuple(pages))


def read_phrasings(data_dir: Path, corpus: Corpus) -> list[Phrasing]:
    """Read ``data_dir/phrasings/*.jsonl``, one question per line.

    Raises:
        RagBenchError: no files, a line that is not such an object, a text that occurs twice, or
            a page that the corpus does not have.

    """
    folder = data_dir / "phrasings"
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise RagBenchError(f"{folder} holds no phrasings (*.jsonl).")
    found: list[Phrasing] = []
    seen: dict[str, str] = {}
    for path in files:
        for number, line in enumerate(_read_text(path).split("\n"), 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            phrasing = _phrasing(line, where, corpus)
            if (other := seen.setdefault(phrasing.text, where)) != where:
                raise RagBenchError(f"{where}: the text of {other} again: {phrasing.text!r}")
            found.append(phrasing)
    return found


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RagBenchError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise RagBenchError(f"{path} cannot be read: {error.strerror}.") from None
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise RagBenchError(f"{path}:{number}: a zero character, which PostgreSQL cannot store.")
    return text


def _read_page(path: Path) -> Page:
    if not _SLUG.fullmatch(path.stem):
        raise RagBenchError(f"{path}: a page's file is named <slug>.md, of a-z, 0-9 and '-'.")
    lines = _read_text(path).split("\n")
    fields, body_at = _front_matter(path, lines)
    return Page(slug=path.stem, chunks=_chunks(path, lines, body_at), **fields)


def _front_matter(path: Path, lines: list[str]) -> tuple[dict[str, str], int]:
    """Return the fields between the two ``---`` lines and the index of the first line after."""
    if lines[0].strip() != _FENCE:
        raise RagBenchError(f"{path}:1: a page starts with a line '{_FENCE}' and its fields.")
    fields: dict[str, str] = {}
    for index, line in enumerate(lines[1:], 1):
        if line.strip() == _FENCE:
            break
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or name not in _REQUIRED or name in fields:
            raise RagBenchError(
                f"{path}:{index + 1}: expected each of the fields {', '.join(_REQUIRED)} once, "
                f"as 'name: value'; found {line.strip()!r}"
            )
        if not value:
            raise RagBenchError(f"{path}:{index + 1}: the field {name} is empty.")
        fields[name] = value
    else:
        raise RagBenchError(f"{path}: the fields are not closed by a line '{_FENCE}'.")
    if missing := [name for name in _REQUIRED if name not in fields]:
        raise RagBenchError(f"{path}:{index + 1}: the fields lack {', '.join(missing)}.")
    if not fields["url"].startswith(("https://", "http://")):
        raise RagBenchError(f"{path}: url is not an address: {fields['url']!r}")
    if not _LANG.fullmatch(fields["lang"]):
        raise RagBenchError(f"{path}: lang is two letters, not {fields['lang']!r}")
    return fields, index + 1


def _chunks(path: Path, lines: list[str], body_at: int) -> tuple[str, ...]:
    chunks: dict[str, int] = {}
    start = body_at
    for index in range(body_at, len(lines) + 1):
        if index < len(lines) and lines[index].strip() != SEPARATOR:
            continue
        text = "\n".join(lines[start:index]).strip()
        if not text:
            raise RagBenchError(f"{path}:{start}: an empty chunk follows.")
        while not lines[start].strip():
            start += 1
        if text in chunks:
            raise RagBenchError(
                f"{path}:{start + 1}: the same chunk as the one at line {chunks[text]}."
            )
        chunks[text] = start + 1
        start = index + 1
    return tuple(chunks)


def _phrasing(line: str, where: str, corpus: Corpus) -> Phrasing:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise RagBenchError(f"{where}: not JSON: {error.msg} (column {error.colno}).") from None
    if not isinstance(row, dict):
        raise RagBenchError(f"{where}: expected an object with text, topic, page and lang.")
    for name in ("text", "topic", "lang"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise RagBenchError(f"{where}: {name} must be a text that is not empty.")
    page = row.get("page")
    if page is not None and page not in corpus.by_slug:
        raise RagBenchError(f"{where}: the corpus has no page {page!r}.")
    return Phrasing(row["text"].strip(), row["topic"].strip(), page, row["lang"].strip())
