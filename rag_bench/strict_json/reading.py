"""JSON as RFC 8259 says, and stricter than Python reads it.

UTF-8 only, with or without a byte order mark, no NaN and no Infinity, no name twice in one object,
no NUL and no half of a surrogate pair, which PostgreSQL and UTF-8 cannot hold. Each problem is
located.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from rag_bench.strict_json.places import MOST_TOLD, InvalidInput, Place, TooLarge, pointer

#: Strings and brackets of one body, beyond which it is not looked through.
_MOST_PARTS = 4_000_000
# An unended string matches, too, or each of its quotes would be tried anew.
_PARTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")


#: What editors of Windows put before UTF-8; a reader may pass over it (RFC 8259, section 8.1).
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json(body: bytes, most_depth: int) -> Any:
    """Return what a JSON body holds.

    Raises:
        InvalidInput: it is too deep, is no JSON, or holds what it may not; with the places.
        TooLarge: it has too many values to be looked through.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    _check_depth(body, most_depth)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _line_column(body[: error.start])
        raise _unreadable(Place("This is no UTF-8.", line=line, column=column)) from None
    reader = _Reader()
    try:
        value = reader.read(text)
    except json.JSONDecodeError as error:
        where = Place("JSON ends or goes on otherwise here.", line=error.lineno)
        where = Place(where.detail, line=error.lineno, column=error.colno)
        raise _unreadable(where) from None
    except (ValueError, RecursionError):  # a number of thousands of digits
        raise _unreadable(Place("A number or a nesting is beyond what can be read.")) from None
    if reader.odd or _SUSPECT.search(body):
        found = _odd(value)
        errors = [one for one, _ in zip(found, range(MOST_TOLD), strict=False)]
        if errors:
            raise _unreadable(*errors)
    return value


def _unreadable(*errors: Place) -> InvalidInput:
    return InvalidInput("The body is not JSON that can be read.", errors)


def _line_column(before: bytes) -> tuple[int, int]:
    line = before.count(b"\n") + 1
    return line, len(before) - (before.rfind(b"\n") + 1) + 1


def _check_depth(body: bytes, most: int) -> None:
    depth = 0
    for number, part in enumerate(_PARTS.finditer(body)):
        if number > _MOST_PARTS:
            raise TooLarge("The body has too many values.")
        sign = body[part.start()]
        if sign in b"[{":
            depth += 1
            if depth > most:
                line, column = _line_column(body[: part.start()])
                detail = f"More than {most} objects and lists are inside each other here."
                raise _unreadable(Place(detail, line=line, column=column))
        elif sign in b"]}":
            depth -= 1


class _Twice(dict[str, Any]):
    """An object in which a name stands more than once."""

    names: tuple[str, ...] = ()


class _NoNumber(float):
    """NaN, Infinity, or what is larger than a number can be."""


class _Reader:
    """Reads JSON and marks what must be found again, as the reader itself does not say where."""

    def __init__(self) -> None:
        self.odd = False

    def read(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_constant=self._no_number,
            parse_float=self._float,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self.odd = True
        seen: set[str] = set()
        twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        marked = _Twice(made)
        marked.names = tuple(dict.fromkeys(twice))
        return marked

    def _no_number(self, name: str) -> _NoNumber:
        self.odd = True
        return _NoNumber(name.replace("Infinity", "inf"))

    def _float(self, digits: str) -> float:
        found = float(digits)
        return self._no_number("inf") if found in (float("inf"), float("-inf")) else found


def _odd(value: Any, path: tuple[object, ...] = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        if isinstance(value, _Twice):
            for name in value.names:
                shown = pointer((*path, _shown(name)))
                yield Place("This name stands twice in its object.", pointer=shown)
        for name, inner in value.items():
            here = (*path, _shown(name))
            yield from _odd_text(name, here)
            yield from _odd(inner, here)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _odd(inner, (*path, number))
    elif isinstance(value, _NoNumber):
        yield Place("This is no finite number.", pointer=pointer(path))
    elif isinstance(value, str):
        yield from _odd_text(value, path)


def _odd_text(text: str, path: tuple[object, ...]) -> Iterator[Place]:
    if "\0" in text:
        yield Place("This text holds a NUL.", pointer=pointer(path))
    elif _SURROGATE.search(text):
        yield Place("This text holds half of a surrogate pair.", pointer=pointer(path))


def _shown(name: str) -> str:
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", name).replace("\0", "\N{SYMBOL FOR NULL}")
