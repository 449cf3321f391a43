"""The two production tables: which columns are read, and what is made of their values.

Only what cannot be done without is asked for: a chunk's page and text, a question's column. A row
that cannot be used is left out, counted and listed with its reason; an optional value that cannot
be read counts as absent, and is counted too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from rag_bench.errors import DumpError
from rag_bench.source.dumps.copy_blocks import CopyHeader
from rag_bench.source.dumps.rows import ChunkRow, QuestionRow
from rag_bench.source.dumps.values import UnreadError, boolean, is_blank, moment, rating
from rag_bench.source.limits import READABLE_DUMP, Limits, listed, quoted
from rag_bench.store.ids import identifier

CHUNK, QUESTION_ANSWER = "chunk", "question_answer"
#: Tables of the assistant's database that are never read: passwords and messenger ids.
PRIVATE = ("admin", "user")

# Field -> names of its column, the usual one first. One branch renamed `confluence_url` to `url`.
_CHUNK_COLUMNS = {
    "id": ("id",),
    "page_url": ("confluence_url", "url"),
    "text": ("text",),
    "created_at": ("created_at",),
    "updated_at": ("updated_at",),
}
_CHUNK_NEEDED = frozenset({"page_url", "text"})
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
_QUESTION_NEEDED = frozenset({"question"})
#: What is not measured where a column is missing.
_WITHOUT = {
    "answer": "no answers of production, so no cached answers",
    "page_url": "no pages of answers, so no cached answers",
    "score": "no ratings",
    "user_id": "no users, so no dialogs",
    "created_at": "no times, so no dialogs",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MOST_ID = 500  # characters
_EXAMPLES = 5

T = TypeVar("T")


class _UnusableError(ValueError):
    """A row that cannot be used; the message says why, without the row's own values."""


