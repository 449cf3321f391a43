"""Read a database dump into rows, checked, without executing any of it.

A plain dump streams through the parser; an archive is unpacked by pg_restore into the same
parser. Whatever is wrong with the file ends as one DumpError, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rag_bench.errors import DumpError
from rag_bench.source.dumps.archive import read_archive
from rag_bench.source.dumps.copy_blocks import CopyHeader, CopyReader, ScriptFacts, foreign_tables
from rag_bench.source.dumps.formats import DumpFormat
from rag_bench.source.dumps.rows import ChunkRow, ParsedDump, rating_scale, twin_notes
from rag_bench.source.dumps.tables import (
    CHUNK,
    PRIVATE,
    QUESTION_ANSWER,
    Block,
    ChunkRows,
    QuestionRows,
    new_table,
)
from rag_bench.source.limits import (
    DEFAULT_LIMITS,
    READABLE_DUMP,
    WITH_PARTITIONS,
    Limits,
    listed,
    quoted,
)
from rag_bench.source.source_file import SourceFile

_BOM = b"\xef\xbb\xbf"


def read_dump(
    path: Path, *, schema: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> ParsedDump:
    """Read and check a dump: plain SQL, custom or tar archive, each possibly gzipped.

    Args:
        path: the file; its name and suffix do not matter.
        schema: which schema's tables to take where the dump has them in several; default:
            ``public``, or the only one.
        limits: bounds on what the file may hold.

    Raises:
        DumpError: the file cannot be taken. The message starts with the path and says what is
            wrong and what to do.

    """
    try:
        with SourceFile(path, limits) as source:
            tables = _Tables(schema, limits)
            identified = source.identified
            unpacked_by_tool: list[str] = []
            if identified.format is DumpFormat.PLAIN:
                facts = tables.read(_lines(source, limits))
            else:
                facts, unpacked_by_tool = read_archive(source, tables.read, limits)
            chunks, questions = tables.choose(facts)
            rows, warnings = _check(chunks, questions, facts)
            sha256, size = source.finish()
    except DumpError as error:
        raise DumpError(f"{path}: {error}") from error.__cause__
    return ParsedDump(
        name=path.name,
        format=str(identified.format),
        gzipped=source.gzipped,
        archive_version=identified.archive_version,
        server_version=facts.server_version,
        sha256=sha256,
        size_bytes=size,
        chunks=rows,
        questions=questions.rows,
        tables={table.name: table.to_json() for table in (chunks, questions)},
        warnings=[*warnings, *(f"pg_restore: {quoted(text, 200)}" for text in unpacked_by_tool)],
    )


def _lines(source: SourceFile, limits: Limits) -> Iterator[bytes]:
    first = True
    while line := source.stream.readline(limits.line_bytes):
        if first:  # an editor's mark, not SQL
            line, first = line.removeprefix(_BOM), False
            if not line:
                continue
        yield line


class _Tables:
    """The rows of the two tables, by schema, as their blocks come by."""

    def __init__(self, schema: str | None, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._found: dict[str, dict[str, ChunkRows | QuestionRows]] = {
            CHUNK: {},
            QUESTION_ANSWER: {},
        }

    def read(self, lines: Iterable[bytes]) -> ScriptFacts:
        """Parse a dump's text."""
        return CopyReader(self._found, self._open, self._limits, PRIVATE).read(lines)

    def _open(self, header: CopyHeader) -> Block:
        schema, table = header.root
        of_table = self._found[table]
        if schema not in of_table:
            of_table[schema] = new_table(table, self._limits)
        return of_table[schema].open(header)

    def choose(self, facts: ScriptFacts) -> tuple[ChunkRows, QuestionRows]:
        """Return the two tables' rows.

        Raises:
            DumpError: one is missing, or it is unclear which is meant.

        """
        # First what makes a dump by the usual command useless, whichever table it is.
        for table, found in self._found.items():
            if not found and table not in facts.inserted:
                _refuse_partitioned(table, facts)
        chunks, questions = self._one(CHUNK, facts), self._one(QUESTION_ANSWER, facts)
        assert isinstance(chunks, ChunkRows)
        assert isinstance(questions, QuestionRows)
        return chunks, questions

    def _one(self, table: str, facts: ScriptFacts) -> ChunkRows | QuestionRows:
        found = self._found[table]
        if table in facts.inserted:
            raise DumpError(
                f"the rows of table {table} are INSERT statements (pg_dump --inserts), and "
                f"statements are not executed here. Make a dump with {READABLE_DUMP}."
            )
        if not found:
            if any(name == table for _, name in facts.relations.declared):
                raise DumpError(
                    f"table {table} is declared but its data is not in the dump (made with "
                    f"--schema-only or --exclude-table-data?). Make one with {READABLE_DUMP}."
                )
            parts = [name for name in facts.copied if name.rpartition(".")[2].startswith(table)]
            raise DumpError(
                f"there is no data of table {table}. Tables with data: {foreign_tables(facts)}. "
                + (
                    "Some may be its partitions, which a dump made with --data-only does not say. "
                    if parts
                    else ""
                )
                + f"Is it a dump of the assistant's database? Make one with {READABLE_DUMP}."
            )
        if self._schema is not None and self._schema not in found:
            raise DumpError(
                f"schema {quoted(self._schema)} has no data of table {table}; "
                f"found in: {listed([quoted(name) for name in sorted(found)])}."
            )
        if self._schema is not None:
            return found[self._schema]
        if len(found) > 1 and "public" not in found:
            raise DumpError(
                f"table {table} is in several schemas "
                f"({listed([quoted(name) for name in sorted(found)])}) and it is unclear which is "
                "meant. Dump one of them: `pg_dump --schema=NAME -Fc -Z6 -f FILE.dump DATABASE`."
            )
        return found["public"] if "public" in found else next(iter(found.values()))


