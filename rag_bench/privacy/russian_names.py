"""Russian names: what the recognizer finds, and pairs of words that only a name makes.

The recognizer reads capital letters. The pairs are found in whatever case they are written, and
only where two words agree: «иванов петр», «ольга николаевна», «смирновой а.в.». A first name alone
in small letters is no name: «вера», «роман», «роза» are words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

from rag_bench.privacy.morphology import NAME, PATRONYMIC, SURNAME, Word, agree, word
from rag_bench.privacy.word_lists import words

_WORD = regex.compile(r"\p{Cyrillic}+(?:['’-]\p{Cyrillic}+)*")
_GAP = regex.compile(r"[^\S\n]{1,3}")
_INITIALS = r"\p{Lu}\.[^\S\n]?(?:\p{Lu}\.)?|\p{Ll}\.[^\S\n]?\p{Ll}\."
_AFTER = regex.compile(rf"[^\S\n]{{0,2}}(?:{_INITIALS})")
_BEFORE = regex.compile(rf"(?<![\p{{L}}.])(?:{_INITIALS})[^\S\n]{{0,2}}\Z")
# «Зоркин ГИ»: initials without dots, which abbreviations of two letters look like.
_TOGETHER = regex.compile(r"[^\S\n](?!РФ|ЕС|ЕЭ|СК|ДВ|РБ|РТ|ЦБ)\p{Lu}{2}(?![\p{L}\p{N}.-])")
_LONGEST_INITIALS = 8
_ACTING = regex.compile(r"\s*[ИВ]\.\s?О\.\s*")  # at «директора»; at a surname they are a name's
_NO_INITIALS = regex.compile(r"\s*(?:т\.\s?[едпк]|и\.\s?о|в\.\s?о|н\.\s?э|г\.\s?г|с\.\s?ш)\.\s*")

_CAPITALISED = regex.compile(r"\p{Lu}\p{Ll}+(?:['’-]\p{L}+)*")
# Chains of parts of a name, the longest first.
_CHAINS = (
    (SURNAME, NAME, PATRONYMIC),
    (NAME, PATRONYMIC, SURNAME),
    (SURNAME, NAME),
    (NAME, SURNAME),
    (NAME, PATRONYMIC),
)
_INTRODUCED = regex.compile(
    r"(?<!\p{L})(?:меня зовут|(?:мо[её] |полное )?(?:имя|фио|ф\.и\.о\.)|(?:моя )?фамилия)"
    r"(?:[^\S\n]*[:—–-])?[^\S\n]+",
    regex.IGNORECASE,
)
# What is named after somebody: no person of the text. «на имя», «от имени» mean one.
_NAMED_AFTER = regex.compile(
    r"(?:(?<!от[^\S\n])(?<!\p{L})имени|(?<!\p{L})им\.|"
    r"(?<!\p{L})(?:ул\.?|улиц\p{L}+|пр-к?т\p{L}?|просп\.?|проспект\p{L}*|переул\p{L}+|пер\.|"
    r"площад\p{L}+|пл\.|бульвар\p{L}*|набережн\p{L}+|теорем\p{L}+|критери\p{L}+|уравнени\p{L}+|"
    r"формул\p{L}+|(?:закон|метод|алгоритм)(?:а|у|ом|е|ы|ов|ам|ами|ах)?))"
    r"[^\S\n]*\Z",
    regex.IGNORECASE,
)
_HOUSE = regex.compile(r"(?:,?[^\S\n]*(?:д\.?|дом)?[^\S\n]*№?)[^\S\n]*\d")
_SENTENCE_START = regex.compile(r"(?:\A|[.!?…\n:;|])[\s«\"(—–*#-]*\Z")
_DAY = regex.compile(r"\d[^\S\n]*\Z")
_LOOK_BACK = 40


@dataclass(frozen=True)
class Token:
    """A word of a text with what is known of it."""

    start: int
    end: int
    text: str

    @property
    def word(self) -> Word:
        return word(self.text.lower())


def tokens(text: str) -> list[Token]:
    """Return the Cyrillic words of a text."""
    return [Token(m.start(), m.end(), m[0]) for m in _WORD.finditer(text)]


def may_name_somebody(text: str) -> bool:
    """Whether a text has a capitalised word that may be a name: else nobody need recognise any."""
    return any(
        _CAPITALISED.fullmatch(token.text) and _may_be_name(token.word) for token in tokens(text)
    )


def by_words(text: str) -> list[tuple[int, int]]:
    """Return where words of a text make a name, by the dictionary: (start, end), in order."""
    given = tokens(text)
    found = [*_chained(text, given), *_with_initials(text, given)]
    found += [*_titled(text, given), *_introduced(text, given), *_alone(text, given)]
    return sorted(span for span in found if not _of_a_thing(text, *span))


def by_recognizer(text: str, people: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of the recognizer's names that the words bear out, in order.

    At least one word must be capitalised and be no ordinary word only. One word alone, or with a
    letter before it («В. Велосипед»), must be a name by the dictionary or by its ending; one that
    is an ordinary word as well («Вера», «Роза») is none at the beginning of a sentence. Nor is
    what is named after somebody.
    """
    found = []
    for start, end in people:
        inside = [token for token in tokens(text[start:end]) if len(token.text) > 1]
        # «Почему Зоркин …»: the first word of a sentence has a capital letter of its own.
        if len(inside) > 1 and not inside[0].word.nominal:
            start, inside = start + inside[1].start, inside[1:]
        likely = [
            token
            for token in inside
            if _CAPITALISED.fullmatch(token.text) and _may_be_name(token.word)
        ]
        if not likely or _of_a_thing(text, start, end):
            continue
        if len(inside) == 1 and not _is_name_alone(inside[0].word, text, start):
            continue
        found.append((start, end))
    return found


