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
_ISBN = (
    rf"\bISBN(?:-1[03])?[\s:№]{{0,3}}(?:97[89][\s{_HYPHEN}]?)?\d(?:[\s{_HYPHEN}]?\d){{8}}[\dXХ]?"
)
_PUBLIC = re.compile(f"{_DATE}|{_MONEY}|{_ISBN}", re.IGNORECASE)
# Letters that stand for digits inside a long number: 8-9I2-ЗЗЗ-4О-56.
_NUMBER_WITH_LETTERS = re.compile(rf"(?<!\w)[\d+(][\dЗзОоOoIl(). {_HYPHEN}]{{8,}}(?<=\d)(?!\w)")
_AS_DIGITS = str.maketrans("ЗзОоOoIl", "33000011")
_MOST_LETTERS = 3

_INN_SAID = re.compile(
    rf"\b(?:инн|inn)\b[^\d\n]{{0,30}}(?P<it>\d(?:[\s{_HYPHEN}]?\d){{11}}|"
    rf"\d(?:[\s{_HYPHEN}]?\d){{9}})(?!\d)",
    re.IGNORECASE,
)
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
    r"(?:паспорт\w{0,3}|сери[яеию]|passport)\b[^\d\n]{0,30}?"
    rf"(?P<it>\d{{2}}\s?\d{{2}}(?:{_BETWEEN}|[{_HYPHEN}])?\d{{6}}|\d{{2}}{_BETWEEN}?\d{{7}}|"
    r"(?-i:[A-Z]{1,3})\d{6,9})(?!\d)",
    re.IGNORECASE,
)
_PASSPORT_FORM = re.compile(
    rf"(?<![\d+{_HYPHEN}(])(?<!\d\s)(?P<it>\d{{2}}\s?\d{{2}}{_BETWEEN}\d{{6}})(?![\d{_HYPHEN}])"
    rf"(?!\s\d)",
    re.IGNORECASE,
)
# «серия 6509 номер 123456», a student's card: what it is called says that it is somebody's.
_SERIES = re.compile(
    r"(?:паспорт\w{0,3}|сери[яеию]|passport)\b[^\d\n]{0,30}(?P<it>\d{2}\s?\d{2})"
    r"(?=[^\d\n]{1,20}\d{6}(?!\d))",
    re.IGNORECASE,
)
_CARD_SAID = re.compile(
    r"(?:студенческ\w{2,3}(?:\sбилет\w{0,2})?|студ\.?\s?билет\w{0,2}|студак\w{0,2}|зач[её]тк\w{1,2}|"
    r"зач[её]тн\w{2,3}\sкнижк\w{1,2}|табельн\w{2,3}(?:\sномер\w{0,2})?|полис\w{0,2}|"
    r"student\s(?:id|card|number|no\.?)|record\sbook)\b[^\d\n]{0,20}?"
    rf"(?P<it>(?:[^\W\d_]{{1,3}}[{_HYPHEN}/]?)?\d(?:[{_HYPHEN}/\s]?\d){{4,}})(?![\d{_HYPHEN}/])",
    re.IGNORECASE,
)
_IBAN = re.compile(
    r"(?<!\w)(?P<it>[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?)(?!\w)"
)
_CARD_MASKED = re.compile(
    rf"(?<!\d)(?=[\d\s{_HYPHEN}]*[*xXхХ•])(?P<it>\d{{4}}[\s{_HYPHEN}]?(?:[\d*xXхХ•]{{4}}[\s{_HYPHEN}]?){{1,2}}\d{{4}})(?!\d)"
)
_DIGIT_WORDS = (
    r"(?:ноль|нуль|один|два|три|четыре|пять|шесть|семь|восемь|девять|десять|"
    r"(?:один|две|три|четыр|пят|шест|сем|восем|девят)надцать|двадцать|тридцать|сорок|пятьдесят|шестьдесят|семьдесят|"
    r"восемьдесят|девяносто|сто|двести|триста|четыреста|пятьсот|шестьсот|семьсот|восемьсот|"
    r"девятьсот|плюс|zero|oh|one|two|three|four|five|six|seven|eight|nine|double|plus)"
)
# A telephone in words: nobody counts so far in a row.
_IN_WORDS = re.compile(
    rf"(?<!\w)(?P<it>{_DIGIT_WORDS}(?:[\s,{_HYPHEN}]{{1,3}}{_DIGIT_WORDS}){{6,}})(?!\w)",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w+])(?P<it>\d{10,12})(?!\w)")
