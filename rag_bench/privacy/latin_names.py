"""Names in Latin letters: English ones, and Russian ones as they are transliterated.

There is no recognizer of them here. Found is what says that it is a name: a known first name with
a capitalised word beside it, a title, an introduction, the end of a letter, initials at a surname.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import regex

_U, _L = r"(?:(?=\p{Latin})\p{Lu})", r"(?:(?=\p{Latin})\p{Ll})"
# A capitalised word, also of two parts: O'Neill, McDonald, Smith-Jones.
_CAP = rf"{_U}(?:['’]{_U})?{_L}+(?:{_U}{_L}+)?(?:-{_U}{_L}+)?"
_SPACE = r"[^\S\n]{1,2}"
_WORD = regex.compile(rf"(?<![\p{{L}}\p{{N}}_@.-])(?={_CAP})(?P<word>{_CAP})(?![\p{{L}}\p{{N}}_])")
_MIDDLE = regex.compile(rf"{_SPACE}(?:{_U}\.{_SPACE})?")
_RUSSIAN = regex.compile(
    rf"{_U}{_L}+(?:ov|ova|ev|eva|yov|yova|in|ina|yn|yna|sky|skiy|skii|skaya|tsky|enko|chuk|yan)"
)
_INITIAL = rf"{_U}\."
_SURNAME_INITIALS = regex.compile(
    rf"(?P<word>{_CAP}),?{_SPACE}{_INITIAL}(?:[^\S\n]?{_INITIAL})?(?!\p{{L}})"
)
_INITIALS_SURNAME = regex.compile(
    rf"(?<![\p{{L}}.]){_INITIAL}[^\S\n]?(?:{_INITIAL}[^\S\n]?)?(?P<word>{_CAP})(?!\p{{L}})"
)
_INTRODUCED = regex.compile(
    rf"(?i:(?<!\p{{L}})(?:my (?:full |last |first )?name is|(?:full |last |first )?name:|surname:|"
    rf"i am called))[^\S\n]+(?P<it>(?:{_CAP})(?:{_SPACE}(?:{_INITIAL}{_SPACE})?{_CAP}){{0,2}})"
)
_PRESENTED = regex.compile(
    rf"(?i:(?<!\p{{L}})(?:i am|i['’]m|this is|me, ))[^\S\n]*(?P<it>{_CAP}{_SPACE}{_CAP})"
)
_TITLED = regex.compile(
    rf"(?<!\p{{L}})(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Dean|Lecturer)\.?{_SPACE}"
    rf"(?P<it>(?:{_INITIAL}[^\S\n]?)*{_CAP}(?:{_SPACE}{_CAP})?)"
)
_SIGNED = regex.compile(
    r"(?i:(?<!\p{L})(?:(?:best |kind |warm )?(?:regards|wishes)|sincerely(?: yours)?|"
    r"yours (?:sincerely|truly|faithfully)|respectfully|thanks|thank you|cheers))[,.!]?\s{1,3}"
    rf"(?P<it>{_CAP}(?:{_SPACE}(?:{_INITIAL}{_SPACE})?{_CAP})?)\s*[.!]?\s*\Z"
)
_SMALL_INTRODUCED = regex.compile(
    r"(?i:(?<!\p{L})(?:my name is|i am|i['’]m|this is))[^\S\n]+"
    rf"(?P<it>(?P<first>{_L}+)(?:[^\S\n]+(?P<last>{_L}{{3,}}))?)"
)
# Behind a first name in small letters these begin the rest of the sentence.
_NO_SURNAME = frozenset(
    [
        "and",
        "but",
        "from",
        "with",
        "who",
        "the",
        "that",
        "student",
        "here",
        "how",
        "what",
        "when",
        "where",
        "why",
        "can",
        "could",
        "would",
        "will",
        "have",
        "has",
        "was",
        "were",
        "you",
        "your",
        "for",
        "not",
        "are",
        "writing",
        "asking",
        "studying",
        "trying",
        "looking",
        "group",
        "faculty",
        "department",
        "speaking",
    ]
)
# Capitalised words beside a first name that make a thing of it, not a person.
_THINGS = frozenset(
    [
        "university",
        "college",
        "institute",
        "school",
        "hall",
        "library",
        "building",
        "center",
        "centre",
        "street",
        "avenue",
        "road",
        "prize",
        "award",
        "scholarship",
        "grant",
        "fund",
        "foundation",
        "office",
        "department",
        "faculty",
        "course",
        "programme",
        "program",
        "project",
        "test",
        "exam",
        "theorem",
        "law",
        "method",
        "equation",
        "algorithm",
        "hospital",
        "museum",
        "cup",
        "day",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "is",
        "are",
        "was",
        "can",
        "will",
        "does",
        "do",
        "the",
        "my",
        "i",
        "we",
        "you",
        "he",
        "she",
        "it",
        "they",
        "and",
        "or",
        "but",
    ]
)


@cache
def first_names() -> frozenset[str]:
    """Return first names in Latin letters, case folded.

    Common English ones, and Russian ones in the usual spellings. Left out are those that are
    rather words of a sentence: May, Will, Grant, Art.
    """
    file = Path(__file__).with_name("first_names.txt")
    return frozenset(file.read_text(encoding="utf-8").split())


def latin_names(text: str) -> list[tuple[int, int]]:
    """Return where a readable text has names in Latin letters: (start, end), in order."""
    if not regex.search(r"\p{Latin}", text):
        return []
    found = [*_pairs(text), *_with_initials(text), *_small(text)]
    for pattern in (_INTRODUCED, _PRESENTED, _TITLED, _SIGNED):
        found += [match.span("it") for match in pattern.finditer(text) if _is_person(match["it"])]
    return sorted(set(found))


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    """A known first name and a capitalised word behind it; or a Russian surname before it."""
    words = list(_WORD.finditer(text))
    for one, other in pairwise(words):
        if not _MIDDLE.fullmatch(text, one.end(), other.start()):
            continue
        first = one["word"].lower() in first_names() and _is_person(other["word"])
        last = other["word"].lower() in first_names() and _RUSSIAN.fullmatch(one["word"])
        if first or last:
            yield one.start(), other.end()


def _with_initials(text: str) -> Iterator[tuple[int, int]]:
    for match in _SURNAME_INITIALS.finditer(text):
        if _RUSSIAN.fullmatch(match["word"]):
            yield match.span()
    for match in _INITIALS_SURNAME.finditer(text):
        if _is_person(match["word"]):
            yield match.span()


def _small(text: str) -> Iterator[tuple[int, int]]:
    """«my name is john smith»: in small letters the first name must be known."""
    for match in _SMALL_INTRODUCED.finditer(text):
        if match["first"].lower() in first_names():
            last = match["last"]
            yield match.start("it"), match.end("first" if last in _NO_SURNAME else "it")


def _is_person(name: str) -> bool:
    return not {part.lower().strip(".") for part in name.split()} & _THINGS
