"""A client's names of chunks: read from CSV or JSON, each looked up, stored all or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.intake.references import current_dump
from rag_bench.source.dumps.table_places import TablePlaces
from rag_bench.source.dumps.table_rows import table_rows
from rag_bench.source.question_files.row_files import decoded
from rag_bench.store.eval_runs import aliases, chunk_names
from rag_bench.strict_json.places import InvalidInput, Place, TooLarge, pointer
from rag_bench.strict_json.reading import read_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.settings import Settings

MOST_ALIASES = 200_000
_LONGEST = 300
_COLUMNS = ("alias", "chunk")
_WRONG = "The aliases cannot be stored, and none of them is."
_LINE = re.compile(r":(\d+):")


At = Callable[[str, str], Place]
"""Returns the place of a problem, by its words and the field that it is about: alias or chunk."""


@dataclass(frozen=True)
class Alias:
    """One name as it was given: what the client says, what it is to mean, where that stands."""

    alias: str
    chunk: str
    place: At

    def wrong(self, detail: str, field: str) -> Place:
        """Return a problem of its alias or its chunk, at its place."""
        return self.place(detail, field)


def import_aliases(
    connection: Connection, given: Sequence[Alias], user_id: str | None
) -> aliases.Saved:
    """Store aliases of chunks of the current snapshot in the caller's transaction.

    Raises:
        InvalidInput: a chunk that there is not, an alias that means two chunks, or one that could
            never be meant, as the dump calls another chunk so; nothing is stored then.
    """
    sha256 = current_dump(connection)
    if sha256 is None:
        detail = "No knowledge base is loaded: load a dump first (rag-bench load-dump)."
        raise InvalidInput(_WRONG, [Place(detail)])
    asked = {one.chunk for one in given} | {one.alias for one in given}
    own = chunk_names.hashes_of(connection, sha256, asked, with_aliases=False)
    errors: list[Place] = []
    meant: dict[str, tuple[str, Alias]] = {}
    for one in given:
        digest = own.get(one.chunk)
        if digest is None:
            detail = f"The current snapshot has no chunk {one.chunk!r}, by its id or by its hash."
            errors.append(one.wrong(detail, "chunk"))
            continue
        first = meant.setdefault(one.alias, (digest, one))[0]
        if first != digest:
            detail = f"The alias {one.alias!r} stands for another chunk already."
            errors.append(one.wrong(detail, "alias"))
        if own.get(one.alias, digest) != digest:
            detail = f"The dump itself calls another chunk {one.alias!r}, which goes first."
            errors.append(one.wrong(detail, "alias"))
    if errors:
        raise InvalidInput(_WRONG, errors)
    return aliases.save(connection, {name: found[0] for name, found in meant.items()}, user_id)


def of_json(value: Any, place: Place | None = None) -> list[Alias]:
    """Return the aliases of JSON: ``{"aliases": [{"alias", "chunk"}, …]}``, or in place of the list
    an object of chunks by alias; the outer object may be left out.

    Raises:
        InvalidInput: what is none of these, each problem located.
        TooLarge: more than `MOST_ALIASES`.
    """
    path: list[int | str] = []
    if isinstance(value, Mapping) and set(value) == {"aliases"}:
        path, value = ["aliases"], value["aliases"]
    errors: list[Place] = []
    found: list[Alias] = []
    if not isinstance(value, Mapping | list):
        raise InvalidInput(_WRONG, [_at(path, "This must be a list, or an object.", place)])
    for here, alias, chunk in _pairs(value, path, errors, place):
        _take(found, errors, alias, chunk, partial(_of_pair, here, place))
    return _checked(found, errors, place or Place("", pointer=pointer(path)))


def of_text(content: bytes, name: str, settings: Settings) -> list[Alias]:
    """Return the aliases of a file: JSON as `of_json` takes it, or CSV with the columns alias and
    chunk, told apart by content.

    Raises:
        InvalidInput: what cannot be read, each problem with its line.
        TooLarge: more than `MOST_ALIASES`.
    """
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
        plain = content.removeprefix(b"\xef\xbb\xbf")
        return of_json(read_json(plain, settings.api_max_depth), Place("", file=name))
    path = Path(name)
    errors: list[Place] = []
    found: list[Alias] = []
    try:
        text, _ = decoded(path, content)
        rows = table_rows(path, text, _COLUMNS, "alias, one chunk")
        _, header = next(rows)
        columns = [cell.strip().casefold() for cell in header]
        if any(columns.count(column) != 1 for column in _COLUMNS):
            detail = "The first line must name the columns alias and chunk."
            raise InvalidInput(_WRONG, [Place(detail, line=1, column=1, file=name)])
        at = [columns.index(column) for column in _COLUMNS]
        places = TablePlaces(text, _COLUMNS)
        for where, cells in rows:
            line = int(where.rpartition(":")[2])
            alias, chunk = (cells[n].strip() if n < len(cells) else "" for n in at)

            def place(detail: str, column: str, line: int = line) -> Place:
                here, begins = places.of(line, at[_COLUMNS.index(column)])
                return Place(detail, line=here, column=begins, file=name, field=column)

            _take(found, errors, alias, chunk, place)
    except InvalidInput:
        raise
    except RagBenchError as error:  # of the table itself
        said = str(error)
        line_found = _LINE.search(said)
        line = int(line_found[1]) if line_found else 1
        raise InvalidInput(_WRONG, [Place(said, line=line, column=1, file=name)]) from None
    return _checked(found, errors, Place("", line=1, column=1, file=name))


def _pairs(
    value: Any, path: Sequence[int | str], errors: list[Place], place: Place | None
) -> Iterator[tuple[list[int | str], Any, Any]]:
    if isinstance(value, Mapping):
        for alias, chunk in value.items():
            yield [*path, alias], alias, chunk
        return
    for number, one in enumerate(value):
        here = [*path, number]
        if not isinstance(one, Mapping) or set(one) != set(_COLUMNS):
            detail = "This must be an object with alias and chunk, and nothing else."
            errors.append(_at(here, detail, place))
        else:
            yield here, one["alias"], one["chunk"]


def _of_pair(path: list[int | str], place: Place | None, detail: str, field: str) -> Place:
    return _at(path, detail, place)


def _take(found: list[Alias], errors: list[Place], alias: Any, chunk: Any, at: At) -> None:
    if len(found) >= MOST_ALIASES:
        raise TooLarge(f"There are more than {MOST_ALIASES} aliases.")
    texts = [
        str(one) if isinstance(one, int) and not isinstance(one, bool) else one
        for one in (alias, chunk)
    ]
    for what, text in zip(_COLUMNS, texts, strict=True):
        if not isinstance(text, str) or not text.strip():
            errors.append(at(f"The {what} must be a text that is not empty.", what))
            return
        if len(text) > _LONGEST or "\0" in text:
            detail = f"The {what} is longer than {_LONGEST} characters, or holds a NUL."
            errors.append(at(detail, what))
            return
    found.append(Alias(texts[0], texts[1], at))


def _at(path: Sequence[int | str], detail: str, place: Place | None) -> Place:
    return Place(detail, pointer=pointer(path), file=place.file if place else None)


def _checked(found: list[Alias], errors: list[Place], whole: Place) -> list[Alias]:
    if not found and not errors:
        detail = "There is no alias."
        errors.append(Place(detail, pointer=whole.pointer, line=whole.line, file=whole.file))
    if errors:
        raise InvalidInput(_WRONG, errors)
    return found
