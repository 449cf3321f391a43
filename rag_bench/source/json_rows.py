"""Objects of a JSON array or JSONL file, told apart by content, each with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError


@dataclass(frozen=True)
class Row:
    """One object of a file; ``where`` is its file and line, or its place in the list."""

    where: str
    fields: dict[str, Any]

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
        # JSON can write both, PostgreSQL can store neither.
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise RagBenchError(f"{self.where}: {name} holds a character that cannot be stored.")
        return value or None


def read_rows(path: Path) -> list[Row]:
    """Return a file's objects in order.

    Raises:
        RagBenchError: a file that cannot be read, is not JSON, or holds no objects.

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RagBenchError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise RagBenchError(f"{path} cannot be read: {error.strerror or error}.") from None
    rows = list(_parse(path, text))
    if not rows:
        raise RagBenchError(f"{path} holds no items.")
    return rows


def _parse(path: Path, text: str) -> Iterator[Row]:
    start = text.lstrip()[:1]
    if start == "[":
        for number, value in enumerate(_json(text, str(path), 0), 1):
            yield _row(f"{path}, item {number}", value)
        return
    if start not in ("{", ""):
        raise RagBenchError(f"{path} is neither a JSON array of objects nor JSONL.")
    try:
        whole = json.loads(text) if start else {}
    except ValueError:
        pass
    else:  # one object: a single line, or spread over several
        if isinstance(whole.get("data"), list):
            raise RagBenchError(f"{path} is a SQuAD file; read it by `rag-bench import-squad`.")
        if whole:
            yield _row(str(path), whole)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _row(f"{path}:{number}", _json(line, str(path), number))


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
    return Row(where, value)
