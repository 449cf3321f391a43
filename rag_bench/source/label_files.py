"""Labels in files, out and in: CSV for spreadsheets, JSONL for programs.

A round trip loses nothing. One row is one label; of two rows of one annotator for one case both are
kept, and the later counts. CSV is UTF-8, UTF-16 or the Windows-1251 of Russian Excel, with commas,
semicolons or tabs, and a line ``sep=;`` before it all. In CSV an empty value is "not labelled yet"
and the row is passed over, `?` is "could not tell"; in JSONL these are a missing ``value`` and
null. A text that a spreadsheet would take for a formula has an apostrophe before it, which reading
takes off again.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.measures import measures
from rag_bench.source.question_files.row_files import decoded
from rag_bench.store.labels.labels import LabelError, NewLabel

COLUMNS = (
    *("evaluation_id", "case_id", "metric", "value", "annotator", "annotator_kind", "settles"),
    *("guideline", "guideline_version", "note", "at"),
)
#: What a sheet shows to annotators; nothing is read of it.
SHOWN = ("draw", "question", "answer", "reference_answer", "context")
_NEEDED = ("evaluation_id", "case_id", "metric", "annotator")
_COULD_NOT_TELL = "?"
_LISTED = 10
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_TEXTS = ("case_id", "metric", "annotator", "guideline", "note", *SHOWN)
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


class LabelFileError(RagBenchError):
    """Files whose labels cannot be stored: each problem with file, row and column."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = len(problems) - _LISTED
        lines = [*problems[:_LISTED], *([f"and {more} more"] if more > 0 else [])]
        super().__init__(
            "\n".join([*lines, "Nothing was stored. Correct the file and import it again."])
        )


@dataclass(frozen=True)
class Placed:
    """A label with where it stands."""

    label: NewLabel
    where: str  # file and row


@dataclass(frozen=True)
class Defaults:
    """What rows that do not say so are taken for."""

    annotator: str | None = None
    annotator_kind: str = "person"
    guideline: str | None = None
    guideline_version: int | None = None
    metric: str | None = None
    evaluation_id: int | None = None


def write_labels(labels: Iterable[NewLabel], form: str) -> str:
    """Return labels as ``csv`` or ``jsonl``, whole."""
    rows = [_row_of(one) for one in labels]
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return write_csv([{**row, "value": _value_text(row["value"])} for row in rows], COLUMNS)


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as CSV with a byte order mark, which spreadsheets tell UTF-8 by."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\r\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(name, row.get(name)) for name in columns})
    return "\ufeff" + file.getvalue()


def read_labels(paths: Sequence[Path], defaults: Defaults | None = None) -> list[Placed]:
    """Read files of labels.

    Raises:
        LabelFileError: of every row that cannot be read, with file, row and column.
    """
    found: list[Placed] = []
    problems: list[str] = []
    for path in paths:
        try:
            given = path.read_bytes()
            content, _ = decoded(path, given)
        except OSError as error:
            problems.append(f"{path.name}: it cannot be read ({error.strerror})")
            continue
        except RagBenchError:
            problems.append(f"{path.name}, line {_line_of(given)}: not UTF-8; save it as CSV UTF-8")
            continue
        found += _read(path.name, content.removeprefix("\ufeff"), defaults or Defaults(), problems)
    if problems:
        raise LabelFileError(problems)
    return found


