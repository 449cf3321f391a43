"""Short answers as the production bot gave them: a page's own sentences nearest the question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import fsum

from rag_bench.demo.corpus import Corpus, Page
from rag_bench.demo.dice import Dice

_WORD = re.compile(r"[^\W_]+")
_STEM = 5  # letters: cuts most Russian endings
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=[«\"(]?[А-ЯЁA-Z0-9])|\n+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(«])(?:каб|корп|ул|им|г|д|стр|руб|тел|доб|ауд|пр|т|е|др|п|см|напр|мин|тыс|млн|etc|no|e\.g)"
    r"\.$",
    re.I,
)
_ITEM = re.compile(r"[-–—•*]\s+")
_LONGEST = 340  # characters of the sentences taken


def stems(text: str) -> set[str]:
    """Return the beginnings of the text's words of three letters or more."""
    words = (word.lower().replace("ё", "е") for word in _WORD.findall(text))
    return {word[:_STEM] for word in words if len(word) >= 3}


def sentences(chunk: str) -> list[str]:
    """Split a chunk into sentences, without its heading; a list stays with what introduces it."""
    parts: list[str] = []
    for part in _SENTENCE_END.split(chunk):
        part = part.strip()
        if not part:
            continue
        item = _ITEM.match(part)
        introduced = bool(parts) and parts[-1].endswith((":", ";"))
        if item and introduced and len(parts[-1]) + len(part) < _LONGEST:
            parts[-1] += f" {part[item.end() :]}"
        elif parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] += f" {part}"
        else:
            parts.append(part[item.end() :] if item else part)
    if len(parts) > 1 and parts[0][-1] not in ".!?…:;":
        parts = parts[1:]
    return parts


class Answerer:
    """Answers questions out of a given page by shared words, rarer ones counting more."""

    def __init__(self, corpus: Corpus) -> None:
        self._parts = {text: sentences(text) for _, text in corpus.chunks()}
        self._stems = {
            text: stems(text) for chunk, parts in self._parts.items() for text in (chunk, *parts)
        }
        self._spread = Counter(stem for chunk in self._parts for stem in self._stems[chunk])

    def _nearest(self, wanted: set[str], texts: Sequence[str]) -> int:
        """Return the index of the text that shares most with the question; the first of equals."""
        scores = [
            # fsum: a set's order differs between processes, and so would a plain sum's last bit.
            fsum(1 / self._spread[stem] for stem in wanted & self._stems[text])
            for text in texts
        ]
        return scores.index(max(scores))

    def answer(self, page: Page, question: str, dice: Dice) -> str:
        """Return one to three sentences of the page, dressed as the bot does."""
        wanted = stems(question)
        chunk = page.chunks[self._nearest(wanted, page.chunks)]
        parts = self._parts[chunk]
        first = self._nearest(wanted, parts)
        taken = [parts[first]]
        for part in parts[first + 1 : first + 1 + dice.weighted((30, 45, 25))]:
            if len(" ".join(taken)) + len(part) < _LONGEST:
                taken.append(part)
        text = " ".join(taken).rstrip(";")
        if page.lang == "ru":
            if dice.chance(0.15):
                text = f"Здравствуйте! {text}"
            if dice.chance(0.2):
                text += f" Подробнее — на странице «{page.title}»."
        return text
