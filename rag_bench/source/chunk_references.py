"""Find the chunks of a snapshot that a dataset file means: by page, place, text or hash.

Never by a chunk's database id, which the next reindex gives to another chunk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from rag_bench.evaluation.text.text_folding import fold

_SHOWN = 60  # characters of a text in a message


class Chunk(Protocol):
    """What is needed of a snapshot's chunk."""

    @property
    def chunk_hash(self) -> str: ...
    @property
    def page_url(self) -> str: ...
    @property
    def text(self) -> str: ...


class UnresolvedError(Exception):
    """A reference that names no chunk or page of the snapshot, or more than one."""


class ChunkReferences:
    """The chunks of one snapshot, given in position order, and the ways to name them."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._pages: dict[str, list[Chunk]] = defaultdict(list)
        self._by_hash: dict[str, Chunk] = {}
        for chunk in chunks:
            self._pages[chunk.page_url].append(chunk)
            self._by_hash[chunk.chunk_hash] = chunk
        self._slugs: dict[str, list[str]] = defaultdict(list)
        for url in self._pages:
            if slug := urlsplit(url).path.rstrip("/").rpartition("/")[2]:
                self._slugs[slug].append(url)
        # By hash and form, made when asked for.
        self._forms: dict[tuple[str, Callable[[str], str]], str] = {}

    def by_hash(self, chunk_hash: str) -> Chunk:
        """Return the chunk of this hash."""
        if chunk := self._by_hash.get(chunk_hash):
            return chunk
        raise UnresolvedError(f"no chunk {_shown(chunk_hash)}")

    def page(self, reference: str) -> str:
        """Return the URL of the page that equals the reference or ends in it."""
        if reference in self._pages:
            return reference
        found = self._slugs.get(reference, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise UnresolvedError(f"{len(found)} pages end in {_shown(reference)}")
        raise UnresolvedError(f"no page {_shown(reference)}")

    def nth(self, url: str, number: int) -> Chunk:
        """Return the page's chunk of this number, counted from 1 in position order."""
        chunks = self._pages[url]
        if 1 <= number <= len(chunks):
            return chunks[number - 1]
        raise UnresolvedError(f"page {url} has {len(chunks)} chunks, there is no chunk {number}")

    def containing(self, url: str, part: str) -> Chunk:
        """Return the page's only chunk with this text in it, as the eye sees it.

        Chunks that have it letter by letter go before those that differ in case or typography.
        """
        return self._first(url, part, [str.__contains__])

    def beginning(self, url: str, start: str) -> Chunk:
        """Return the page's only chunk that is this text, or else begins with it.

        As the eye sees it; where there are several, as with `containing`.
        """
        return self._first(url, start, [str.__eq__, str.startswith])

    def _first(self, url: str, text: str, relations: Sequence[Callable[[str, str], bool]]) -> Chunk:
        found: list[Chunk] = []
        for holds in relations:
            for form in (_plain, fold):
                wanted = form(text)
                if wanted and not found:
                    chunks = self._pages[url]
                    found = [c for c in chunks if holds(self._text(c, form), wanted)]
        return self._only(url, text, found)

    def _only(self, url: str, text: str, found: Sequence[Chunk]) -> Chunk:
        if len(found) == 1:
            return found[0]
        how_many = f"{len(found)} chunks" if found else "no chunk"
        raise UnresolvedError(f"page {url} has {how_many} with the text {_shown(text)}")

    def _text(self, chunk: Chunk, form: Callable[[str], str]) -> str:
        known = self._forms.get((chunk.chunk_hash, form))
        if known is None:
            known = self._forms[chunk.chunk_hash, form] = form(chunk.text)
        return known


def database_id(chunk: Chunk) -> int | str | None:
    """Return the chunk's id in the dump, where it has one: for people to look up."""
    found: Any = getattr(chunk, "source_id", None)
    return found if isinstance(found, int | str) else None


def by_hash(chunks: Iterable[Chunk]) -> Mapping[str, Chunk]:
    """Return the chunks by their hash."""
    return {chunk.chunk_hash: chunk for chunk in chunks}


def _plain(text: str) -> str:
    return " ".join(text.split())


def _shown(text: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in _plain(text))
    return repr(plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}...")
