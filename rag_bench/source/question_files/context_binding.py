"""Find the chunks that hold a text, by the text alone: the contexts of other tools' datasets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag_bench.evaluation.text.text_folding import fold
from rag_bench.source.chunk_references import Chunk

#: A shorter text stands in chunks that have nothing to do with it (characters, folded).
SHORTEST = 20


@dataclass(frozen=True)
class Bound:
    """What a text was bound to; neither: nothing.

    ``chunks`` hold it, or are held by it. ``page``: several chunks of one page hold it, and
    nothing says which is meant.
    """

    chunks: tuple[Chunk, ...] = ()
    page: str | None = None


class ContextBinder:
    """The chunks of one snapshot, in position order, found by folded text."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks = list(chunks)
        self._folded: list[str] | None = None
        self._known: dict[str, Bound] = {}

    def bind(self, text: str) -> Bound:
        """Return the chunks that are this text, hold it, or are parts of it.

        In that order, and the first that there are. Equal chunks of several pages are one, the
        first; a text in several different chunks is none of them, only their page if it is one.
        """
        if text not in self._known:
            self._known[text] = self._bind(fold(text))
        return self._known[text]

    def _bind(self, text: str) -> Bound:
        self._index()
        if text in self._equal:
            return Bound((self._chunks[self._equal[text]],))
        if len(text) < SHORTEST:
            return Bound()
        places = self._holding(text)
        if places:
            pages = {self._chunks[place].page_url for place in places}
            if len({self._texts[place] for place in places}) == 1:
                return Bound((self._chunks[places[0]],))
            return Bound(page=pages.pop()) if len(pages) == 1 else Bound()
        # A text of several chunks: each of them is relevant, of equal ones the first.
        parts = {self._texts[place]: place for place in reversed(self._parts(text))}
        return Bound(tuple(self._chunks[place] for place in sorted(parts.values())))

    def _holding(self, text: str) -> list[int]:
        # Words inside of the text are whole words of a chunk that holds it: the rarest tells most.
        inner = text.split(" ")[1:-1]
        places: Sequence[int] = range(len(self._texts))
        if inner:
            places = min((self._by_word.get(word, ()) for word in inner), key=len)
        return [place for place in places if text in self._texts[place]]

    def _parts(self, text: str) -> list[int]:
        words = {*text.split(" "), ""}
        found = [place for word in words for place in self._by_rarest.get(word, ())]
        return sorted(place for place in found if self._texts[place] in text)

    def _index(self) -> None:
        if self._folded is not None:
            return
        self._folded = self._texts = [fold(chunk.text) for chunk in self._chunks]
        self._equal: dict[str, int] = {}
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_rarest: dict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(self._texts):
            if text:
                self._equal.setdefault(text, place)
            for word in set(text.split(" ")):
                self._by_word[word].append(place)
        often = Counter({word: len(places) for word, places in self._by_word.items()})
        for place, text in enumerate(self._texts):
            if len(text) >= SHORTEST:
                rarest = min(text.split(" ")[1:-1], key=lambda word: often[word], default="")
                self._by_rarest[rarest].append(place)
