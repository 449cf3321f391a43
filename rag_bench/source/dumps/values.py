"""Single values of a dump: what PostgreSQL writes for the column types that people choose.

A value that cannot be read is an ``UnreadError`` with the reason; nothing is guessed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?")
# Seconds since 1970, and the same in thousandths, millionths and billionths, are told apart by
# their size: all four lie between 1973 and 5138.
_EPOCHS = ((1e8, 1e11, 1.0), (1e11, 1e14, 1e3), (1e14, 1e17, 1e6), (1e17, 1e20, 1e9))
_EARLIEST, _LATEST = 1900, 2200  # years in which somebody may have asked
_MOST_SCORE = 1e9

_TRUE = frozenset({"t", "true", "y", "yes", "on", "1"})
_FALSE = frozenset({"f", "false", "n", "no", "off", "0"})
_UP = frozenset(
    {"like", "liked", "up", "upvote", "thumbs_up", "thumbsup", "good", "positive", "helpful"}
    | {"useful", "👍", "лайк"}
)
_DOWN = frozenset(
    {"dislike", "disliked", "down", "downvote", "thumbs_down", "thumbsdown", "bad", "negative"}
    | {"unhelpful", "not_helpful", "useless", "👎", "дизлайк"}
)
_NEUTRAL = frozenset({"neutral"})


class UnreadError(ValueError):
    """A value that cannot be read; the message says what it is not."""


def is_blank(text: str | None) -> bool:
    """Whether there is nothing for the eye: no text, or only spaces and invisible characters."""
    return text is None or all(unicodedata.category(c) in _INVISIBLE for c in text)


_INVISIBLE = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def moment(text: str) -> tuple[datetime, bool]:
    """Return a time with its zone, and whether the value had one (else it is taken as UTC).

    Read are ``timestamp``, ``timestamptz`` and ``date`` as PostgreSQL writes them, ISO 8601 in a
    text column, ``DD.MM.YYYY``, and numbers: seconds since 1970 or thousandths, millionths and
    billionths of them.

    Raises:
        UnreadError: none of these, ``infinity``, or outside 1900 to 2200.
    """
    text = text.strip()
    found = _iso(text) or _day_first(text) or _epoch(text)
    if found is None:
        raise UnreadError("is not a time")
    if not _EARLIEST <= found.year <= _LATEST:
        raise UnreadError(f"is not a time between {_EARLIEST} and {_LATEST}")
    return (found, True) if found.tzinfo else (found.replace(tzinfo=UTC), False)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _day_first(text: str) -> datetime | None:
    match = _DAY_FIRST.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def _epoch(text: str) -> datetime | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    for low, high, parts in _EPOCHS:
        if low <= value < high:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value / parts)
    return None


def rating(text: str) -> int | float:
    """Return a rating as a number: of any numeric type, ``80%``, a boolean as 1 or 0, the usual
    words for thumbs as 1 and -1.

    Raises:
        UnreadError: no number and none of these words.
    """
    plain = text.strip().casefold()
    word = re.sub(r"[\s-]+", "_", plain)
    if word in _UP or word in _DOWN or word in _NEUTRAL:
        return 0 if word in _NEUTRAL else 1 if word in _UP else -1
    if plain in _TRUE or plain in _FALSE:
        return int(plain in _TRUE)
    number = plain.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(number):
        raise UnreadError("is not a rating")
    value = float(number)
    if not math.isfinite(value) or abs(value) > _MOST_SCORE:
        raise UnreadError("is not a rating")
    return int(value) if value.is_integer() else value


def boolean(text: str) -> bool:
    """Return a truth value: ``t`` and ``f``, or as people write them in text and number columns.

    Raises:
        UnreadError: neither.
    """
    plain = text.strip().casefold()
    if plain not in _TRUE and plain not in _FALSE:
        raise UnreadError("is neither true nor false")
    return plain in _TRUE
