"""From an error in a file of questions to its place: line, column, and the field that it is about.

Errors of reading say the file and the row, and name the field where one is wrong. Where in the row
it stands is looked for here, once there is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.dumps.table_places import TablePlaces
from rag_bench.source.question_files import dataset_fields
from rag_bench.source.question_files.json_rows import plain_name
from rag_bench.source.question_files.row_files import decoded
from rag_bench.strict_json.lines import column_of
from rag_bench.strict_json.places import Place, pointer

_AT = re.compile(
    r"^(?P<file>.+?)(?::(?P<line>\d+)|, item (?P<item>\d+))?(?: \([^)]*\))?: (?P<said>.*)", re.S
)
_COLUMN = re.compile(r" \(column (\d+)\)")
_QUOTED = re.compile(r"'([^']+)'")
_WORD = re.compile(r"\w+")


def place_of(said: str, files: Sequence[tuple[Path, bytes]]) -> Place:
    """Return where the error is that these words tell; ``files``: what errors call each, and its
    bytes.
    """
    found = _AT.match(said)
    if found is None:
        return Place(said)
    content = next((content for path, content in files if str(path) == found["file"]), None)
    if found["line"] is None and found["item"] is None and content is None:
        return Place(said)
    detail = _COLUMN.sub("", found["said"])
    line = int(found["line"]) if found["line"] else None
    item = int(found["item"]) if found["item"] else None
    if (column := _COLUMN.search(found["said"])) is not None:
        return Place(detail, line=line, column=int(column[1]), file=found["file"])
    whole = Place(detail, line=line, column=1 if line else None, file=found["file"])
    if content is None:
        return whole
    try:
        text, _ = decoded(Path(found["file"]), content)
        if text.lstrip()[:1] in ("[", "{"):
            return _in_json(text, whole, item)
        return whole if line is None else _in_table(text, whole, line)
    except (RagBenchError, ValueError, RecursionError, IndexError):  # what is told stands anyway
        return whole


def _in_json(text: str, place: Place, item: int | None) -> Place:
    """Return the place in a list of objects, in one object, or in a line of JSONL."""
    path: list[int | str] = []
    if place.line is not None:
        text = text.split("\n")[place.line - 1]
    value = json.loads(text)
    if item is not None:
        value, path = value[item - 1], [item - 1]
    if not isinstance(value, dict):
        return place
    for inner in ("datasource_item", "item"):  # of OpenAI's Evals
        if isinstance(value.get(inner), dict):
            path, value = [*path, inner], value[inner]
    field = _field(place.detail, list(value))
    if field is not None:
        path = [*path, field]
    elif held := _holding(place.detail, value):
        field, path = str(held[0]), [*path, *held]
    before = text[: column_of(text, path) - 1]
    return Place(
        place.detail,
        pointer(path) if path else None,
        line=before.count("\n") + (place.line or 1),
        column=len(before) - (before.rfind("\n") + 1) + 1,
        file=place.file,
        field=field,
    )


def _in_table(text: str, place: Place, line: int) -> Place:
    table = TablePlaces(text, dataset_fields.KNOWN)
    field = _field(place.detail, table.names)
    if field is None:
        cells = table.cells_at(line)
        named = _holding(place.detail, dict(zip(table.names, cells, strict=False)))
        if not named:
            return place
        field = str(named[0])
    line, column = table.of(line, table.names.index(field))
    return Place(place.detail, line=line, column=column, file=place.file, field=field.strip())


def _field(said: str, names: Sequence[str]) -> str | None:
    """Return the first of a row's own names that an error's words name; None: they name none."""
    own = {plain_name(name): name for name in reversed(names)}
    return next((own[word] for word in _WORD.findall(said.casefold()) if word in own), None)


def _holding(said: str, row: Mapping[str, Any]) -> list[int | str]:
    """Return the path to the value of a row that an error's words quote; empty: they quote none."""
    for quoted in _QUOTED.findall(said):
        for name, value in row.items():
            if isinstance(value, list):
                for number, one in enumerate(value):
                    if str(one) == quoted:
                        return [name, number]
            elif isinstance(value, str | int) and quoted in str(value):
                return [name]
    return []
