"""Which tables of a dump are partitions of another or inherit from it, by the dump's own text.

``CREATE TABLE ... PARTITION OF``, ``... INHERITS (...)``, ``ALTER TABLE ... ATTACH PARTITION`` and
``... INHERIT``, over any number of levels. Nothing is executed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from rag_bench.errors import DumpError
from rag_bench.source.limits import quoted

NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$]*)'


def table_pattern(prefix: str = "") -> str:
    """Return the pattern of a table's name, with its groups named after ``prefix``."""
    return rf"(?:(?P<{prefix}schema>{NAME})\s*\.\s*)?(?P<{prefix}table>{NAME})"


_CREATE = re.compile(
    rf"CREATE\s+(?:(?P<foreign>FOREIGN)\s+)?(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"{table_pattern()}",
    re.I,
)
_PARTITION_OF = re.compile(rf"\s*PARTITION\s+OF\s+{table_pattern()}", re.I)
_INHERITS = re.compile(r"\s*INHERITS\s*\((?P<parents>[^()]*)\)", re.I)
_PARTITION_BY = re.compile(r"\bPARTITION\s+BY\b", re.I)
_ALTER = rf"ALTER\s+(?:FOREIGN\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?{table_pattern()}\s*"
_ATTACH = re.compile(rf"{_ALTER}\bATTACH\s+PARTITION\s+{table_pattern('other_')}", re.I)
_INHERIT = re.compile(rf"{_ALTER}\bINHERIT\s+{table_pattern('other_')}", re.I)
_ONE_TABLE = re.compile(rf"\s*{table_pattern()}\s*(?:,|$)")
# What may hold a parenthesis that closes nothing.
_PIECE = re.compile(r"[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|\"(?:\"\"|[^\"])*\"|\(|\)", re.S)

_MOST = 100_000  # tables; a help desk has a dozen

Table = tuple[str, str]
"""Schema and name."""


def plain_name(name: str) -> str:
    """Fold as PostgreSQL does: quoted names as they are, others to lower case."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()


@dataclass
class Relations:
    """The tables that a dump's text declares, and the parents of each.

    Attributes:
        declared: every table that the text creates.
        partitioned: those without rows of their own.
        parents: child -> its parents, with whether it is a partition (else it inherits).
    """

    declared: set[Table] = field(default_factory=set)
    partitioned: set[Table] = field(default_factory=set)
    parents: dict[Table, dict[Table, bool]] = field(default_factory=dict)

    def note(self, text: str, schema: str) -> bool:
        """Look at a statement; ``schema`` is that of names without one. Whether it was ours.

        Raises:
            DumpError: more tables than any database of an assistant has.
        """
        if match := _CREATE.match(text):
            self._created(match, text, schema)
        elif match := _ATTACH.match(text):
            self._link(_of(match, schema, "other_"), _of(match, schema), partition=True)
        elif match := _INHERIT.match(text):
            self._link(_of(match, schema), _of(match, schema, "other_"), partition=False)
        else:
            return False
        if len(self.declared) > _MOST or len(self.parents) > _MOST:
            raise DumpError(f"the dump declares more than {_MOST:,} tables.")
        return True

    def _created(self, match: re.Match[str], text: str, schema: str) -> None:
        table = _of(match, schema)
        self.declared.add(table)
        rest = text[match.end() :]
        if found := _PARTITION_OF.match(rest):
            self._link(table, _of(found, schema), partition=True)
            tail = rest
        else:
            tail = _after_columns(rest)
        if found := _INHERITS.match(tail):
            for parent in _tables(found["parents"], schema):
                self._link(table, parent, partition=False)
        if _PARTITION_BY.search(_PIECE.sub(" ", tail)):
            self.partitioned.add(table)

    def _link(self, child: Table, parent: Table, *, partition: bool) -> None:
        self.parents.setdefault(child, {})[parent] = partition

    def root(self, table: Table, wanted: Collection[str]) -> Table | None:
        """Return the topmost table of a wanted name that this one is, or belongs to.

        Raises:
            DumpError: it belongs to several.
        """
        found = {t for t in self._ancestors(table) if t[1] in wanted}
        # One that belongs to another of them is not the top; in a circle none is.
        tops = {t for t in found if not (self._ancestors(t) - {t}) & found}
        if found and len(tops) != 1:
            named = " and ".join(sorted(quoted(".".join(top)) for top in tops or found))
            raise DumpError(
                f"table {quoted('.'.join(table))} belongs to {named}; it is unclear whose "
                "its rows are."
            )
        return next(iter(tops), None)

    def inherits(self, table: Table, root: Table) -> bool:
        """Whether rows come to ``root`` by inheritance, so that there may be more columns."""
        return any(
            not partition
            for child in self._ancestors(table) - {root}
            for partition in self.parents.get(child, {}).values()
        )

    def children(self, root: Table) -> list[Table]:
        """Return all tables below ``root`` that can have rows of their own, by name."""
        return sorted(
            table
            for table in self.parents
            if table != root and table not in self.partitioned and root in self._ancestors(table)
        )

    def _ancestors(self, table: Table) -> set[Table]:
        """Return the table and all above it; a circle, which no database has, ends."""
        found, left = {table}, [table]
        while left:
            for parent in self.parents.get(left.pop(), {}):
                if parent not in found:
                    found.add(parent)
                    left.append(parent)
        return found


def _of(match: re.Match[str], schema: str, prefix: str = "") -> Table:
    own = match[f"{prefix}schema"]
    return plain_name(own) if own else schema, plain_name(match[f"{prefix}table"])


def _tables(text: str, schema: str) -> Iterator[Table]:
    position = 0
    while position < len(text) and (match := _ONE_TABLE.match(text, position)):
        yield _of(match, schema)
        position = match.end()


def _after_columns(text: str) -> str:
    """Return what follows the parenthesis in which a table's columns are declared."""
    depth = 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        if piece not in "()":
            continue
        depth += 1 if piece == "(" else -1
        if depth <= 0:
            return text[match.end() :]
    return ""