def _line_of(content: bytes) -> int:
    """Return the first line that is not UTF-8."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content[: error.start].count(b"\n") + 1
    return 1


def read_text(name: str, content: str, defaults: Defaults | None = None) -> list[Placed]:
    """Read labels from a text, as `read_labels` does from a file called ``name``."""
    problems: list[str] = []
    found = _read(name, content.removeprefix("\ufeff"), defaults or Defaults(), problems)
    if problems:
        raise LabelFileError(problems)
    return found


def located(error: LabelError, placed: Sequence[Placed]) -> LabelFileError:
    """Return a refusal of the store with file, row and column."""
    return LabelFileError([f"{placed[error.index].where}, column {error.column}: {error}"])


def _read(name: str, content: str, defaults: Defaults, problems: list[str]) -> list[Placed]:
    found = []
    rows = _json_rows if content.lstrip().startswith("{") else _csv_rows
    for where, row in rows(name, content, problems):
        one = _label(where, row, defaults, problems)
        if one is not None:
            found.append(Placed(one, where))
    return found


def _json_rows(
    name: str, content: str, problems: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            problems.append(f"{where}: no JSON ({error})")
            continue
        if not isinstance(row, dict):
            problems.append(f"{where}: a label is an object, not {type(row).__name__}")
        elif _known(where, row, problems) and "value" in row:
            yield where, row


def _csv_rows(
    name: str, content: str, problems: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    head, _, rest = content.partition("\n")
    first = 1
    if head.casefold().startswith("sep=") and len(head.strip()) == len("sep=,"):
        separator, content, first = head[len("sep=")], rest, 2
    else:
        separator = max((",", ";", "\t"), key=head.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    columns: list[str] = []
    try:
        for number, cells in enumerate(reader, first):
            where = f"{name}, row {number}"
            if number == first:
                columns = [cell.strip().lower() for cell in cells]
                if not _known(where, columns, problems):
                    return
                if "value" not in columns:
                    problems.append(f"{where}: there is no column value")
                    return
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                problems.append(f"{where}: {len(cells)} cells under {len(columns)} columns")
                continue
            row: dict[str, Any] = {
                column: _unquoted(cell) if column in _TEXTS else cell.strip()
                for column, cell in zip(columns, cells, strict=True)
            }
            if row["value"] == "":
                continue
            row["value"] = None if row["value"] == _COULD_NOT_TELL else row["value"]
            yield where, {n: None if v == "" and n != "note" else v for n, v in row.items()}
    except csv.Error as error:
        problems.append(f"{name}, line {reader.line_num}: no CSV ({error})")
    if not columns:
        problems.append(f"{name}: it is empty")


def _known(where: str, columns: Iterable[str], problems: list[str]) -> bool:
    names = list(columns)
    strange = [one for one in names if one not in (*COLUMNS, *SHOWN)]
    twice = sorted({one for one in names if names.count(one) > 1})
    if strange:
        problems.append(f"{where}, column {strange[0]}: not known; known are {', '.join(COLUMNS)}")
    if twice:
        problems.append(f"{where}, column {twice[0]}: it is there twice")
    return not strange and not twice


def _label(
    where: str, row: Mapping[str, Any], defaults: Defaults, problems: list[str]
) -> NewLabel | None:
    """Return a row's label; None and a problem if it is none."""
    before = len(problems)

    def fault(column: str, message: str) -> None:
        problems.append(f"{where}, column {column}: {message}")

    def text_of(column: str, default: str | None = None) -> str | None:
        value = row.get(column)
        if value is None:
            return default
        if not isinstance(value, str):
            fault(column, f"a text, not {value!r}")
            return default
        return value

    def whole(column: str, default: int | None) -> int | None:
        value = row.get(column)
        if value is None:
            return default
        try:
            if isinstance(value, (bool, float)):
                raise ValueError
            return int(value)
        except ValueError:
            fault(column, f"a whole number, not {value!r}")
            return default

    made = NewLabel(
        whole("evaluation_id", defaults.evaluation_id) or 0,
        text_of("case_id") or "",
        text_of("metric", defaults.metric) or "",
        _number(row["value"], row.get("metric") or defaults.metric, fault),
        text_of("annotator", defaults.annotator) or "",
        _kind(text_of("annotator_kind", defaults.annotator_kind), fault),  # type: ignore[arg-type]
        _flag(row.get("settles"), fault),
        text_of("guideline", defaults.guideline),
        whole("guideline_version", defaults.guideline_version),
        text_of("note") or None,
        _time(text_of("at"), fault),
    )
    for column in _NEEDED:
        if not getattr(made, column):
            fault(column, "it is missing")
    return made if len(problems) == before else None


def _number(value: Any, metric: Any, fault: Any) -> float | None:
    """Return a label's value: a number, also with a decimal comma, or a word of the metric's."""
    if value is None:
        return None
    text = "" if isinstance(value, bool) else str(value).strip()
    measure = measures().get(metric) if isinstance(metric, str) else None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        named = None if measure is None else measure.value_of(text)
        if named is None:
            fault("value", f"a number, or {_COULD_NOT_TELL} for could not tell, not {value!r}")
        return named
    if not math.isfinite(found):
        fault("value", f"a number, or {_COULD_NOT_TELL} for could not tell, not {value!r}")
    elif measure is not None and found not in measure.values:
        fault("value", f"a label by {metric} is {measure.said}, not {value!r}")
    return found


def _kind(value: str | None, fault: Any) -> str:
    if value not in ("person", "model", "user"):
        fault("annotator_kind", f"person, model or user, not {value!r}")
        return "person"
    return value


def _flag(value: Any, fault: Any) -> bool:
    text = str(value if value is not None else "").strip().lower()
    if text not in (*_TRUE, *_FALSE):
        fault("settles", f"true or false, not {value!r}")
    return text in _TRUE


def _time(value: str | None, fault: Any) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        fault("at", f"a time such as 2026-11-26T12:00:00+00:00, not {value!r}")
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _row_of(one: NewLabel) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in COLUMNS}
    value = row["value"]
    row["value"] = int(value) if value is not None and float(value).is_integer() else value
    row["at"] = one.at.astimezone(UTC).isoformat() if one.at else None
    return row


def _value_text(value: float | None) -> str:
    return _COULD_NOT_TELL if value is None else str(value)


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _TEXTS and str(value).startswith(_FORMULA):
        return f"'{value}"
    return value


def _unquoted(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
