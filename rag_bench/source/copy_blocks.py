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
from rag_bench.source.copy_text import codec_of, unescape
from rag_bench.source.limits import DEFAULT_LIMITS, READABLE_DUMP, Limits, listed, quoted
from rag_bench.source.sql_scanner import Statement, StatementScanner

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$]*)'
_TABLE = rf"(?:(?P<schema>{_NAME})\s*\.\s*)?(?P<table>{_NAME})"
_COPY = re.compile(
    rf"COPY\s+(?P<binary>BINARY\s+)?{_TABLE}\s*(?:\((?P<columns>.*?)\)\s*)?"
    r"FROM\s+STDIN\b\s*(?P<options>.*)",
    re.I | re.S,
)
_INSERT = re.compile(rf"INSERT\s+INTO\s+(?:ONLY\s+)?{_TABLE}", re.I)
_CREATE_TABLE = re.compile(
    rf"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}", re.I
)
_COLUMN = re.compile(rf"\s*({_NAME})\s*(?:,|$)")
_SET = re.compile(
    r"SET\s+(?:SESSION\s+)?(?P<name>client_encoding|standard_conforming_strings|search_path|NAMES)"
    r"\s*(?:=|\bTO\b|)\s*(?P<value>.*)",
    re.I | re.S,
)

_BEGINS = ("PostgreSQL database dump", "PostgreSQL database cluster dump")
_ENDS = tuple(f"{text} complete" for text in _BEGINS)
_MOST_NAMES = 1000
_VERSION = "Dumped from database version "
_CUT_OFF = "The file was cut off: copy it again, or make it again with pg_dump."


@dataclass(frozen=True)
class CopyHeader:
    """``COPY schema.table (columns) FROM stdin;`` and the line it ends on."""

    schema: str
    table: str
    columns: tuple[str, ...]
    line: int


class RowSink(Protocol):
    """Takes the rows of one block. ``fields`` are the indexes of the columns it wants."""

    fields: tuple[int, ...]

    def take(self, values: list[str | None], line: int) -> None:
        """Take one row's wanted values, unescaped and decoded, and the row's line number."""


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
    declared: set[str] = field(default_factory=set)  # wanted tables created


def _plain_name(name: str) -> str:
    """Fold as PostgreSQL does: quoted names as they are, others to lower case."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()


class CopyReader:
    """Reads one dump text; use once.

    Args:
        wanted: table names to take, in whatever schema.
        open_block: asked at each block of a wanted table for where its rows go.

    """

    def __init__(
        self,
        wanted: Iterable[str],
        open_block: Callable[[CopyHeader], RowSink],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.facts = ScriptFacts()
        self._wanted = frozenset(wanted)
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
            self._note(self.facts.inserted, match)
        elif match := _CREATE_TABLE.match(text):
            self._note(self.facts.declared, match)

    def _note(self, into: set[str], match: re.Match[str]) -> None:
        table = _plain_name(match["table"])
        if table in self._wanted:
            into.add(table)

    def _set(self, name: str, value: str) -> None:
        if name == "standard_conforming_strings":
            self._scanner.standard_strings = value.strip("'").lower() in ("on", "true", "1", "yes")
        elif name == "search_path":
            first = re.match(_NAME, value)
            self._schema = _plain_name(first.group()) if first else "public"
        else:
            self.facts.encoding = value.strip("'\"")[:40]
            self._codec = codec_of(self.facts.encoding)

    def _copy(self, match: re.Match[str], statement: Statement, line: bytes) -> None:
        schema = _plain_name(match["schema"]) if match["schema"] else self._schema
        table = _plain_name(match["table"])
        where = f"line {self.facts.lines:,}: COPY of table {quoted(table)}"
        columns = _columns(match["columns"])
        header = CopyHeader(schema, table, columns, self.facts.lines)
        if statement.cut or not statement.ends_line:
            raise DumpError(f"{where} is not as pg_dump writes it. Make it with {READABLE_DUMP}.")
        self._header, self._sink = header, None
        self._crlf = line.endswith(b"\r\n")
        if len(self.facts.copied) < _MOST_NAMES:
            self.facts.copied.append(f"{schema}.{table}")
        if table not in self._wanted:
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
        for index in self._sink.fields:
            try:
                raw = unescape(fields[index])
                values.append(None if raw is None else raw.decode(self._codec))
            except UnicodeDecodeError as error:
                raise DumpError(
                    f"line {number:,}: {quoted(header.columns[index])} is not valid "
                    f"{quoted(self.facts.encoding)} text ({error.reason}); the dump is damaged or "
                    "its encoding is wrong. Make it with `pg_dump --encoding=UTF8 ...`."
                ) from error
            except ValueError as error:
                raise DumpError(
                    f"line {number:,}: {quoted(header.columns[index])} holds {error}; the dump is "
                    "damaged. Make it again with pg_dump."
                ) from error
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
        names.append(_plain_name(match.group(1)))
        position = match.end()
        if position == len(text):
            return () if text.rstrip().endswith(",") else tuple(names)
    return ()


def foreign_tables(facts: ScriptFacts) -> str:
    """Name the tables that the text does hold, for a message about those that it does not."""
    names = sorted({quoted(name).strip("'") for name in facts.copied})
    return listed(names, 8) if names else "none"
