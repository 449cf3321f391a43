"""Which chunks of the snapshot an assistant means by the contexts that it names.

By what is surest first: a chunk's hash, its id in the dump, its page's address, then its text: the
same text, a part of it, or one that is alike (`rag_bench.evaluation.text.containment`). What names
nothing here stays as it is, and is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from rag_bench.evaluation.text.containment import Containment
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.llm.reading.target_reply import Named
from rag_bench.llm.tasks.pipeline import Fragment
from rag_bench.source.question_files.context_binding import ContextBinder
from rag_bench.store.snapshots import ChunkRecord

#: Part of the input hash of answers: another one resolves stored replies anew, without a call.
VERSION = "1"
By = Literal["hash", "id", "page", "text", "similarity", "nothing"]


@dataclass(frozen=True)
class Resolved:
    """One context as it was named, and what it is.

    Attributes:
        named: by the assistant.
        by: how it was found; ``nothing``: it was not.
        chunks: that it is; several where a text holds several of them. Empty also where only the
            page is known.
        page: its address, if it is known.
        similarity: of the text to the chunk's; of one that was not found, to the nearest chunk's.
    """

    named: Named
    by: By
    chunks: tuple[ChunkRecord, ...] = ()
    page: str | None = None
    similarity: float | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Return what is stored of it: the text only where it is no chunk's own."""
        said: dict[str, Any] = {"by": self.by}
        if self.by == "similarity":
            said["similarity"] = self.similarity
        if self.named.reference is not None:
            said["reference"] = self.named.reference
        text = self.named.text
        if not self.chunks:
            page = {} if self.page is None else {"page_url": self.page}
            return [{**page, **said, **({} if text is None else {"text": text})}]
        own = [{"chunk_hash": c.chunk_hash, "page_url": c.page_url, **said} for c in self.chunks]
        if text is not None and len(self.chunks) == 1 and fold(text) != fold(self.chunks[0].text):
            own[0]["text"] = text
        return own

    def fragments(self, of_page: Sequence[ChunkRecord]) -> list[Fragment]:
        """Return the texts that the answer was made from, as far as they are known.

        The assistant's own text goes before the chunk's. ``of_page``: the chunks of its page, read
        where nothing more is known.
        """
        text = self.named.text
        if len(self.chunks) == 1:
            [chunk] = self.chunks
            return [Fragment(chunk.chunk_hash, chunk.page_url, text or chunk.text)]
        if self.chunks:
            return [Fragment(c.chunk_hash, c.page_url, c.text) for c in self.chunks]
        if text is not None:
            return [Fragment("", self.page or "", text)]
        return [Fragment("", c.page_url, c.text) for c in of_page]


class Resolver:
    """A snapshot's chunks, in position order, and the ways in which an assistant may name them.

    ``least``: similarity from which on a text counts as a chunk's.
    """

    def __init__(self, chunks: Sequence[ChunkRecord], least: float) -> None:
        self._chunks = chunks
        self._least = least
        self._by_hash = {chunk.chunk_hash: chunk for chunk in reversed(chunks)}
        self._by_id = {
            str(chunk.source_id): chunk for chunk in chunks if chunk.source_id is not None
        }
        self._places: dict[str, list[int]] = defaultdict(list)
        self._place_of = {chunk.chunk_hash: place for place, chunk in enumerate(chunks)}
        for place, chunk in enumerate(chunks):
            self._places[chunk.page_url].append(place)
        self._pages = {_address(url): url for url in reversed(list(self._places))}
        self._binder = ContextBinder(chunks)

    def resolve(self, contexts: Iterable[Named]) -> tuple[Resolved, ...]:
        """Return what each context is, in order."""
        return tuple(self._resolve(named) for named in contexts)

    def of_page(self, url: str | None) -> list[ChunkRecord]:
        """Return the chunks of a page, in position order."""
        return [self._chunks[place] for place in self._places.get(url or "", ())]

    def prepare(self) -> None:
        """Make the index of texts, which takes a while for many chunks."""
        self._binder.bind("")
        self._similar("", None)

    def _resolve(self, named: Named) -> Resolved:
        page: str | None = None
        if named.reference is not None:
            reference = named.reference.strip()
            if chunk := self._by_hash.get(reference):
                return Resolved(named, "hash", (chunk,), chunk.page_url)
            if chunk := self._by_id.get(reference):
                # Its numbers may be its own: a text that is another chunk's says so.
                if named.text is not None and not self._fits(named.text, chunk):
                    by_text = self._by_text(named, named.text, None)
                    if by_text is not None:
                        return by_text
                return Resolved(named, "id", (chunk,), chunk.page_url)
            page = self._pages.get(_address(reference))
        if named.text is None:
            return Resolved(named, "page" if page else "nothing", page=page)
        if page is None:
            # What stands at CONTEXTS may be names, too.
            for chunk in (self._by_hash.get(named.text), self._by_id.get(named.text.strip())):
                if chunk is not None:
                    how: By = "hash" if chunk.chunk_hash == named.text else "id"
                    return Resolved(Named(named.text), how, (chunk,), chunk.page_url)
            if whole := self._pages.get(_address(named.text)):
                return Resolved(Named(named.text), "page", page=whole)
        if by_text := self._by_text(named, named.text, page):
            return by_text
        near = self._similar(named.text, page)
        page = page or self._binder.bind(named.text).page
        return Resolved(named, "page" if page else "nothing", (), page, near and near[1])

    def _by_text(self, named: Named, text: str, page: str | None) -> Resolved | None:
        """Return the chunks that a text is, on a page if one is known; None: it is none's."""
        bound = self._binder.bind(text)
        if bound.chunks and (page is None or all(c.page_url == page for c in bound.chunks)):
            chunks = tuple(self._by_hash[chunk.chunk_hash] for chunk in bound.chunks)
            return Resolved(named, "text", chunks, chunks[0].page_url, 1.0)
        near = self._similar(text, page)
        if near is None or near[1] < self._least:
            return None
        chunk = self._chunks[near[0]]
        return Resolved(named, "similarity", (chunk,), chunk.page_url, near[1])

    def _fits(self, text: str, chunk: ChunkRecord) -> bool:
        """Tell whether a text may be a chunk's: one is in the other, or they are alike."""
        one, other = fold(text), fold(chunk.text)
        if one in other or other in one:
            return True
        near = self._index.nearest(text, self._least, [self._place_of[chunk.chunk_hash]])
        return near is not None and near[1] >= self._least

    def _similar(self, text: str, page: str | None) -> tuple[int, float] | None:
        return self._index.nearest(text, self._least, self._places[page] if page else None)

    @cached_property
    def _index(self) -> Containment:
        return Containment([chunk.text for chunk in self._chunks])


def _address(url: str) -> str:
    """Return what two addresses of one page share: neither scheme, fragment nor closing slash."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url
    if not parts.netloc:
        return unquote(url.strip().partition("#")[0]).rstrip("/")
    path = unquote(parts.path).rstrip("/")
    return f"{parts.netloc.lower().removeprefix('www.')}{path}?{parts.query}"
