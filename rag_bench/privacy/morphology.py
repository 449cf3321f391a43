"""Which words may be a Russian name, by pymorphy3's dictionary, and their lemmas."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import regex

NAME, SURNAME, PATRONYMIC = "Name", "Surn", "Patr"
_PARTS = (NAME, SURNAME, PATRONYMIC)

# A reading that the dictionary takes for rarer than this does not make a name a common word.
_RARE = 0.1

# Surnames that no dictionary has, by how they end. Short ones end like too many other words.
_SURNAME = regex.compile(
    r"\p{Cyrillic}{2,}(?:"
    r"(?:ов|ев|ёв|ин|ын)(?:|а|у|ым|е|ой|ы|ых)"
    r"|[сц]к(?:ий|ого|ому|им|ом|ая|ой|ую)"
    r"|(?:енк|айт)[ое]|дзе|швили|(?:ук|юк|як|ян|янц)(?:|а|у|ом|е))",
    regex.IGNORECASE,
)

_lock = threading.Lock()
_analyzer: Any = None


@dataclass(frozen=True)
class Reading:
    """A word as a part of a name: first name, surname or patronymic, in one case and gender.

    ``gender`` is m, f, or both; ``case`` pymorphy3's.
    """

    part: str
    case: str
    gender: str


@dataclass(frozen=True)
class Word:
    """What is known of a word.

    Attributes:
        readings: as parts of a name, in the singular.
        common: it is an ordinary word as well, or one only («вера», «роман», «справка»).
        known: the dictionary has it.
        nominal: it may be a noun or an adjective; else no name, however it is written.
        place: it may be a town's name («Королёв», «Пушкин»).
        lemmas: its dictionary forms as a name, ё as е; without such readings, all of its forms.
        surname_like: it is no ordinary word, and ends as Russian surnames do.
    """

    readings: frozenset[Reading]
    common: bool
    known: bool
    nominal: bool
    place: bool
    lemmas: frozenset[str]
    surname_like: bool

    def is_part(self, part: str) -> bool:
        """Whether the word may be a first name, a surname or a patronymic."""
        return any(reading.part == part for reading in self.readings) or (
            part == SURNAME and self.surname_like
        )


@lru_cache(maxsize=200_000)
def word(text: str) -> Word:
    """Return what pymorphy3 knows of a word in small letters."""
    readings, lemmas, others = set(), set(), set()
    known = common = nominal = place = False
    for parse in _morph().parse(text):
        grammemes = parse.tag.grammemes
        from_dictionary = parse.is_known
        known |= from_dictionary
        nominal |= not from_dictionary or not grammemes.isdisjoint(("NOUN", "ADJF"))
        lemma = parse.normal_form.replace("ё", "е")
        # «беляева» is of Беляево too, which says little; Киров is written as the surname is.
        place |= "Geox" in grammemes and "masc" in grammemes and from_dictionary
        part = next((part for part in _PARTS if part in grammemes), None)
        if part and (from_dictionary or part != NAME):
            lemmas.add(lemma)
            if "plur" not in grammemes:
                readings.add(Reading(part, str(parse.tag.case), _gender(grammemes)))
        elif part is None:
            others.add(lemma)
            # «иванов» is an adjective of Ivan too, which nobody writes; Иваново is a town.
            named = "Poss" in grammemes or "Geox" in grammemes
            common |= from_dictionary and not named and parse.score >= _RARE
    surname_like = not common and bool(_SURNAME.fullmatch(text))
    return Word(
        readings=frozenset(readings),
        common=common,
        known=known,
        nominal=nominal,
        place=place,
        lemmas=frozenset(lemmas or others),
        surname_like=surname_like,
    )


def agree(one: Word, other: Word, parts: tuple[str, str]) -> bool:
    """Whether two words may be these parts of one person's name: in one case and gender.

    Of a surname that no dictionary has neither is known, and it agrees with every word.
    """
    firsts = [reading for reading in one.readings if reading.part == parts[0]]
    seconds = [reading for reading in other.readings if reading.part == parts[1]]
    if any(a.case == b.case and _alike(a.gender, b.gender) for a in firsts for b in seconds):
        return True
    guessed = [
        parts[0] == SURNAME and one.surname_like and not firsts and bool(seconds),
        parts[1] == SURNAME and other.surname_like and not seconds and bool(firsts),
    ]
    return any(guessed)


def _gender(grammemes: frozenset[str]) -> str:
    if "ms-f" in grammemes or "Fixd" in grammemes:
        return "both"
    return "f" if "femn" in grammemes else "m"


def _alike(one: str, other: str) -> bool:
    return one == other or "both" in (one, other)


def _morph() -> Any:
    """Return pymorphy3's analyzer, loaded once."""
    global _analyzer
    if _analyzer is None:
        with _lock:
            if _analyzer is None:
                from pymorphy3 import MorphAnalyzer

                _analyzer = MorphAnalyzer(lang="ru")
    return _analyzer