# Ten digits or more, whatever stands between them; local phones (12-34-56); any long run.
_MANY_DIGITS = re.compile(rf"(?<![\w])(?P<it>\+?\d(?:[\s().{_HYPHEN}]*\d){{9,}})")
_LOCAL_PHONE = re.compile(
    rf"(?<![\d{_HYPHEN}])(?P<it>(?:\d{{2,3}}|\d[{_HYPHEN}]\d{{2}})[{_HYPHEN}]\d{{2}}[{_HYPHEN}]\d{{2}})"
    rf"(?![\d{_HYPHEN}])"
)
# Those of small towns have five digits, and are written in many ways: the word before it tells.
_PHONE_SAID = re.compile(
    rf"\b(?:тел(?:ефон\w{{0,3}})?|моб(?:ильн\w{{2,3}})?|раб\.?\s?т|дом\.?\s?т|phone|tel|cell|mobile)\b"
    rf"[\s.:№({_HYPHEN}]{{0,5}}(?P<it>\d(?:[\s().{_HYPHEN}]{{0,2}}\d){{4,8}})(?!\d)",
    re.IGNORECASE,
)
# A social security number of the United States.
_SSN = re.compile(
    rf"(?<![\d{_HYPHEN}])(?P<it>\d{{3}}[{_HYPHEN}]\d{{2}}[{_HYPHEN}]\d{{4}})(?![\d{_HYPHEN}])"
)
# With letters before it, as passports and cards have: AB1234567.
_LONG = re.compile(r"(?P<it>(?:(?<!\w)[^\W\d_]{1,3})?\d{6,})")
_TAKEN = "/"  # no number goes on over it
_LEAST = 5  # digits that a number has at least
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
    in_words = [Span(*match.span("it"), Kind.PHONE) for match in _IN_WORDS.finditer(text)]
    if sum(character.isdigit() for character in text) < _LEAST:
        return in_words
    text = _NUMBER_WITH_LETTERS.sub(_with_digits, blanked(text, in_words, _TAKEN))
    text = _PUBLIC.sub(lambda public: _TAKEN * len(public[0]), text)
    found = in_words
    for finder in _FINDERS:
        spans = list(finder(text))
        found += spans
        # What is left of a run of digits is a number still.
        text = blanked(text, spans, _TAKEN)
    return found


def _with_digits(match: re.Match[str]) -> str:
    """Return a number with digits in place of the few letters that look like them."""
    letters = sum(character.isalpha() for character in match[0])
    digits = sum(character.isdigit() for character in match[0])
    if letters > _MOST_LETTERS or digits < _LEAST:
        return match[0]
    return match[0].translate(_AS_DIGITS)


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
    _by(_SERIES, lambda _: Kind.PASSPORT),
    _by(_PASSPORT_FORM, lambda _: Kind.PASSPORT),
    _by(_CARD_SAID, lambda _: Kind.NUMBER),
    _by(_IBAN, lambda _: Kind.NUMBER),
    _by(_CARD_MASKED, lambda _: Kind.NUMBER),
    _by(_BARE, _bare),
    _phones,
    _by(_MANY_DIGITS, lambda _: Kind.NUMBER),
    _by(_LOCAL_PHONE, lambda _: Kind.PHONE),
    _by(_PHONE_SAID, lambda _: Kind.PHONE),
    _by(_SSN, lambda _: Kind.NUMBER),
    _by(_LONG, lambda _: Kind.NUMBER),
)
