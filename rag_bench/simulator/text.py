"""Small text tools of the offline models: words, stems by prefix, sentences, hashed chance.

Deliberately simple and without state: the same text always gives the same answer, in any process.
Everything that reads a context is cached, as a sweep reads the same chunks thousands of times.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from rag_bench.evaluation.text.text_folding import words

T = TypeVar("T")

_MARKER = re.compile(r"\[\d{1,2}(?:\s*,\s*\d{1,2})*\]")
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
# A sentence ends at . ! ? … with closing quotes, before a space and something that starts one.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[»\"”)]*\s+(?=[«\"“(—–-]*\s*[A-ZА-ЯЁ0-9])")
# Ends that are not ends: initials, and abbreviations common in both languages.
_ABBREVIATION = re.compile(
    r"(?:\b[A-ZА-ЯЁ]|\b(?:г|гг|в|вв|ул|д|кв|каб|корп|стр|т|тыс|млн|руб|им|пр|см|ст|н|э|тел|ауд|"
    r"mr|mrs|ms|dr|st|no|vs|etc|jr|sr|inc|fig|approx))\.$",
    re.IGNORECASE,
)

STOP_WORDS = frozenset(
    """
    а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да даже для
    до его ее если есть еще же за зачем здесь и из или им их к как какая какие какой каком какую
    когда кого которая которое которые который кто куда ли либо мне можно мой мы на над надо нам
    нас не него нее нет ни но ну о об однако он она они оно от очень по под подскажите пожалуйста
    почему при про с сам свой себя сколько со так также такой там то тоже только том тот ту ты у
    уже чего чей чем что чтобы чья эта эти это этого этой этом этот я ведь либо лишь между через
    a about above after all also am an and any are as at be because been before being between both
    but by can could did do does doing down during each few for from further had has have having he
    her here hers him his how i if in into is it its itself just me more most my no nor not of off
    on once only or other our out over own please same she should so some such than that the their
    them then there these they this those through to too under until up very was we were what when
    where which while who whom why will with would you your
    """.split()  # noqa: SIM905 (a list of 200 quoted words is no easier to read)
)


@lru_cache(maxsize=65_536)
def normal(text: str) -> str:
    """Return the words of ``text``, folded, without citation markers, one-spaced."""
    return " ".join(words(_MARKER.sub(" ", text)))


def stem(word: str) -> str:
    """Cut a word's ending: Russian and English inflect there. Numbers stay whole."""
    if len(word) <= 4 or any(letter.isdigit() for letter in word):
        return word
    return word[: max(4, (len(word) * 7 + 5) // 10)]


@lru_cache(maxsize=65_536)
def stems(text: str) -> frozenset[str]:
    """Return the stems of the content words of ``text`` (of all words, if it has no others).

    Citation markers are not words.
    """
    found = normal(text).split()
    content = [word for word in found if word not in STOP_WORDS]
    return frozenset(stem(word) for word in content or found)


@lru_cache(maxsize=16_384)
def trigrams(text: str) -> frozenset[str]:
    """Return the character trigrams of the normalised text, word borders marked by spaces."""
    padded = f" {normal(text)} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


@lru_cache(maxsize=16_384)
def numbers(text: str) -> frozenset[str]:
    """Return the digit groups of ``text``, citation markers aside."""
    return frozenset(re.findall(r"\d+", _MARKER.sub(" ", text)))


@lru_cache(maxsize=8_192)
def sentences(text: str) -> tuple[str, ...]:
    """Split into sentences: at line ends, and after . ! ? … where a new sentence starts."""
    result: list[str] = []
    for line in text.replace("\ufeff", "").splitlines():
        start = 0
        for match in _SENTENCE_END.finditer(line):
            piece = line[start : match.start()].strip()
            if _ABBREVIATION.search(piece):
                continue
            # Closing quotes belong to the sentence that they end.
            result.append(line[start : match.end()].strip())
            start = match.end()
        result.append(line[start:].strip())
    return tuple(piece for piece in result if words(piece))


def overlap(part: str, whole: str) -> float:
    """Return the share of the content stems of ``part`` that occur in ``whole`` (0 to 1)."""
    needed = stems(part)
    return len(needed & stems(whole)) / len(needed) if needed else 0.0


def contains(whole: str, part: str) -> bool:
    """Tell whether the words of ``part`` stand in ``whole`` in a row."""
    needle = normal(part)
    return bool(needle) and f" {needle} " in f" {normal(whole)} "


@lru_cache(maxsize=65_536)
def is_russian(text: str) -> bool:
    """Tell whether ``text`` has more Cyrillic than Latin letters; neither counts as Russian."""
    return len(_CYRILLIC.findall(text)) >= len(_LATIN.findall(text))


def chance(*parts: object) -> float:
    """Return a number in [0, 1) that depends on ``parts`` only: the dice of the offline models."""
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def pick(options: Sequence[T], *parts: object) -> T:
    """Return the option that ``parts`` decide on."""
    return options[int(chance(*parts) * len(options))]


def stable_chance(variation: float, replicate: int, *parts: object) -> float:
    """Return a draw that repeats mostly share.

    Replicate 0 gives the base draw. Any other is drawn anew with probability ``variation`` and
    repeats the base draw otherwise, so every replicate has the same distribution.
    """
    if replicate and chance("redraw?", replicate, *parts) < variation:
        return chance("redrawn", replicate, *parts)
    return chance("base", *parts)
