"""JSON Lines as a stream: one value a line, each problem with its line and column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from rag_bench.strict_json.places import MOST_TOLD, InvalidInput, Place, TooLarge, pointer
from rag_bench.strict_json.reading import read_json

_MARK = b"\xef\xbb\xbf"  # that editors of Windows put before UTF-8
_COLON = re.compile(r"\s*:")
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


@dataclass(frozen=True)
class Limits:
    """What is refused before it is parsed: bytes of a line and of all, nesting, lines."""

    line_bytes: int
    bytes: int
    depth: int
    lines: int


@dataclass(frozen=True)
class Line:
    """One value with its line.

    Attributes:
        number: of the line, from 1.
        text: of the line.
        value: what it holds.
        file: its name, where several may be meant.
    """

    number: int
    text: str
    value: Any
    file: str | None = None

    def place(self, path: Sequence[int | str], detail: str) -> Place:
        """Return the place of what stands at a path of the value; of the nearest that is there."""
        column = column_of(self.text, path)
        named = next((one for one in path if isinstance(one, str)), None)
        where = {"line": self.number, "column": column, "file": self.file, "field": named}
        return Place(detail, pointer(path), **where)  # type: ignore[arg-type]


def read_lines(
    file: BinaryIO, limits: Limits, errors: list[Place], name: str | None = None
) -> Iterator[Line]:
    """Yield the value of each line that has one; empty lines are passed over.

    What is wrong with a line is told in ``errors``, and reading goes on behind it, until there are
    more problems than are told.

    Raises:
        TooLarge: more bytes, or more lines with a value, than the limits say.
    """
    total = number = found = 0
    while len(errors) < MOST_TOLD:
        raw = file.readline(limits.line_bytes + 1)
        if not raw:
            return
        number += 1
        total += len(raw)
        if total > limits.bytes:
            raise TooLarge(f"There are more than {limits.bytes} bytes.")
        if number == 1:
            raw = raw.removeprefix(_MARK)
        if len(raw) > limits.line_bytes:
            detail = f"This line has more than {limits.line_bytes} bytes."
            errors.append(Place(detail, line=number, column=1, file=name))
            return  # where the next one begins is not looked for
        if not raw.strip():
            continue
        found += 1
        if found > limits.lines:
            raise TooLarge(f"There are more than {limits.lines} lines.")
        try:
            value = read_json(raw.rstrip(b"\r\n"), limits.depth)
        except InvalidInput as error:
            errors += [_in_line(raw, one, number, name) for one in error.errors]
        else:
            yield Line(number, raw.decode("utf-8"), value, name)


def _in_line(raw: bytes, place: Place, number: int, name: str | None) -> Place:
    column = place.column
    if column is None and place.pointer is not None:
        path = [
            part.replace("~1", "/").replace("~0", "~") for part in place.pointer[1:].split("/")[1:]
        ]
        column = column_of(raw.decode("utf-8"), path)
    return replace(place, line=number, column=column or 1, file=name)


def column_of(text: str, path: Sequence[int | str]) -> int:
    """Return the column, from 1, at which what stands at a path of a JSON text begins.

    What is not there has the place of what would hold it. The text must be JSON.
    """
    wanted = [str(one) for one in path]
    best, depth = 1, -1
    where: list[str] = []  # names and numbers of what is being read
    lists: list[bool] = []
    name = ""
    begins = True  # a value begins here, or a name
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign == ",":
            if lists[-1]:
                where[-1] = str(int(where[-1]) + 1)
            begins = True
        elif sign == ":":
            where[-1] = name
            begins = True
        elif sign in "]}":
            where.pop()
            lists.pop()
            begins = False
        else:
            in_object = bool(lists) and not lists[-1]
            if in_object and begins and _COLON.match(text, token.end()):
                name = str(json.loads(sign))
                continue
            if begins and len(where) > depth and where == wanted[: len(where)]:
                best, depth = token.start() + 1, len(where)
            begins = sign in "[{"
            if begins:
                lists.append(sign == "[")
                where.append("0" if sign == "[" else "")
    return best
