r"""Take the rows of chosen tables out of a dump's text, reading it line by line, once.

The text is a plain dump or what ``pg_restore --file=-`` writes. Nothing is executed: psql
commands are passed over, statements are split only to find ``COPY table (columns) FROM stdin``,
and a table that nobody asked for is skipped to its ``\.``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from rag_bench.errors import DumpError
from rag_bench.source.dumps.copy_text import codec_of, unescape
from rag_bench.source.dumps.relations import NAME, Relations, plain_name, table_pattern
from rag_bench.source.dumps.sql_scanner import Statement, StatementScanner
from rag_bench.source.limits import DEFAULT_LIMITS, READABLE_DUMP, Limits, listed, quoted

_TABLE = table_pattern()
_COPY = re.compile(
    rf"COPY\s+(?P<binary>BINARY\s+)?{_TABLE}\s*(?:\((?P<columns>.*?)\)\s*)?"
    r"FROM\s+STDIN\b\s*(?P<options>.*)",
    re.I | re.S,
)
_INSERT = re.compile(rf"INSERT\s+INTO\s+(?:ONLY\s+)?{_TABLE}", re.I)
_COLUMN = re.compile(rf"\s*({NAME})\s*(?:,|$)")
_SET = re.compile(
    r"SET\s+(?:SESSION\s+)?(?P<name>client_encoding|standard_conforming_strings|search_path|NAMES)"
    r"\s*(?:=|\bTO\b|)\s*(?P<value>.*)",
    re.I | re.S,
)

_BEGINS = ("PostgreSQL database dump", "PostgreSQL database cluster dump")
_ENDS = tuple(f"{text} complete" for text in _BEGINS)
_CONNECT = ("\\connect", "\\c ")
_MOST_NAMES = 1000
_VERSION = "Dumped from database version "
_CUT_OFF = "The file was cut off: copy it again, or make it again with pg_dump."


@dataclass(frozen=True)
class CopyHeader:
    r"""``COPY schema.table (columns) FROM stdin;`` and the line it ends on.

    Attributes:
        root: schema and name of the wanted table whose rows these are: the table itself, or the
            one that it is a partition or child of.
        inherits: it is a child by inheritance, which may have more columns.
        section: number of the dump in the text, if several were joined.
        database: number of the ``\connect`` before it.
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    line: int
    root: tuple[str, str] = ("", "")
    inherits: bool = False
    section: int = 0
    database: int = 0


class RowSink(Protocol):
    """Takes the rows of one block. ``fields`` are the indexes of the columns it wants."""

    fields: tuple[int, ...]

    def take(self, values: list[str | None], line: int) -> None:
        """Take one row's wanted values, unescaped and decoded, and the row's line number."""

    def leave_out(self, reason: str, line: int) -> None:
        """Note that the row on this line cannot be read, and why."""


@dataclass
class ScriptFacts:
    """What the text said about itself."""

    lines: int = 0
    server_version: str | None = None
    encoding: str = "UTF8"
    begun: int = 0  # "PostgreSQL database dump" headers
    ended: int = 0  # and their trailers
    copied: list[str] = field(default_factory=list)  # tables with a COPY block, the first 1,000
    inserted: set[str] = field(default_factory=set)  # wanted tables filled by INSERT
    relations: Relations = field(default_factory=Relations)  # tables declared, and their parents
    databases: int = 0  # psql's \connect


