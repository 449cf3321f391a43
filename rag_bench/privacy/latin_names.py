"""Names in Latin letters: English ones, and Russian ones as they are transliterated.

There is no recognizer of them here. Found is what says that it is a name: a known first name with
a capitalised word beside it, a title, an introduction, the end of a letter, initials at a surname.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import regex

from rag_bench.privacy.word_lists import words

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
    rf"(?<![\p{{L}}.]){_INITIAL}[^\S\n]?(?:{_INITIAL}[^\S\n]?|(?<=\s))(?P<word>{_CAP})(?!\p{{L}})"
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
    rf"(?P<it>{_CAP}(?:{_SPACE}(?:{_INITIAL}{_SPACE})?{_CAP}){{0,2}})\s*[.!]?\s*\Z"
)
_SMALL_INTRODUCED = regex.compile(
    r"(?i:(?<!\p{L})(?:my name is|i am|i['’]m|this is))[^\S\n]+"
    rf"(?P<it>(?P<first>{_L}+)(?:[^\S\n]+(?P<last>{_L}{{3,}}))?)"
)


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
    given = list(_WORD.finditer(text))
    for i, (one, other) in enumerate(pairwise(given)):
        if not _MIDDLE.fullmatch(text, one.end(), other.start()):
            continue
        if not (_is_first(one["word"], other["word"]) or _is_last(one["word"], other["word"])):
            continue
        # Mary Ann Finch: a third word belongs to the name.
        third = given[i + 2] if i + 2 < len(given) else None
        if (
            third
            and _MIDDLE.fullmatch(text, other.end(), third.start())
            and _is_person(third["word"])
        ):
            other = third
        yield one.start(), other.end()


def _is_first(first: str, last: str) -> bool:
    """Whether the first word is a first name, and the second may be the surname."""
    if first.lower() not in words("first_names") or not _is_person(last):
        return False
    # Roman law, Bill Committee.
    return first.lower() not in words("doubtful_first_names") or bool(_RUSSIAN.fullmatch(last))


def _is_last(last: str, first: str) -> bool:
    """Whether the first word is a Russian surname, and the second a first name: Zorkin Gleb."""
    return first.lower() in words("first_names") and bool(_RUSSIAN.fullmatch(last))


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
        if match["first"].lower() in words("first_names"):
            last = match["last"]
            yield match.start("it"), match.end("first" if last in words("no_surnames") else "it")


def _is_person(name: str) -> bool:
    return not {part.lower().strip(".") for part in name.split()} & words("things")
