"""JSON Lines of strangers: each problem by line and column, sizes refused before parsing."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_bench.strict_json.lines import Limits, column_of, read_lines
from rag_bench.strict_json.places import Place, TooLarge

LIMITS = Limits(line_bytes=200, bytes=2000, depth=4, lines=20)


def read(content: bytes, limits: Limits = LIMITS) -> tuple[list[Any], list[Place]]:
    errors: list[Place] = []
    return [one.value for one in read_lines(io.BytesIO(content), limits, errors)], errors


def test_good_lines_are_read_whatever_ends_them() -> None:
    content = '\ufeff{"в": 1}\r\n\r\n  \n["x"]\n5'.encode()
    assert read(content) == ([{"в": 1}, ["x"], 5], [])
    assert read(b"") == ([], [])


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (b'{"a": 1', 8, "otherwise"),
        (b'{"a": "\xff"}', 8, "UTF-8"),
        (b'{"a": "\\u0000"}', 7, "NUL"),
        (b'{"b": 1, "a": ["x", "\\ud800"]}', 21, "surrogate"),
        (b'{"b": [1, NaN]}', 11, "finite"),
        (b'{"a": 1, "b": 2, "a": 3}', 7, "twice"),
        ('{"ё": "я", "a": {"б": NaN}}'.encode(), 23, "finite"),
        (b'{"a": [[[[1]]]]}', 10, "inside each other"),
        (b'{"a": ' + b"9" * 4999 + b"}", 1, "bytes"),
    ],
)
def test_a_bad_line_is_located_and_others_are_read(line: bytes, column: int, words: str) -> None:
    found, errors = read(b'{"n": 1}\n\n' + line + b'\n{"n": 2}\n{')
    first = errors[0]
    assert (first.line, first.column) == (3, column)
    assert words in first.detail
    if words != "bytes":
        assert found == [{"n": 1}, {"n": 2}]
        assert [one.line for one in errors] == [3, 5]


def test_sizes_are_refused_before_parsing() -> None:
    with pytest.raises(TooLarge, match="20 lines"):
        read(b"1\n" * 21)
    with pytest.raises(TooLarge, match="2000 bytes"):
        read(b" " * 150 + b"\n" + (b"[" + b"1," * 90 + b"1]\n") * 12)
    assert len(read(b"{\n" * 900, Limits(200, 2000, 4, 2000))[1]) == 100


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_columns_are_where_values_begin(value: Any, indent: int | None, ascii_only: bool) -> None:
    """What begins at the column of each path is that path's own value."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    def check(path: tuple[Any, ...], here: Any) -> None:
        begun, _ = json.JSONDecoder().raw_decode(text, column_of(text, path) - 1)
        assert begun == here
        if isinstance(here, dict):
            for name, inner in here.items():
                check((*path, name), inner)
        elif isinstance(here, list):
            for number, inner in enumerate(here):
                check((*path, number), inner)

    check((), value)
