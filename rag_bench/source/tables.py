"""The two production tables: which columns are needed, and which values are believed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rag_bench.errors import DumpError
from rag_bench.source.copy_blocks import CopyHeader
from rag_bench.source.limits import Limits, listed, quoted
from rag_bench.source.rows import ChunkRow, QuestionRow

CHUNK, QUESTION_ANSWER = "chunk", "question_answer"

# Field -> names of its column, the usual one first. One branch renamed `confluence_url` to `url`.
_CHUNK_COLUMNS = {
    "id": ("id",),
    "page_url": ("confluence_url", "url"),
    "text": ("text",),
    "created_at": ("created_at",),
    "updated_at": ("updated_at",),
}
_CHUNK_OPTIONAL = frozenset({"created_at", "updated_at"})
_QUESTION_COLUMNS = {
    "id": ("id",),
    "question": ("question",),
    "answer": ("answer",),
    "page_url": ("confluence_url", "url"),
    "score": ("score",),
    "user_id": ("user_id",),
    "created_at": ("created_at",),
    "stop_point": ("stop_point",),
}
_QUESTION_OPTIONAL = frozenset({"stop_point"})

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_BIGINT, _INT = 2**63, 2**31
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _BadValueError(ValueError):
    """A value that its column cannot hold; the message says which and why."""


@dataclass
class TableRows:
    """A row sink: turns one block's rows into dataclasses and notes what is odd about them."""

    header: CopyHeader
    limits: Limits
    fields: tuple[int, ...]
    names: tuple[str, ...]
    kept_bytes: int = 0
    with_control: int = 0
    without_zone: int = 0
    ids: set[int] = field(default_factory=set)

    def value(self, row: dict[str, str | None], name: str, most: int) -> str | None:
        """Return a text value after checking its size."""
        text = row.get(name)
        if text is None:
            return None
        size = len(text.encode("utf-8"))
        if size > most:
            raise _BadValueError(f"{name} has {size:,} bytes, more than the {most:,} allowed")
        if "\0" in text:
            raise _BadValueError(f"{name} holds a NUL character")
        self.kept_bytes += size
        if self.kept_bytes > self.limits.kept_bytes:
            raise _BadValueError(f"the texts come to more than {self.limits.kept_bytes:,} bytes")
        if _CONTROL.search(text):
            self.with_control += 1
        return text

    def integer(self, row: dict[str, str | None], name: str, bound: int) -> int | None:
        """Return an integer value below ``bound`` in magnitude."""
        text = row.get(name)
        if text is None:
            return None
        if not _INTEGER.fullmatch(text) or not -bound <= int(text) < bound:
            raise _BadValueError(f"{name} {quoted(text, 30)} is not an integer")
        return int(text)

    def time(self, row: dict[str, str | None], name: str) -> datetime | None:
        """Return a timestamp; one without a zone counts as UTC, and is noted."""
        text = row.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _BadValueError(f"{name} {quoted(text, 40)} is not a timestamp") from None
        if moment.tzinfo is None:
            self.without_zone += 1
            return moment.replace(tzinfo=UTC)
        return moment

    def identifier(self, row: dict[str, str | None]) -> int:
        """Return the row's id, which must be an integer and new."""
        number = self.integer(row, "id", _BIGINT)
        if number is None:
            raise _BadValueError("id is NULL")
        if number in self.ids:
            raise _BadValueError(f"id {number} comes twice")
        self.ids.add(number)
        return number

    def take(self, values: list[str | None], line: int) -> None:
        """Take one row.

        Raises:
            DumpError: a value is impossible; the message names table and line.

        """
        try:
            self.store(dict(zip(self.names, values, strict=True)))
        except _BadValueError as error:
            raise DumpError(
                f"line {line:,}, table {self.header.table}: {error}. The dump is damaged, or not "
                "of the assistant's database."
            ) from None

    def store(self, row: dict[str, str | None]) -> None:
        """Keep one row, by field name."""
        raise NotImplementedError


@dataclass
class ChunkRows(TableRows):
    """The rows of ``chunk``."""

    rows: list[ChunkRow] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)

    def store(self, row: dict[str, str | None]) -> None:
        number = self.identifier(row)
        url = self.value(row, "page_url", self.limits.url_bytes) or ""
        text = self.value(row, "text", self.limits.text_bytes) or ""
        if len(self.rows) >= self.limits.chunks:
            raise _BadValueError(f"more than {self.limits.chunks:,} rows")
        if not url.strip() or not text.strip():
            self.empty.append(number)
        self.rows.append(
            ChunkRow(number, url, text, self.time(row, "created_at"), self.time(row, "updated_at"))
        )


@dataclass
class QuestionRows(TableRows):
    """The rows of ``question_answer``."""

    rows: list[QuestionRow] = field(default_factory=list)
    blank: int = 0

    def store(self, row: dict[str, str | None]) -> None:
        number = self.identifier(row)
        question = self.value(row, "question", self.limits.text_bytes)
        if question is None:
            raise _BadValueError(f"question of id {number} is NULL")
        if len(self.rows) >= self.limits.questions:
            raise _BadValueError(f"more than {self.limits.questions:,} rows")
        self.blank += not question.strip()
        self.rows.append(
            QuestionRow(
                source_id=number,
                question=question,
                answer=self.value(row, "answer", self.limits.text_bytes),
                page_url=self.value(row, "page_url", self.limits.url_bytes),
                score=self.integer(row, "score", _INT),
                user_id=self.integer(row, "user_id", _BIGINT),
                stop_point=_boolean(row.get("stop_point")),
                created_at=self.time(row, "created_at"),
            )
        )


def _boolean(text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in ("t", "f"):
        raise _BadValueError(f"stop_point {quoted(text, 20)} is neither t nor f")
    return text == "t"


def open_table(header: CopyHeader, limits: Limits) -> ChunkRows | QuestionRows:
    """Return the sink for a block of one of the two tables.

    Raises:
        DumpError: a needed column is missing.

    """
    if header.table == CHUNK:
        return _open(ChunkRows, header, limits, _CHUNK_COLUMNS, _CHUNK_OPTIONAL)
    return _open(QuestionRows, header, limits, _QUESTION_COLUMNS, _QUESTION_OPTIONAL)


_Rows = Callable[[CopyHeader, Limits, tuple[int, ...], tuple[str, ...]], "ChunkRows | QuestionRows"]


def _open(
    kind: _Rows,
    header: CopyHeader,
    limits: Limits,
    columns: dict[str, tuple[str, ...]],
    optional: frozenset[str],
) -> ChunkRows | QuestionRows:
    found: dict[str, int] = {}
    missing: list[str] = []
    for name, spellings in columns.items():
        present = [s for s in spellings if s in header.columns]
        if present:
            found[name] = header.columns.index(present[0])
        elif name not in optional:
            missing.append(" or ".join(spellings))
    if missing:
        raise DumpError(
            f"line {header.line:,}: table {header.table} has no column {listed(missing)}. "
            f"It has {quoted(', '.join(header.columns), 200)}. "
            "Is it a dump of the assistant's database?"
        )
    return kind(header, limits, tuple(found.values()), tuple(found))
