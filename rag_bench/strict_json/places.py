"""Where in what somebody sent something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.errors import RagBenchError

#: How many problems of one input are told.
MOST_TOLD = 100


@dataclass(frozen=True)
class Place:
    """One problem: what it is, and where.

    Attributes:
        detail: for people, a sentence.
        pointer: a JSON Pointer (RFC 6901) after #, into the body, or into the line's own object.
        parameter: of the query or the headers.
        line: of a file or body, from 1.
        column: in that line, from 1.
        file: its name, where several may be meant.
        field: the name, in the file, of the field or column that is wrong.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    line: int | None = None
    column: int | None = None
    file: str | None = None
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is known of it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __str__(self) -> str:
        """Say it on one line: where, then what."""
        where = [self.file] if self.file else []
        if self.line is not None:
            where.append(f"line {self.line}")
        if self.column is not None:
            where.append(f"column {self.column}")
        named = self.pointer or self.field
        where += [one for one in (named, self.parameter) if one]
        return f"{', '.join(where)}: {self.detail}" if where else self.detail


class InvalidInput(RagBenchError):  # noqa: N818  # the code that clients get is INVALID_INPUT
    """What was sent cannot be meant. ``errors`` are all that is wrong with it, each located.

    Nothing was done and nothing is stored.
    """

    def __init__(self, detail: str, errors: Sequence[Place] = ()) -> None:
        if len(errors) > MOST_TOLD:
            detail += f" Of {len(errors)} problems the first {MOST_TOLD} are told."
        self.detail = detail
        self.errors = list(errors[:MOST_TOLD])
        lines = [str(one) for one in self.errors]
        super().__init__("\n".join([detail, *lines]))


class TooLarge(RagBenchError):  # noqa: N818  # the code that clients get is TOO_LARGE
    """What was sent is larger than is read."""


def pointer(path: Sequence[object]) -> str:
    """Return a JSON Pointer in its URI form, ``#/cases/17/question``."""
    parts = (str(one).replace("~", "~0").replace("/", "~1") for one in path)
    return "#" + "".join(f"/{part}" for part in parts)
