"""Where in a CSV file a cell begins: line and column, for those who have to mend it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from rag_bench.source.dumps.table_rows import Table


class TablePlaces:
    """Places of the cells of one table; ``known`` as of `table_rows`."""

    def __init__(self, text: str, known: Collection[str]) -> None:
        self._table = Table.of(text, known)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line of the text begins."""
        starts = [0]
        at = self._table.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self._table.text.find("\n", at + 1)
        return starts

    @cached_property
    def names(self) -> list[str]:
        """The header's cells."""
        return next(self._table.cells("the file"), ("", []))[1]

    def cells_at(self, line: int) -> list[str]:
        """Return the cells of the row that begins at a line; nothing: none does."""
        rows = self._table.cells("the file")
        return next((cells for where, cells in rows if where.endswith(f":{line}")), [])

    def of(self, line: int, number: int) -> tuple[int, int]:
        """Return line and column, from 1, at which a cell begins.

        Args:
            line: at which its row begins, as `table_rows` tells it.
            number: of the cell, from 0; one that the row has not begins at the row's end.
        """
        text, separator = self._table.text, self._table.separator
        begin = at = self._starts[line - 1 - self._table.skipped]
        while number and at < len(text):
            at = _end_of_cell(text, at, separator)
            if text[at : at + 1] != separator:
                break
            number -= 1
            at += 1
        lines = text.count("\n", begin, at)
        return line + lines, at - (text.rfind("\n", 0, at) + 1) + 1


def _end_of_cell(text: str, at: int, separator: str) -> int:
    """Return where the cell ends that begins at ``at``: at a separator, a line's end or the text's.

    Only a quote at its beginning quotes it; one inside of such a cell is written twice.
    """
    if text[at : at + 1] == '"':
        at += 1
        while at < len(text):
            if text[at] != '"':
                at += 1
            elif text[at + 1 : at + 2] == '"':
                at += 2
            else:
                at += 1
                break
    while at < len(text) and text[at] not in (separator, "\n"):
        at += 1
    return at
