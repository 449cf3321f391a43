"""Objects of a JSON array or JSONL file, told apart by content, each with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError

#: Where tools keep the rows of a test set: RAGAS' with what it was made by, Phoenix's.
_LISTS = ("samples", "examples", "test_cases")
#: What a row of such a list has.
_ASKED = frozenset(("user_input", "question", "query", "input"))
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def plain_name(name: str) -> str:
    """Return a field's name as it is looked up: "Ground Truth " is ground_truth."""
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff")).casefold()


@dataclass(frozen=True)
class Row:
    """One object of a file; ``where`` is its file and line, or its place in the list."""

    where: str
    fields: dict[str, Any]
    of_evals: bool = False  # a row of OpenAI's hosted Evals

    def text(self, name: str) -> str:
        """Return a field that must be a text with something in it."""
        value = self.text_or_none(name)
        if value is None or not value.strip():
            raise RagBenchError(f"{self.where}: {name} must be a text that is not empty.")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a field that may be absent, null or empty; those are None."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise RagBenchError(f"{self.where}: {name} must be a text, not {value!r}.")
        return value or None

    def check(self) -> None:
        """Raise RagBenchError for a text with a character that cannot be stored."""
        for name, value in self.fields.items():
            if not _is_storable(name) or not _is_storable(value):
                shown = name if _is_storable(name) else "a name of a field"
                raise RagBenchError(
                    f"{self.where}: {shown} holds a character that cannot be stored."
                )

    def truth(self, name: str) -> bool:
        """Return a field that must be true or false; 1 and 0 are."""
        value = self.fields.get(name)
        if value in (0, 1):
            return bool(value)
        raise RagBenchError(f"{self.where}: {name} is true or false, not {value!r}.")


def _is_storable(value: Any) -> bool:
    """Tell whether a value has neither a NUL nor half of a surrogate pair: JSON can write both,
    PostgreSQL can store neither.
    """
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, list):
        return all(map(_is_storable, value))
    if isinstance(value, dict):
        return all(map(_is_storable, value)) and all(map(_is_storable, value.values()))
    return True


def json_rows(path: Path, text: str) -> Iterator[Row]:
    """Yield the objects of a file's text in order.

    Raises:
        RagBenchError: what is not JSON, or no object.
    """
    start = text.lstrip()[:1]
    if start == "[":
        for number, value in enumerate(_json(text, str(path), 0), 1):
            yield _row(f"{path}, item {number}", value)
        return
    try:
        whole = json.loads(text) if start else {}
    except ValueError:
        pass
    else:  # one object: a single line, or spread over several
        if isinstance(whole.get("data"), list):
            raise RagBenchError(f"{path} is a SQuAD file; read it by `rag-bench import-squad`.")
        if rows := _listed(whole):
            name, values = rows
            for number, value in enumerate(values, 1):
                yield _row(f"{path}, {name} {number}", value)
        elif columns := _by_columns(whole):
            for number, value in enumerate(columns, 1):
                yield _row(f"{path}, row {number}", value)
        elif whole:
            yield _row(str(path), whole)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _row(f"{path}:{number}", _json(line, str(path), number))


def _listed(whole: dict[str, Any]) -> tuple[str, list[Any]] | None:
    """Return the samples of a test set that was saved with what it was made by, and their name;
    None: it is one object.
    """
    for name in _LISTS:
        found = whole.get(name)
        rows = found if isinstance(found, list) else []
        if rows and all(isinstance(row, dict) and _ASKED & set(row) for row in rows):
            return name, rows
    return None


def _by_columns(whole: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the rows of a table that pandas wrote by columns, each an object of its cells by row;
    None: it is something else.
    """
    columns = list(whole.values())
    if not columns or not all(isinstance(one, dict) and one for one in columns):
        return None
    places = list(columns[0])
    if not (_ASKED & set(whole)) or any(list(one) != places for one in columns):
        return None
    return [{name: column[place] for name, column in whole.items()} for place in places]


def _json(text: str, path: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RagBenchError(
            f"{path}:{line or error.lineno}: not JSON: {error.msg} (column {error.colno})."
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; deep nesting
        raise RagBenchError(f"{path}:{line or 1}: JSON that cannot be read.") from None


def _row(where: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise RagBenchError(f"{where}: expected an object, found {json.dumps(value)[:60]}")
    item = _item_of_evals(value)
    # Tables turned into JSON have NaN where a cell was empty.
    fields = {
        plain_name(name): None if isinstance(one, float) and not math.isfinite(one) else one
        for name, one in (value if item is None else item).items()
    }
    return Row(where, fields, item is not None)


def _item_of_evals(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return the item of a row of OpenAI's hosted Evals; None: it is no such row.

    Data that is uploaded there has ``item``, with or without ``sample`` (what a model said of it);
    results that are exported have ``datasource_item`` among other things.
    """
    if set(value) <= {"item", "sample"} and isinstance(value.get("item"), dict):
        return {**value["item"], **({"sample": value["sample"]} if "sample" in value else {})}
    exported = value.get("datasource_item")
    if not isinstance(exported, dict):
        return None
    item = _item_of_evals(exported) or exported
    return {**item, **({"sample": value["sample"]} if "sample" in value else {})}