class CopyReader:
    """Reads one dump text; use once.

    Args:
        wanted: table names to take, in whatever schema, with the rows of their partitions and
            children.
        never: names of tables that are not taken, whatever they are said to be partitions of.
        open_block: asked at each block of a wanted table for where its rows go.

    """

    def __init__(
        self,
        wanted: Iterable[str],
        open_block: Callable[[CopyHeader], RowSink],
        limits: Limits = DEFAULT_LIMITS,
        never: Iterable[str] = (),
    ) -> None:
        self.facts = ScriptFacts()
        self._wanted = frozenset(wanted)
        self._never = frozenset(never)
        self._skipped: set[tuple[str, str]] = set()  # tables whose rows were passed over
        self._open_block = open_block
        self._limits = limits
        self._scanner = StatementScanner(self._aside)
        self._codec = "utf-8"
        self._schema = "public"  # of an unqualified name
        self._header: CopyHeader | None = None  # the block we are in
        self._sink: RowSink | None = None  # where its rows go; None: skipped
        self._crlf = False
        self._restrict_keys: list[str] = []

    def read(self, lines: Iterable[bytes]) -> ScriptFacts:
        """Read the whole text; ``lines`` keep their line ends, a piece without one goes on.

        Raises:
            DumpError: the text is cut off, damaged, or holds a wanted table in a way that
                cannot be read. The message names the line.

        """
        facts = self.facts
        whole = True
        for line in lines:
            continued, whole = not whole, line.endswith(b"\n")
            if not continued:
                facts.lines += 1
            if b"\0" in line:
                raise DumpError(
                    f"line {facts.lines:,}: binary data (a NUL byte) in the text; the dump is "
                    "damaged. Make it again with pg_dump."
                )
            if self._header is not None and self._sink is None:
                if whole and not continued:
                    self._skip(line, self._header)
            elif continued:
                raise DumpError(
                    f"line {facts.lines:,} is longer than {self._limits.line_bytes:,} bytes; "
                    "that is no dump of a help desk's texts."
                )
            elif self._sink is not None:
                self._row(line)
            else:
                for statement in self._scanner.feed(line, facts.lines):
                    self._statement(statement, line)
        self._check_end()
        self._check_skipped()
        return facts

    def _skip(self, line: bytes, header: CopyHeader) -> None:
        """Pass over a row of another table, but notice one that cannot be its row.

        A lost end marker would otherwise hide the tables that follow.
        """
        if line.rstrip(b"\r\n") == rb"\.":
            self._header = None
        elif header.columns and line.count(b"\t") + 1 != len(header.columns):
            raise self._field_count(line.count(b"\t") + 1, header)

    def _field_count(self, found: int, header: CopyHeader) -> DumpError:
        return DumpError(
            f"line {self.facts.lines:,}: {found} fields where table {quoted(header.table)} has "
            f"{len(header.columns)} columns; the dump is damaged. Make it again with pg_dump."
        )

    def _check_end(self) -> None:
        facts = self.facts
        if self._header is not None:
            raise DumpError(
                f"the data of table {quoted(self._header.table)} begins on line "
                f"{self._header.line:,} and has no end. {_CUT_OFF}"
            )
        if self._scanner.open_since is not None:
            raise DumpError(
                f"the statement on line {self._scanner.open_since:,} has no end. {_CUT_OFF}"
            )
        # pg_dump of 2025 and later closes its text with the key that \restrict opened it with.
        if facts.begun > facts.ended or self._restrict_keys:
            raise DumpError(
                f'its closing line ("PostgreSQL database dump complete") is missing. {_CUT_OFF}'
            )

    def _check_skipped(self) -> None:
        """Refuse a text that says only behind a table's rows that they belong to a wanted one."""
        for table in sorted(self._skipped):
            if self._root(*table) is not None:
                raise DumpError(
                    f"the rows of {quoted('.'.join(table))} come before the statement that says "
                    f"what it is a partition of. Make the dump with {READABLE_DUMP}."
                )

    def _root(self, schema: str, table: str) -> tuple[str, str] | None:
        root = self.facts.relations.root((schema, table), self._wanted)
        if root is not None and table in self._never:
            raise DumpError(
                f"table {quoted(f'{schema}.{table}')} is said to be a part of "
                f"{quoted('.'.join(root))}. Its rows are never read; the dump is not of the "
                "assistant's database."
            )
        return root

    def _aside(self, text: str) -> None:
        if text in _BEGINS:
            self.facts.begun += 1
        elif text in _ENDS:
            self.facts.ended += 1
        elif text.startswith("\\restrict "):
            self._restrict_keys.append(text.removeprefix("\\restrict "))
        elif text.startswith("\\unrestrict "):
            key = text.removeprefix("\\unrestrict ")
            self._restrict_keys = [open_key for open_key in self._restrict_keys if open_key != key]
        elif text.startswith(_CONNECT):
            self.facts.databases += 1
        elif text.startswith(_VERSION) and self.facts.server_version is None:
            self.facts.server_version = text[len(_VERSION) :][:80]

    def _statement(self, statement: Statement, line: bytes) -> None:
        """Look at a finished statement; ``line`` is the one it ends on."""
        text = statement.text
        if match := _COPY.fullmatch(text):
            self._copy(match, statement, line)
        elif match := _SET.fullmatch(text):
            self._set(match["name"].lower(), match["value"].strip())
        elif match := _INSERT.match(text):
            root = self._root(self._schema_of(match), plain_name(match["table"]))
            if root is not None:
                self.facts.inserted.add(root[1])
        else:
            self.facts.relations.note(text, self._schema)

    def _schema_of(self, match: re.Match[str]) -> str:
        return plain_name(match["schema"]) if match["schema"] else self._schema

    def _set(self, name: str, value: str) -> None:
        if name == "standard_conforming_strings":
            self._scanner.standard_strings = value.strip("'").lower() in ("on", "true", "1", "yes")
        elif name == "search_path":
            first = re.match(NAME, value)
            self._schema = plain_name(first.group()) if first else "public"
        else:
            self.facts.encoding = value.strip("'\"")[:40]
            self._codec = codec_of(self.facts.encoding)

    def _copy(self, match: re.Match[str], statement: Statement, line: bytes) -> None:
        schema, table = self._schema_of(match), plain_name(match["table"])
        root = self._root(schema, table)
        where = f"line {self.facts.lines:,}: COPY of table {quoted(table)}"
        columns = _columns(match["columns"])
        header = CopyHeader(
            schema,
            table,
            columns,
            self.facts.lines,
            root=root or ("", ""),
            inherits=root is not None and self.facts.relations.inherits((schema, table), root),
            section=self.facts.begun,
            database=self.facts.databases,
        )
        if statement.cut or not statement.ends_line:
            raise DumpError(f"{where} is not as pg_dump writes it. Make it with {READABLE_DUMP}.")
        self._header, self._sink = header, None
        self._crlf = line.endswith(b"\r\n")
        if len(self.facts.copied) < _MOST_NAMES:
            self.facts.copied.append(f"{schema}.{table}")
        if root is None:
            if len(self._skipped) < _MOST_NAMES:
                self._skipped.add((schema, table))
            if match["options"].strip():  # CSV, another delimiter: rows are not counted
                self._header = CopyHeader(schema, table, (), self.facts.lines)
            return
        if match["binary"] or match["options"].strip():
            raise DumpError(
                f"{where} has options ({quoted(match['options'].strip(), 40)}); only COPY's text "
                f"format is read. Make the dump with {READABLE_DUMP}."
            )
        if not columns:
            raise DumpError(
                f"{where} does not name its columns. Make the dump with {READABLE_DUMP}."
            )
        self._sink = self._open_block(header)

    def _row(self, line: bytes) -> None:
        assert self._header is not None
        assert self._sink is not None
        line = self._without_end(line)
        if line == rb"\.":
            self._header = self._sink = None
            return
        number, header = self.facts.lines, self._header
        fields = line.split(b"\t")
        if len(fields) != len(header.columns):
            raise self._field_count(len(fields), header)
        values: list[str | None] = []
        unreadable = None
        for index in self._sink.fields:
            try:
                raw = unescape(fields[index])
                values.append(None if raw is None else raw.decode(self._codec))
            except UnicodeDecodeError:
                unreadable = unreadable or (
                    f"{header.columns[index]} is not valid {quoted(self.facts.encoding)} text"
                )
            except ValueError as error:
                raise DumpError(
                    f"line {number:,}: {quoted(header.columns[index])} holds {error}; the dump is "
                    "damaged. Make it again with pg_dump."
                ) from error
        if unreadable is not None:
            self._sink.leave_out(unreadable, number)
        else:
            self._sink.take(values, number)

    def _without_end(self, line: bytes) -> bytes:
        """Drop the line end, which must be the one that the COPY line has."""
        if not line.endswith(b"\n"):
            return line
        line = line[:-1]
        if self._crlf and line.endswith(b"\r"):
            line = line[:-1]
        elif self._crlf or b"\r" in line:
            raise DumpError(
                f"line {self.facts.lines:,}: Windows and Unix line ends are mixed; the file was "
                "changed after pg_dump wrote it. Copy it again in binary mode."
            )
        return line


def _columns(text: str | None) -> tuple[str, ...]:
    """Split a column list; an unreadable one is empty."""
    if text is None:
        return ()
    names: list[str] = []
    position = 0
    while match := _COLUMN.match(text, position):
        names.append(plain_name(match.group(1)))
        position = match.end()
        if position == len(text):
            return () if text.rstrip().endswith(",") else tuple(names)
    return ()


def foreign_tables(facts: ScriptFacts) -> str:
    """Name the tables that the text does hold, for a message about those that it does not."""
    names = sorted({quoted(name).strip("'") for name in facts.copied})
    return listed(names, 8) if names else "none"