def _refuse_partitioned(table: str, facts: ScriptFacts) -> None:
    """Say which command takes a partitioned table's rows along, if the dump has none of them."""
    if any(name == table for _, name in facts.relations.partitioned):
        raise DumpError(
            f"table {table} is partitioned: its rows are in its partitions, and the dump has none "
            f"of them (`pg_dump -t {table}` takes the parent alone). Make one with "
            f"{WITH_PARTITIONS}."
        )


def _without_rows(rows: ChunkRows | QuestionRows, facts: ScriptFacts) -> list[str]:
    """Return a warning if partitions or children are declared and the dump has no rows of them."""
    present = {(header.schema, header.table) for header in rows.headers}
    root = rows.headers[0].root
    if root in present and root in facts.relations.partitioned:
        return []  # all rows were written as the parent's (--load-via-partition-root)
    absent = [
        quoted(".".join(child)).strip("'")
        for child in facts.relations.children(root)
        if child not in present and child in facts.relations.declared
    ]
    if not absent:
        return []
    return [
        f"{len(absent):,} tables that belong to {rows.name} are in the dump without their rows: "
        f"{listed(absent, 8)}"
    ]


def _check(
    chunks: ChunkRows, questions: QuestionRows, facts: ScriptFacts
) -> tuple[list[ChunkRow], list[str]]:
    """Check what only the whole table can tell; return the distinct chunks and the warnings."""
    warnings: list[str] = []
    if not chunks.n_rows:
        raise DumpError("table chunk is empty: there is no knowledge base to measure.")
    for table in (chunks, questions):
        table.check_share()
    distinct: dict[tuple[str, str], ChunkRow] = {}
    for row in chunks.rows:
        distinct.setdefault((row.page_url, row.text), row)
    if repeats := len(chunks.rows) - len(distinct):
        warnings.append(
            f"{repeats:,} of {len(chunks.rows):,} chunks repeat another's page and text; "
            "the first of each was kept"
        )
    warnings += twin_notes(list(distinct.values()))
    if questions.has("score") and questions.rows and (said := rating_scale(questions.rows).note):
        warnings.append(said)
    for table in (chunks, questions):
        name, columns = table.name, {c for header in table.headers for c in header.columns}
        warnings += table.warnings() + _without_rows(table, facts)
        if "embedding" in columns:
            warnings.append(
                f"{name}.embedding was ignored: nobody knows which model and text made it"
            )
        if {"confluence_url", "url"} <= columns:
            warnings.append(f"{name} has confluence_url and url; confluence_url was taken")
        if table.with_control:
            warnings.append(f"{table.with_control:,} texts of {name} hold control characters")
        if table.without_zone:
            warnings.append(
                f"{table.without_zone:,} timestamps of {name} have no zone and were taken as UTC"
            )
    schema, other = (table.headers[0].root[0] for table in (chunks, questions))
    if schema != other:
        warnings.append(
            f"chunk was taken from schema {quoted(schema)}, question_answer from {quoted(other)}"
        )
    return list(distinct.values()), warnings