def _is_name_alone(known: Word, text: str, start: int) -> bool:
    if not (known.readings or known.surname_like):
        return False
    return not (known.common and _SENTENCE_START.search(text[max(0, start - _LOOK_BACK) : start]))


def _may_be_name(known: Word) -> bool:
    return bool(known.readings) or known.surname_like or not known.known


def _chained(text: str, given: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Neighbouring words that are parts of a name, agree, and are not all ordinary words."""
    at = 0
    while at < len(given):
        chain = next((c for c in _CHAINS if _is_chain(text, given[at : at + len(c)], c)), None)
        if chain is None:
            at += 1
            continue
        yield given[at].start, given[at + len(chain) - 1].end
        at += len(chain)


def _is_chain(text: str, part: Sequence[Token], chain: tuple[str, ...]) -> bool:
    if len(part) != len(chain):
        return False
    pairs = list(pairwise(part))
    if not all(token.word.is_part(kind) for token, kind in zip(part, chain, strict=True)):
        return False
    if not all(_GAP.fullmatch(text, one.end, other.start) for one, other in pairs):
        return False
    if all(token.word.common for token in part):
        return False
    # «8 марта петрова не было»: a month behind its day.
    if part[0].word.common and _DAY.search(
        text[max(0, part[0].start - _LOOK_BACK) : part[0].start]
    ):
        return False
    return all(
        agree(one.word, other.word, (chain[i], chain[i + 1]))
        for i, (one, other) in enumerate(pairs)
    )


def _with_initials(text: str, given: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """A surname with initials behind or before it; with two, any capitalised word is one."""
    for token in given:
        if len(token.text) == 1:
            continue
        after = _AFTER.match(text, token.end)
        if after and _are_initials(token, after[0]):
            yield token.start, token.end + len(after[0].rstrip())
        start = max(0, token.start - _LONGEST_INITIALS)
        together = _TOGETHER.match(text, token.end)
        if together and _is_surname(token):
            yield token.start, together.end()
        before = _BEFORE.search(text[start : token.start])
        if before and _are_initials(token, before[0]):
            yield start + before.start(), token.end


def _are_initials(token: Token, initials: str) -> bool:
    two = initials.count(".") == 2
    if _NO_INITIALS.fullmatch(initials):
        return False
    if initials.strip()[0].islower():
        # «до Петрова г. Тюмень»: small ones stand at a small surname.
        return _is_small(token) and token.word.is_part(SURNAME) and not token.word.common
    if token.word.is_part(SURNAME):
        return not (_is_small(token) and token.word.common)
    return two and bool(_CAPITALISED.fullmatch(token.text)) and not _ACTING.fullmatch(initials)


def _is_surname(token: Token) -> bool:
    """Whether a capitalised word is a surname and nothing else: no «Иваново», no «Роза»."""
    known = token.word
    return (
        bool(_CAPITALISED.fullmatch(token.text))
        and not (known.common or known.place)
        and any(reading.part == SURNAME for reading in known.readings)
    )


def _is_small(token: Token) -> bool:
    return token.text[0].islower()


def _titled(text: str, given: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """A surname behind a word that says who somebody is: «у преподавателя петрова»."""
    titles = words("titles")
    for title, token in pairwise(given):
        known = token.word
        if known.common or not known.is_part(SURNAME) or not known.lemmas:
            continue
        if not (title.word.lemmas & titles or title.text.lower() in titles):
            continue
        between = text[title.end : token.start]
        if _GAP.fullmatch(between) or between in (". ", "."):
            yield token.start, token.end


def _alone(text: str, given: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """A capitalised surname inside of a sentence: «лекции Зоркина», and no town's name."""
    for i, token in enumerate(given):
        known = token.word
        if not _CAPITALISED.fullmatch(token.text) or known.common or known.place:
            continue
        if not any(reading.part == SURNAME for reading in known.readings):
            continue
        if _SENTENCE_START.search(text[max(0, token.start - _LOOK_BACK) : token.start]):
            continue
        before = given[i - 1] if i else None
        # Part of something longer that bears a name: «имени Глеба Зоркина».
        if before and before.text[0].isupper() and _GAP.fullmatch(text, before.end, token.start):
            continue
        yield token.start, token.end


def _introduced(text: str, given: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """What follows «меня зовут», «фамилия», «ФИО»: up to three words that may be a name."""
    for match in _INTRODUCED.finditer(text):
        end = match.end()
        for token in [token for token in given if token.start >= match.end()][:3]:
            if token.start != end and not _GAP.fullmatch(text, end, token.start):
                break
            capitalised = bool(_CAPITALISED.fullmatch(token.text))
            named = bool(token.word.readings) or token.word.surname_like
            # «ФИО зоркин г и»: letters behind a name are initials.
            initial = len(token.text) == 1 and end > match.end()
            if not (named or initial or (capitalised and not token.word.known)):
                break
            if not (capitalised or initial) and token.word.common:
                break
            end = token.end
        if end > match.end():
            yield match.end(), end


def _of_a_thing(text: str, start: int, end: int) -> bool:
    """Whether a name is a thing's: a street, a theorem, what bears somebody's name."""
    if _NAMED_AFTER.search(text[max(0, start - _LOOK_BACK) : start]):
        return True
    return len(tokens(text[start:end])) == 1 and bool(_HOUSE.match(text, end))
