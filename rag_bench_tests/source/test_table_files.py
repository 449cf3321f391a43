"""Test sets as other tools save their tables: Parquet, pandas by columns, lists beside a record."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from rag_bench.errors import RagBenchError
from rag_bench.source.question_files.row_files import read_rows

ROWS: list[dict[str, Any]] = [
    {"user_input": "Когда стипендия?", "reference_contexts": ["До 25-го."], "reference": "25-го."},
    {"user_input": "Где ключ?", "reference_contexts": None, "reference": None},
]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra ragas is not installed")
    from pyarrow import parquet as files

    made = io.BytesIO()
    files.write_table(pyarrow.Table.from_pylist(rows), made)
    return made.getvalue()


def read(content: bytes | Any, name: str = "set.json") -> list[dict[str, Any]]:
    given = content if isinstance(content, bytes) else json.dumps(content).encode()
    return [row.fields for row in read_rows(Path(name), given)[0]]


def test_a_parquet_file_of_ragas_is_read_with_its_lists() -> None:
    assert read(parquet(ROWS), "set.parquet") == ROWS


def test_what_is_no_number_in_a_parquet_file_is_nothing() -> None:
    [found] = read(parquet([{"question": "q?", "user_score": float("nan")}]), "set.parquet")
    assert found == {"question": "q?", "user_score": None}


def test_a_broken_parquet_file_and_one_without_rows_say_so() -> None:
    whole = parquet(ROWS)
    with pytest.raises(RagBenchError, match="the Parquet file cannot be read"):
        read(whole[: len(whole) // 2], "set.parquet")
    pyarrow = pytest.importorskip("pyarrow", reason="the extra ragas is not installed")
    from pyarrow import parquet as files

    made = io.BytesIO()
    files.write_table(pyarrow.table({"question": pyarrow.array([], pyarrow.string())}), made)
    with pytest.raises(RagBenchError, match="holds no items"):
        read(made.getvalue(), "set.parquet")


def test_a_table_that_pandas_wrote_by_columns_is_read_by_rows() -> None:
    columns = {name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]}
    assert read(columns) == ROWS
    # One object whose fields are objects is no such table.
    odd = {"question": {"ru": "Где?"}, "meta": {"page": 1}}
    assert read(odd) == [odd]


@pytest.mark.parametrize("name", ["samples", "examples", "test_cases"])
def test_rows_beside_a_record_of_how_they_were_made_are_read(name: str) -> None:
    assert read({"metadata": {"version": 3}, name: ROWS}) == ROWS


def test_a_list_of_something_else_stays_a_field() -> None:
    assert read({"question": "q?", "examples": ["a", "b"]}) == [
        {"question": "q?", "examples": ["a", "b"]}
    ]
