"""Names that the knowledge base itself has: they are public, and stay in masked texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

from rag_bench.evaluation.text.text_folding import readable
from rag_bench.privacy.morphology import word

# A run of capitalised words and initials, as names are written: never over a line or a comma.
_PART = r"\p{Lu}\.|\p{Lu}[\p{L}\p{M}]+(?:['’-]\p{L}+)*"
_RUN = regex.compile(rf"(?<![\p{{L}}\p{{N}}])(?:{_PART})(?:[^\S\n]{{0,2}}(?:{_PART}))*")
_PARTS = regex.compile(r"\p{L}+(?:['’-]\p{L}+)*")
_CYRILLIC = regex.compile(r"\p{Cyrillic}")
# Surname, first name, patronymic: words of one person's name stand among so many in a row.
_WINDOW = 3


class PublicNames:
    """The names in some texts. Empty: nobody is public."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Read the texts once.

        Every capitalised word with its neighbours is kept by its lemmas. That no recognizer is
        asked costs nothing: a word is looked up here only if it is taken for a name elsewhere.
        """
        windows: dict[tuple[str, ...], int] = {}
        for text in texts:
            for run in _RUN.findall(readable(text)):
                parts = _parts(run)
                for first in range(max(1, len(parts) - _WINDOW + 1)):
                    windows.setdefault(tuple(parts[first : first + _WINDOW]), len(windows))
        self._windows = list(windows)
        self._with: dict[str, list[int]] = defaultdict(list)
        for window, number in windows.items():
            for lemma in {lemma for part in window for lemma in lemmas(part)}:
                self._with[lemma].append(number)

    def __len__(self) -> int:
        return len(self._windows)

    def hold(self, name: str) -> bool:
        """Whether all words of a name stand together in the texts, in any grammatical case.

        An initial may stand there as a word; a word must not stand there as an initial: who
        says more than the texts do is not known to be meant by them.
        """
        parts = _parts(name)
        wanted = [part for part in parts if len(part) > 1]
        if not wanted:
            return False
        near = {number for lemma in lemmas(wanted[0]) for number in self._with.get(lemma, ())}
        return any(_holds(self._windows[number], parts) for number in near)


def _holds(window: Sequence[str], parts: Sequence[str]) -> bool:
    free = list(window)
    # Words first, or an initial would take the place of one.
    for part in sorted(parts, key=len, reverse=True):
        match = next((one for one in free if _same(one, part)), None)
        if match is None:
            return False
        free.remove(match)
    return True


def _same(public: str, part: str) -> bool:
    if len(part) == 1:
        return public.startswith(part)
    return len(public) > 1 and bool(lemmas(public) & lemmas(part))


def _parts(name: str) -> list[str]:
    return [part.lower().replace("ё", "е") for part in _PARTS.findall(name)]


@lru_cache(maxsize=200_000)
def lemmas(part: str) -> frozenset[str]:
    """Return the dictionary forms of a word of a name; of a Latin word itself."""
    if not _CYRILLIC.search(part) or len(part) == 1:
        return frozenset((part,))
    return word(part).lemmas | _surname_stem(part)


def _surname_stem(part: str) -> frozenset[str]:
    """Return the masculine form of a surname that no dictionary need have: -ова, -овой as -ов."""
    stem = regex.sub(r"(?<=\p{L}(?:ов|ев|ин|ын))(?:а|у|ым|е|ой|ою)\Z", "", part)
    stem = regex.sub(r"(?<=\p{L}[сц]к)(?:ого|ому|им|ом|ая|ой|ую)\Z", "ий", stem)
    return frozenset((stem,))


NOBODY = PublicNames()
