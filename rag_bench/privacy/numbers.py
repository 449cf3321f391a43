"""Phones, INN, SNILS, passports and long numbers.

Sources of the check digits: INN, order of the Federal Tax Service of 29 June 2012, ММВ-7-6/435@;
SNILS, the Pension Fund's rule for numbers above 001-001-998. A passport has none: it is told by
its form (4 + 6 digits) or by the word before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rag_bench.privacy.kinds import Kind, Span, blanked

Finder = Callable[[str], Iterator[Span]]

_HYPHEN = r"\-\u2010-\u2015"
# Dates and sums of money stay readable, also two in a row, which are as many digits as a phone has.
_DATE = r"(?<!\d)(?:\d{1,2}\.\d{1,2}\.\d{2,4}|\d{4}-\d{2}-\d{2})(?!\d)"
_THOUSANDS = r"\d{1,3}(?:[^\S\n]\d{3})+"
_MONEY = (
    rf"(?<![\d+]){_THOUSANDS}(?:[^\S\n]?[{_HYPHEN}][^\S\n]?{_THOUSANDS}(?!\d)|[^\S\n]?"
    r"(?:руб|р\.|₽|тыс|млн|евро|€|\$|rub|eur|usd))"
)
_PUBLIC = re.compile(f"{_DATE}|{_MONEY}", re.IGNORECASE)

_INN_SAID = re.compile(r"\b(?:инн|inn)\b[^\d\n]{0,30}(?P<it>\d{12}|\d{10})(?!\d)", re.IGNORECASE)
_SNILS_SAID = re.compile(
    rf"\b(?:снилс\w{{0,3}}|snils)\b[^\d\n]{{0,30}}(?P<it>\d{{3}}(?:[\s{_HYPHEN}]?\d{{3}}){{2}}"
    rf"[\s{_HYPHEN}]?\d{{2}})(?!\d)",
    re.IGNORECASE,
)
_SNILS_FORM = re.compile(
    rf"(?<![\d{_HYPHEN}])(?P<it>\d{{3}}[{_HYPHEN}]\d{{3}}[{_HYPHEN}]\d{{3}}[\s{_HYPHEN}]\d{{2}})"
    rf"(?![\d{_HYPHEN}])"
)
_BETWEEN = r"(?:,?\s*(?:№|#|n|no\.?|номер\w{0,2}|number)\s*|\s+)"
_PASSPORT_SAID = re.compile(
    # «загранпаспорт» has 2 + 7 digits.
    r"(?:паспорт\w{0,3}|сери[яеию]|passport)\b[^\d\n]{0,30}"
    rf"(?P<it>\d{{2}}\s?\d{{2}}(?:{_BETWEEN}|[{_HYPHEN}])?\d{{6}}|\d{{2}}{_BETWEEN}?\d{{7}})(?!\d)",
    re.IGNORECASE,
)
_PASSPORT_FORM = re.compile(
    rf"(?<![\d+{_HYPHEN}(])(?<!\d\s)(?P<it>\d{{2}}\s?\d{{2}}{_BETWEEN}\d{{6}})(?![\d{_HYPHEN}])"
    rf"(?!\s\d)",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w+])(?P<it>\d{10,12})(?!\w)")
# Ten digits or more, whatever stands between them; local phones (12-34-56); any long run.
_MANY_DIGITS = re.compile(rf"(?<![\w])(?P<it>\+?\d(?:[\s().{_HYPHEN}]*\d){{9,}})")
_LOCAL_PHONE = re.compile(
    rf"(?<![\d{_HYPHEN}])(?P<it>\d{{2,3}}[{_HYPHEN}]\d{{2}}[{_HYPHEN}]\d{{2}})(?![\d{_HYPHEN}])"
)
_LONG = re.compile(r"(?P<it>\d{6,})")
_TAKEN = "/"  # no number goes on over it
_LEAST_PHONE = 7  # digits
_REGION = "RU"


def is_inn(digits: str) -> bool:
    """Whether 10 digits (an organisation) or 12 (a person) end in an INN's check digits."""
    if len(digits) == 10:
        return _check(digits, (2, 4, 10, 3, 5, 9, 4, 6, 8))
    return (
        len(digits) == 12
        and _check(digits[:11], (7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
        and _check(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8))
    )


def is_snils(digits: str) -> bool:
    """Whether 11 digits end in a SNILS's check number."""
    if len(digits) != 11 or int(digits[:9]) <= 1_001_998:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(9, 0, -1), strict=False))
    return total % 101 % 100 == int(digits[9:])


def _check(digits: str, weights: tuple[int, ...]) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))
    return total % 11 % 10 == int(digits[-1])


def numbers(text: str) -> list[Span]:
    """Return the personal numbers of a readable text; none overlaps another.

    A number that is said to be an INN or a SNILS and fails its check is a long number.
    """
    if sum(character.isdigit() for character in text) < 6:
        return []
    text = _PUBLIC.sub(lambda public: _TAKEN * len(public[0]), text)
    found: list[Span] = []
    for finder in _FINDERS:
        spans = list(finder(text))
        found += spans
        # What is left of a run of digits is a number still.
        text = blanked(text, spans, _TAKEN)
    return found


def _by(pattern: re.Pattern[str], kind_of: Callable[[str], Kind | None]) -> Finder:
    """Return a finder of what the pattern calls ``it``; its digits decide the kind."""

    def finder(text: str) -> Iterator[Span]:
        for match in pattern.finditer(text):
            kind = kind_of(re.sub(r"\D", "", match["it"]))
            if kind:
                yield Span(match.start("it"), match.end("it"), kind)

    return finder


def _bare(digits: str) -> Kind | None:
    # A mobile phone without its 8 has ten digits and may pass the check by chance.
    if is_inn(digits) and not (len(digits) == 10 and digits[0] == "9"):
        return Kind.INN
    return Kind.SNILS if is_snils(digits) and digits[0] not in "78" else None


def _phones(text: str) -> Iterator[Span]:
    """Phones of all countries, those without a country's code as Russian; with extensions."""
    if sum(character.isdigit() for character in text) < _LEAST_PHONE:
        return
    from phonenumbers import Leniency, PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, _REGION, leniency=Leniency.VALID):
        yield Span(match.start, match.end, Kind.PHONE)


_FINDERS: tuple[Finder, ...] = (
    _by(_INN_SAID, lambda digits: Kind.INN if is_inn(digits) else Kind.NUMBER),
    _by(_SNILS_SAID, lambda digits: Kind.SNILS if is_snils(digits) else Kind.NUMBER),
    _by(_SNILS_FORM, lambda digits: Kind.SNILS if is_snils(digits) else Kind.NUMBER),
    _by(_PASSPORT_SAID, lambda _: Kind.PASSPORT),
    _by(_PASSPORT_FORM, lambda _: Kind.PASSPORT),
    _by(_BARE, _bare),
    _phones,
    _by(_MANY_DIGITS, lambda _: Kind.NUMBER),
    _by(_LOCAL_PHONE, lambda _: Kind.PHONE),
    _by(_LONG, lambda _: Kind.NUMBER),
)
