"""Files of questions and pairs as rows: JSON, JSONL or CSV, told apart by content."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.dumps.table_rows import cell_list, cell_number, cell_truth, table_rows
from rag_bench.source.question_files import dataset_fields
from rag_bench.source.question_files.json_rows import Row, json_rows, plain_name

_BINARY = {
    b"PK\x03\x04": "a spreadsheet or a ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "compressed",
}
_PARQUET = b"PAR1"
_MOST_UNPACKED = 256 << 20
_LISTS = frozenset(
    (
        *(*dataset_fields.REFERENCE, *dataset_fields.CONTEXT, *dataset_fields.DEPENDS),
        *("relevant", "relevant_urls", "ground_truth_chunks", "relevant_chunk_ids"),
    )
)
_ALWAYS_LISTS = ("relevant_urls", "ground_truth_chunks")
_NUMBERS = ("user_score", "question_answer_id", "chunk")
_TRUTHS = ("ground_truth_show", "is_impossible", "is_relevant_chunk_matched")
_CYRILLIC = re.compile(r"[а-яё]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f«»“”„–—…№]")
_MIXED_WORD = re.compile(r"[a-zA-Z][а-яёА-ЯЁ]|[а-яёА-ЯЁ][a-zA-Z]")


def content_of(path: Path) -> bytes:
    """Return a file's bytes; RagBenchError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RagBenchError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_rows(path: Path, content: bytes) -> tuple[list[Row], list[str]]:
    """Return a file's rows in order, and what is to be said about the reading.

    ``path`` is what errors call it.

    Raises:
        RagBenchError: it is of another format, or holds no rows.
    """
    if content.startswith(_PARQUET):
        return _of_parquet(path, content), []
    for start, what in _BINARY.items():
        if content.startswith(start):
            raise RagBenchError(
                f"{path} is {what}, which is not read. Save it as CSV (in Excel: Save as, CSV "
                "UTF-8; in LibreOffice: Text CSV), or export it as JSONL."
            )
    text, notes = decoded(path, content)
    is_json = text.lstrip()[:1] in ("[", "{", "")
    rows = list(json_rows(path, text)) if is_json else _of_table(path, text)
    if not rows:
        raise RagBenchError(f"{path} holds no items.")
    for row in rows:
        row.check()
    return rows, notes


def _of_parquet(path: Path, content: bytes) -> list[Row]:
    """Return the rows of a Parquet file, as pandas and Hugging Face write test sets."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise RagBenchError(
            f"{path} is a Parquet file, which pyarrow reads: pip install 'rag-bench[ragas]', or "
            "export the file as JSONL."
        ) from None
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(content))
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(n).total_byte_size for n in groups) > _MOST_UNPACKED:
            raise RagBenchError(f"{path}: more than {_MOST_UNPACKED >> 20} MB unpacked.")
        found = file.read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise RagBenchError(f"{path}: the Parquet file cannot be read: {error}") from None
    rows = [
        Row(
            f"{path}, row {number}",
            {plain_name(name): _plain(value) for name, value in row.items()},
        )
        for number, row in enumerate(found, 1)
    ]
    if not rows:
        raise RagBenchError(f"{path} holds no items.")
    for row in rows:
        row.check()
    return rows


def _plain(value: Any) -> Any:
    """Return a cell as JSON would have it: dates as text, what is no number as nothing."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return str(value)


def decoded(path: Path, content: bytes) -> tuple[str, list[str]]:
    """Return a file's text: UTF-8, UTF-16 with its mark, or the Windows-1251 of Russian Excel."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if content.startswith(mark):
            try:
                return content.decode(name), []
            except UnicodeDecodeError as error:
                place = error.start
                break
    try:
        text = content.decode("cp1251")
    except UnicodeDecodeError:
        text = ""
    beyond = _BEYOND_ASCII.findall(text)
    cyrillic = len(_CYRILLIC.findall(text))
    # In other one-byte encodings the bytes are capitals, signs, or words of two scripts.
    if text and cyrillic > 0.6 * len(beyond) and 10 * len(_MIXED_WORD.findall(text)) < cyrillic:
        return text, [f"{path.name} is not UTF-8 and was read as Windows-1251"]
    raise RagBenchError(
        f"{path} is not UTF-8 text (byte {place}). Save it as CSV UTF-8, or as UTF-8."
    )


def _of_table(path: Path, text: str) -> list[Row]:
    lines = table_rows(path, text, dataset_fields.KNOWN)
    where, header = next(lines)
    names = [plain_name(name) for name in header]
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise RagBenchError(f"{where}: the column {', '.join(sorted(twice))} comes twice.")
    return [
        Row(
            where,
            {
                name: _value(where, name, cell)
                for name, cell in zip(names, cells, strict=False)
                if name and (cell.strip() or name == "ground_truth_show")
            },
        )
        for where, cells in lines
    ]


def _value(where: str, name: str, cell: str) -> Any:
    if name in _LISTS:
        value = cell_list(where, name, cell)
        return [value] if name in _ALWAYS_LISTS and isinstance(value, str) else value
    if name in _NUMBERS:
        return cell_number(cell)
    if name in _TRUTHS or name in dataset_fields.FLAGS:
        return cell_truth(cell)
    return cell
