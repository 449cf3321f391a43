"""Rows of a CSV file, as programs and spreadsheets write them.

Separators ``,`` ``;`` tab ``|``, told by the header; a line ``sep=;`` before it; quoted line ends;
lists and numbers as pandas and Excel print them.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError

_SEPARATORS = ",;\t|"
_MOST_CHARACTERS = 64 * 1024 * 1024  # of one cell
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "show", "да", "истина", "показать"), True),
    **dict.fromkeys(("false", "0", "no", "hide", "нет", "ложь", "скрыть"), False),
}


def table_rows(
    path: Path, text: str, known: Collection[str], needed: str = "question"
) -> Iterator[tuple[str, list[Any]]]:
    """Yield ``(place, cells)`` of a table's lines, the header first; blank lines are left out.

    ``known``: names of fields in lower case; the separator is the one that finds most of them.
    ``needed``: what one of them has to be, in words.

    Raises:
        RagBenchError: not a table with a header of known names; a quote that never ends; a line
            with more cells than the header.
    """
    table = Table.of(text, known, str(path))
    best = table.separator
    if not table.n_known:
        raise RagBenchError(
            f"{path} is neither a JSON array of objects, JSONL nor a table (CSV) whose first line "
            f"names its columns, one of them {needed}."
        )
    width = 0
    for where, cells in table.cells(str(path)):
        width = width or len(cells)
        if len(cells) > width:
            if any(cell.strip() for cell in cells[width:]):
                raise RagBenchError(
                    f"{where}: {len(cells)} cells under {width} names; a text with the separator "
                    f"{best!r} inside must stand in quotes."
                )
            cells = cells[:width]  # spreadsheets write empty cells to the right
        yield where, list(cells)


@dataclass(frozen=True)
class Table:
    """A table's text, and how it is read.

    Attributes:
        text: with line ends as they are read here, without a line that names the separator.
        separator: of its cells.
        skipped: lines before the text.
        n_known: names of its header that are known.
    """

    text: str
    separator: str
    skipped: int
    n_known: int

    @classmethod
    def of(cls, text: str, known: Collection[str], name: str = "the file") -> Table:
        """Return it with the separator that finds most names of its header among the ``known``.

        Raises:
            RagBenchError: its first line is no CSV.
        """
        # Line ends inside of cells are kept as they are read here.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        skipped = 0
        if announced := re.match(r"sep=(.)\n", text, re.IGNORECASE):
            text, skipped = text[announced.end() :], 1

        def found(separator: str) -> tuple[int, int]:
            header = next(_cells(name, text, separator, skipped), ("", []))[1]
            names = {name.strip().casefold().replace(" ", "_") for name in header}
            return len(names & set(known)), len(header)

        best = max(announced[1] if announced else _SEPARATORS, key=found)
        return cls(text, best, skipped, found(best)[0])

    def cells(self, path: str) -> Iterator[tuple[str, list[str]]]:
        """Yield ``(place, cells)`` of its lines, the header first; blank lines are left out.

        Raises:
            RagBenchError: a quote that never ends.
        """
        return _cells(path, self.text, self.separator, self.skipped)


def _cells(path: str, text: str, separator: str, skipped: int) -> Iterator[tuple[str, list[str]]]:
    csv.field_size_limit(_MOST_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = skipped + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RagBenchError(
                f"{path}:{line}: not CSV: {error}. Inside of quotes a quote is written twice."
            ) from None
        where, line = f"{path}:{line}", skipped + reader.line_num + 1
        if any(cell.strip() for cell in cells):
            yield where, cells


def cell_list(where: str, name: str, cell: str) -> Any:
    """Return a cell that may hold a list or an object, as JSON or as Python prints one.

    Raises:
        RagBenchError: it begins as one and cannot be read.
    """
    if not re.match(r"\s*(\[\s*(['\"\]{]|None)|\{\s*['\"])", cell):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        pass
    try:
        return ast.literal_eval(_as_literal(cell))
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        raise RagBenchError(
            f"{where}: {name} begins like a list and cannot be read as one; export the file as "
            "JSONL."
        ) from None


def _as_literal(cell: str) -> str:
    """Return what NumPy and pandas print as a list that Python reads.

    ``array(['a'], dtype=object)`` is a list, and ``['a' 'b']`` has two texts.
    """
    parts: list[str] = []
    skipping = after_text = False
    for token in tokenize.generate_tokens(io.StringIO(cell.strip()).readline):
        word = token.string
        if token.type in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            continue
        if word in ("array", "(", ")"):  # texts are tokens with their quotes
            skipping = skipping and word != ")"
            continue
        if word == "dtype":
            skipping = True
            parts.pop()  # the comma before
        if skipping:
            continue
        if token.type == tokenize.STRING and after_text:
            parts.append(",")
        after_text = token.type == tokenize.STRING
        parts.append(word)
    return " ".join(parts)


def cell_number(cell: str) -> Any:
    """Return a number where the cell is one (``4,5`` too), else the cell."""
    text = cell.strip()
    if not _NUMBER.fullmatch(text):
        return cell
    value = float(text.replace(",", "."))
    return int(value) if value.is_integer() else value


def cell_truth(cell: str) -> Any:
    """Return true or false where the cell says so, in a word or as 1 or 0, else the cell."""
    number = cell_number(cell)
    word = str(number).casefold() if not isinstance(number, str) else cell.strip().casefold()
    return _TRUTH.get(word, cell)