@dataclass
class Tally:
    """Counts by reason, with the first examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count one more."""
        self.counts[reason] += 1
        known = self.examples.setdefault(reason, [])
        if len(known) < _EXAMPLES and example not in known:
            known.append(example)

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def in_words(self) -> str:
        """Return the reasons for a message, the most frequent first."""
        parts = []
        for reason, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            more = ", ..." if count > len(self.examples[reason]) else ""
            parts.append(f"{count:,}: {reason} ({', '.join(self.examples[reason])}{more})")
        return "; ".join(parts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the same for the snapshot's notes."""
        return [
            {"reason": reason, "count": count, "examples": self.examples[reason]}
            for reason, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        ]


@dataclass
class TableRows:
    """The rows of one table, of however many blocks, and what is odd about them.

    Attributes:
        headers: of its blocks, in the order of the text.
        n_rows: rows read, those left out included.
        left_out: rows that cannot be used.
        unread: optional values that cannot be read and count as absent.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needed: frozenset[str]
    limits: Limits
    headers: list[CopyHeader] = field(default_factory=list)
    n_rows: int = 0
    kept_bytes: int = 0
    with_control: int = 0
    without_zone: int = 0
    same_id: int = 0
    left_out: Tally = field(default_factory=Tally)
    unread: Tally = field(default_factory=Tally)

    def open(self, header: CopyHeader) -> Block:
        """Return the sink of one of its blocks.

        Raises:
            DumpError: a needed column is missing, or its columns are not those of the others.
        """
        found: dict[str, int] = {}
        missing: list[str] = []
        for name, spellings in self.columns.items():
            present = [s for s in spellings if s in header.columns]
            if present:
                found[name] = header.columns.index(present[0])
            elif name in self.needed:
                missing.append(" or ".join(spellings))
        if missing:
            raise DumpError(
                f"line {header.line:,}: table {header.table} has no column {listed(missing)}. "
                f"It has {quoted(', '.join(header.columns), 200)}. "
                "Is it a dump of the assistant's database?"
            )
        for other in self.headers:
            _check_together(other, header)
        self.headers.append(header)
        return Block(self, tuple(found.values()), tuple(found))

    def has(self, name: str) -> bool:
        """Whether any block has the column of this field."""
        return any(set(self.columns[name]) & set(header.columns) for header in self.headers)

    def text(self, row: Mapping[str, str | None], name: str, most: int) -> str | None:
        """Return a text value after checking its size."""
        text = row.get(name)
        if text is None:
            return None
        size = len(text.encode("utf-8"))
        if size > most:
            raise _UnusableError(f"{name} is longer than the {most:,} bytes allowed")
        if "\0" in text:
            raise _UnusableError(f"{name} holds a NUL character")
        self.kept_bytes += size
        if self.kept_bytes > self.limits.kept_bytes:
            raise DumpError(
                f"the texts of {self.name} come to more than {self.limits.kept_bytes:,} bytes."
            )
        if _CONTROL.search(text):
            self.with_control += 1
        return text

    def value(self, row: Mapping[str, str | None], name: str, read: Callable[[str], T]) -> T | None:
        """Return an optional value; one that cannot be read is counted and absent."""
        text = row.get(name)
        if text is None:
            return None
        try:
            return read(text)
        except UnreadError as error:
            self.unread.add(f"{name} {error}", quoted(text, 30))
            return None

    def time(self, row: Mapping[str, str | None], name: str) -> datetime | None:
        """Return a time; one without a zone counts as UTC, and is noted."""
        found = self.value(row, name, moment)
        if found is None:
            return None
        self.without_zone += not found[1]
        return found[0]

    def identifier(self, row: Mapping[str, str | None], name: str) -> int | str | None:
        """Return an id, whatever its type; one of more than 500 characters is none."""
        return self.value(row, name, _identifier)

    def take(self, row: Mapping[str, str | None], line: int) -> None:
        """Take one row, by field name, or leave it out."""
        self.n_rows += 1
        try:
            self.store(row)
        except _UnusableError as error:
            own = row.get("id")
            where = f"line {line:,}" if own is None else f"id {_shown_id(own)}, line {line:,}"
            self.left_out.add(str(error), where)

    def leave_out(self, reason: str, line: int) -> None:
        """Leave out a row that could not be decoded."""
        self.n_rows += 1
        self.left_out.add(reason, f"line {line:,}")

    def store(self, row: Mapping[str, str | None]) -> None:
        """Keep one row, by field name."""
        raise NotImplementedError

    def check_share(self) -> None:
        """Refuse the table if too many of its rows cannot be used.

        Raises:
            DumpError: the share is above the limit; the message lists the reasons.
        """
        if self.left_out.total > self.limits.left_out_share * self.n_rows:
            raise DumpError(
                f"{self.left_out.total:,} of {self.n_rows:,} rows of table {self.name} cannot be "
                f"used, more than the {self.limits.left_out_share:.0%} allowed. "
                f"{self.left_out.in_words()}. Repair them in the source database and make the "
                f"dump again (`pg_dump --encoding=UTF8 ...`), or allow more by "
                "RAG_BENCH_DUMP_LEFT_OUT."
            )

    def warnings(self) -> list[str]:
        """Return what is odd, in words."""
        found = []
        if self.left_out.total:
            found.append(
                f"{self.left_out.total:,} of {self.n_rows:,} rows of {self.name} were left out. "
                f"{self.left_out.in_words()}"
            )
        if self.unread.total:
            found.append(
                f"{self.unread.total:,} values of {self.name} cannot be read and count as absent. "
                f"{self.unread.in_words()}"
            )
        if self.same_id:
            found.append(
                f"{self.same_id:,} rows of {self.name} have the id of another row; all were kept"
            )
        parts = sorted({f"{header.schema}.{header.table}" for header in self.headers})
        if len(parts) > 1:
            shown = listed([quoted(part).strip("'") for part in parts], 8)
            found.append(
                f"{self.n_rows:,} rows of {self.name} come from {len(parts):,} tables: {shown}"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the counts for the snapshot's notes."""
        return {
            "rows": self.n_rows,
            "left_out": self.left_out.to_json(),
            "unread_values": self.unread.to_json(),
        }


@dataclass
class Block:
    """One COPY block: where the wanted columns are, and the table that takes the rows."""

    table: TableRows
    fields: tuple[int, ...]
    names: tuple[str, ...]

    def take(self, values: list[str | None], line: int) -> None:
        """Hand one row to the table."""
        self.table.take(dict(zip(self.names, values, strict=True)), line)

    def leave_out(self, reason: str, line: int) -> None:
        """Note a row that could not be decoded."""
        self.table.leave_out(reason, line)


@dataclass
class ChunkRows(TableRows):
    """The rows of ``chunk``."""

    rows: list[ChunkRow] = field(default_factory=list)
    ids: set[int | str] = field(default_factory=set)

    def store(self, row: Mapping[str, str | None]) -> None:
        url = self.text(row, "page_url", self.limits.url_bytes) or ""
        text = self.text(row, "text", self.limits.text_bytes) or ""
        if is_blank(text):
            raise _UnusableError("its text is blank")
        if is_blank(url):
            raise _UnusableError("it has no page URL")
        if len(self.rows) >= self.limits.chunks:
            raise DumpError(f"table {self.name} has more than {self.limits.chunks:,} rows.")
        number = self.identifier(row, "id")
        if number is not None:
            self.same_id += number in self.ids
            self.ids.add(number)
        self.rows.append(
            ChunkRow(number, url, text, self.time(row, "created_at"), self.time(row, "updated_at"))
        )


@dataclass
class QuestionRows(TableRows):
    """The rows of ``question_answer``."""

    rows: list[QuestionRow] = field(default_factory=list)
    blank: int = 0
    places: dict[int | str, int] = field(default_factory=dict)  # id -> place in ``rows``

    def store(self, row: Mapping[str, str | None]) -> None:
        found = QuestionRow(
            source_id=0,
            question=self.text(row, "question", self.limits.text_bytes) or "",
            answer=self.text(row, "answer", self.limits.text_bytes),
            page_url=self.text(row, "page_url", self.limits.url_bytes),
            score=self.value(row, "score", rating),
            user_id=self.identifier(row, "user_id"),
            stop_point=self.value(row, "stop_point", boolean),
            created_at=self.time(row, "created_at"),
        )
        number = self.identifier(row, "id")
        found = replace(found, source_id=self._free_id(number, found))
        if len(self.rows) >= self.limits.questions:
            raise DumpError(f"table {self.name} has more than {self.limits.questions:,} rows.")
        self.blank += not found.question.strip()
        self.places[found.source_id] = len(self.rows)
        self.rows.append(found)

    def _free_id(self, number: int | str | None, row: QuestionRow) -> int | str:
        """Return the row's id, or one made from it where another row has it: ``7 (2)``."""
        if number is None:
            number = f"row {self.n_rows}" if self.has("id") else self.n_rows
        if number not in self.places:
            return number
        if replace(self.rows[self.places[number]], source_id=0) == row:
            raise _UnusableError("it repeats a row of the same id word for word")
        self.same_id += 1
        again = 2
        while f"{number} ({again})" in self.places:
            again += 1
        return f"{number} ({again})"

    def warnings(self) -> list[str]:
        found = super().warnings()
        if not self.rows:
            found.append("question_answer is empty: no data on real questions")
        if self.blank:
            found.append(f"{self.blank:,} questions are blank")
        for name, consequence in _WITHOUT.items():
            if not self.has(name):
                column = " or ".join(self.columns[name])
                found.append(f"question_answer has no column {column}: {consequence}")
        return found


def new_table(name: str, limits: Limits) -> ChunkRows | QuestionRows:
    """Return the empty collector of one of the two tables."""
    if name == CHUNK:
        return ChunkRows(CHUNK, _CHUNK_COLUMNS, _CHUNK_NEEDED, limits)
    return QuestionRows(QUESTION_ANSWER, _QUESTION_COLUMNS, _QUESTION_NEEDED, limits)


def _check_together(one: CopyHeader, other: CopyHeader) -> None:
    """Refuse two blocks whose rows cannot be of one table of one database."""
    name = f"{other.root[0]}.{other.root[1]}"
    same = (one.schema, one.table) == (other.schema, other.table)
    if one.database != other.database or (same and one.section != other.section):
        raise DumpError(
            f"line {other.line:,}: the data of {quoted(name)} "
            "comes a second time: several databases in one file (pg_dumpall?), or dumps "
            f"joined together. Dump the assistant's database alone: {READABLE_DUMP}."
        )
    a, b = set(one.columns), set(other.columns)
    if a != b and not ((other.inherits or one.inherits) and not same):
        raise DumpError(
            f"line {other.line:,}: {quoted(f'{other.schema}.{other.table}')} has other columns "
            f"than {quoted(f'{one.schema}.{one.table}')} ({listed(sorted(a ^ b))}), though their "
            f"rows are said to be of one table. Make the dump with {READABLE_DUMP}."
        )


def _identifier(text: str) -> int | str:
    if len(text) > _MOST_ID or "\0" in text:
        raise UnreadError("is not an id")
    return identifier(text)


def _shown_id(text: str) -> str:
    return text if text.isdecimal() and len(text) < 20 else quoted(text, 40)
