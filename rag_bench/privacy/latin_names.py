"""Names in Latin letters: English ones, and Russian ones as they are transliterated.

There is no recognizer of them here. Found is what says that it is a name: a known first name with
a capitalised word beside it, a title, an introduction, the end of a letter, initials at a surname.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import regex

from rag_bench.privacy.word_lists import words

_U, _L = r"(?:(?=\p{Latin})\p{Lu})", r"(?:(?=\p{Latin})\p{Ll})"
# A capitalised word, also of two parts: O'Neill, McDonald, Smith-Jones.
_CAP = rf"{_U}(?:['’]{_U})?{_L}+(?:{_U}{_L}+)?(?:-{_U}{_L}+)?"
_SPACE = r"[^\S\n]{1,2}"
_WORD = regex.compile(rf"(?<![\p{{L}}\p{{N}}_@.-])(?={_CAP})(?P<word>{_CAP})(?![\p{{L}}\p{{N}}_])")
_PARTICLES = r"(?:ibn|bin|bint|al|el|de|del|da|di|du|la|van|von|der|den)"
_MIDDLE = regex.compile(rf"{_SPACE}(?:{_U}\.{_SPACE}|(?:{_PARTICLES}{_SPACE}){{1,2}})?")
# O'Brien, McDonald: surnames by their form.
_GAELIC = regex.compile(rf"(?:O['’]|Mc|Mac){_U}{_L}+")
_MARK = regex.compile(r"\p{M}")
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
    r"(?i:(?<!\p{L})(?:my (?:full |last |first )?name(?: is|['’]s)|"
    r"(?:full |last |first )?name:|surname:|"
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
# One word, which must be a first name: «I'm Anna, first year».
_PRESENTED_SHORT = regex.compile(
    rf"(?i:(?<!\p{{L}})(?:i am|i['’]m|this is|my name(?: is|['’]s)))[^\S\n]+(?P<it>{_CAP})"
    rf"(?!{_SPACE}{_CAP})(?![\p{{L}}'’-])"
)
# «Finch, Anna» where a line or a list begins; «FINCH, Anna» anywhere.
_REVERSED = regex.compile(
    rf"(?:(?:(?<=\A)|(?<=[\n:;(]))[^\S\n]*(?P<last>{_CAP}),|(?<!\p{{L}})(?P<last>{_U}{{2,}}),?)"
    rf"{_SPACE}(?P<first>{_CAP})(?!\p{{L}})"
)
_SMALL_SIGNED = regex.compile(
    r"(?i:(?<!\p{L})(?:regards|wishes|sincerely|yours|respectfully|thanks|thank you|cheers))[,.!]?"
    rf"\s{{1,3}}(?P<it>(?P<first>{_L}+)(?:[^\S\n]+(?P<last>{_L}{{3,}}))?)\s*[.!]?\s*\Z"
)
_SMALL_RUSSIAN = regex.compile(
    rf"(?<!\p{{L}})(?P<last>{_L}{{2,}}(?:ov|ova|ev|eva|in|ina|enko|sky|skiy|skaya)){_SPACE}"
    rf"(?P<first>{_L}{{3,}})(?!\p{{L}})"
)
_SMALL_INTRODUCED = regex.compile(
    r"(?i:(?<!\p{L})(?:my name is|my name['’]s|i am|i['’]m|this is|name:))[^\S\n]+"
    rf"(?P<it>(?P<first>{_L}+)(?:[^\S\n]+(?P<last>{_L}{{3,}}))?)"
)


def latin_names(text: str) -> list[tuple[int, int]]:
    """Return where a readable text has names in Latin letters: (start, end), in order."""
    if not regex.search(r"\p{Latin}", text):
        return []
    found = [*_pairs(text), *_with_initials(text), *_small(text), *_short(text)]
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
    if not _is_known(first) or not _is_person(last):
        return False
    # Roman law, Bill Committee.
    return first.lower() not in words("doubtful_first_names") or bool(_RUSSIAN.fullmatch(last))


def _is_known(first: str) -> bool:
    """Whether it is a first name; of José and Jean-Pierre: Jose, Jean."""
    plain = _MARK.sub("", unicodedata.normalize("NFD", first.lower()))
    return plain in words("first_names") or plain.partition("-")[0] in words("first_names")


def _is_last(last: str, first: str) -> bool:
    """Whether the first word is surely a surname, and the second a first name: Zorkin Gleb."""
    return _is_known(first) and bool(_RUSSIAN.fullmatch(last) or _GAELIC.fullmatch(last))


def _with_initials(text: str) -> Iterator[tuple[int, int]]:
    for match in _SURNAME_INITIALS.finditer(text):
        if _RUSSIAN.fullmatch(match["word"]):
            yield match.span()
    for match in _INITIALS_SURNAME.finditer(text):
        if _is_person(match["word"]):
            yield match.span()


def _small(text: str) -> Iterator[tuple[int, int]]:
    """«my name is john smith»: in small letters the first name must be known."""
    for pattern in (_SMALL_INTRODUCED, _SMALL_SIGNED):
        for match in pattern.finditer(text):
            if match["first"].lower() in words("first_names"):
                last = match["last"]
                yield (
                    match.start("it"),
                    match.end("first" if last in words("no_surnames") else "it"),
                )
    for match in _SMALL_RUSSIAN.finditer(text):
        if _is_sure(match["first"]) and match["last"] not in words("no_surnames"):
            yield match.span()


def _short(text: str) -> Iterator[tuple[int, int]]:
    """A first name alone where somebody presents themselves, or behind a surname and a comma."""
    for match in _PRESENTED_SHORT.finditer(text):
        if _is_sure(match["it"]):
            yield match.span("it")
    for match in _REVERSED.finditer(text):
        opened = match["last"].lower() in words("openers")
        if _is_sure(match["first"]) and _is_person(match["last"]) and not opened:
            yield match.start("last"), match.end("first")


def _is_sure(first: str) -> bool:
    """Whether a word is a first name and no other word."""
    return _is_known(first) and first.lower() not in words("doubtful_first_names")


def _is_person(name: str) -> bool:
    return not {part.lower().strip(".") for part in name.split()} & words("things")
