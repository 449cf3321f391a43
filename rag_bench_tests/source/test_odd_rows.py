"""Odd rows and the column types that people choose: what can be taken is, the rest is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from rag_bench.errors import DumpError
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.dumps.values import UnreadError, boolean, is_blank, moment, rating
from rag_bench.source.limits import Limits
from rag_bench.source.load import load_dump
from rag_bench.store.snapshots import chunks_of, questions_of
from rag_bench_tests.source.production_database import Database

Make = Callable[[str], Database]
NOON = datetime(2026, 2, 13, 12, 0, tzinfo=UTC)


def script(chunks: list[str], questions: list[str], columns: str = "id, question") -> str:
    return (
        "COPY public.chunk (id, url, text) FROM stdin;\n"
        + "".join(f"{row}\n" for row in chunks)
        + f"\\.\nCOPY public.question_answer ({columns}) FROM stdin;\n"
        + "".join(f"{row}\n" for row in questions)
        + "\\.\n"
    )


GOOD = [f"{n}\tu\tтекст {n}" for n in range(1, 10)]


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "made.sql"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("10\tu\t   ", "its text is blank"),
        ("10\tu\t\\N", "its text is blank"),
        ("10\tu\t\u200b\ufeff\u00a0\\n\\t", "its text is blank"),
        ("10\t\\N\tтекст", "it has no page URL"),
        ("10\tu\tте\\000кст", "text holds a NUL character"),
        ("10\tu\t" + "ы" * 600_000, "text is longer than the 1,048,576 bytes allowed"),
    ],
)
def test_one_odd_chunk_is_left_out_and_listed(row: str, reason: str, tmp_path: Path) -> None:
    parsed = read_dump(write(tmp_path, script([*GOOD, row], ["1\tв"])))
    assert [chunk.source_id for chunk in parsed.chunks] == list(range(1, 10))
    assert parsed.tables["chunk"] == {
        "rows": 10,
        "left_out": [{"reason": reason, "count": 1, "examples": ["id 10, line 11"]}],
        "unread_values": [],
    }
    assert any(
        text.startswith("1 of 10 rows of chunk were left out. 1: " + reason)
        for text in parsed.warnings
    )


def test_bytes_of_another_encoding_leave_out_their_row(tmp_path: Path) -> None:
    content = script(GOOD, [f"{n}\tвопрос" for n in range(1, 10)]).encode()
    odd = content.replace("9\tвопрос".encode(), "9\tвопрос".encode("cp1251"))
    parsed = read_dump(write(tmp_path, odd))
    assert len(parsed.questions) == 8
    assert "question is not valid 'UTF8' text" in " ".join(parsed.warnings)


def test_too_many_odd_rows_are_refused_with_the_reasons(tmp_path: Path) -> None:
    rows = [*GOOD[:7], "8\tu\t ", "9\tu\t ", "10\t \tx"]
    path = write(tmp_path, script(rows, []))
    with pytest.raises(DumpError, match=r"3 of 10 rows .*20% .*2: its text is blank .*1: it has"):
        read_dump(path)
    assert len(read_dump(path, limits=Limits(left_out_share=0.3)).chunks) == 7


def test_the_share_is_a_setting(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, script([*GOOD, "10\tu\t "], []))
    monkeypatch.setenv("RAG_BENCH_DUMP_LEFT_OUT", "0.05")
    with pytest.raises(DumpError, match="more than the 5% allowed"):
        load_dump(engine, path)
    monkeypatch.setenv("RAG_BENCH_DUMP_LEFT_OUT", "0.1")
    assert load_dump(engine, path).snapshot.report["tables"]["chunk"]["left_out"][0]["count"] == 1


def test_ids_that_come_twice(tmp_path: Path) -> None:
    rows = ["1\tа", "1\tб", "1\tв", "2\tг", "2\tг", "\\N\tд", "1 (2)\tе"]
    parsed = read_dump(write(tmp_path, script(GOOD, rows)), limits=Limits(left_out_share=0.2))
    assert [(row.source_id, row.question) for row in parsed.questions] == [
        (1, "а"),
        ("1 (2)", "б"),
        ("1 (3)", "в"),
        (2, "г"),
        ("row 6", "д"),
        ("1 (2) (2)", "е"),
    ]
    assert "repeats a row of the same id" in " ".join(parsed.warnings)
    twice = write(tmp_path, script(GOOD, ["1\tа", "2\tб"] * 2))
    with pytest.raises(DumpError, match="repeats a row"):
        read_dump(twice)


def test_what_is_optional_may_be_missing(tmp_path: Path) -> None:
    content = "COPY chunk (url, text) FROM stdin;\nu\tт\n\\.\n"
    content += "COPY question_answer (question) FROM stdin;\nкак\nгде\n\\N\n\\.\n"
    parsed = read_dump(write(tmp_path, content))
    assert [row.source_id for row in parsed.chunks] == [None]
    assert [(row.source_id, row.question, row.score) for row in parsed.questions] == [
        (1, "как", None),
        (2, "где", None),
        (3, "", None),
    ]
    said = " ".join(parsed.warnings)
    for words in ("no ratings", "no users", "no times", "no answers", "1 questions are blank"):
        assert words in said


# Column types -> a value as SQL, and what is read of it.
TYPES = {
    "id": [
        ("uuid", "'0b7f7a3e-5a67-4f0e-8a4c-6f3f1f0c2b11'", "0b7f7a3e-5a67-4f0e-8a4c-6f3f1f0c2b11"),
        ("bigint", "9223372036854775807", 9223372036854775807),
        ("numeric", "7.0", "7.0"),
        ("text", "'vk:007\tё'", "vk:007\tё"),
        ("varchar(3)", "'007'", "007"),
    ],
    "user_id": [
        ("uuid", "'0b7f7a3e-5a67-4f0e-8a4c-6f3f1f0c2b11'", "0b7f7a3e-5a67-4f0e-8a4c-6f3f1f0c2b11"),
        ("text", "'@student'", "@student"),
        ("bigint", "-5", -5),
    ],
    "created_at": [
        ("timestamptz", "'2026-02-13 17:00+05'", NOON),
        ("timestamp", "'2026-02-13 12:00'", NOON),
        ("timestamp(3)", "'2026-02-13 12:00:00.250'", NOON.replace(microsecond=250_000)),
        ("date", "'2026-02-13'", NOON.replace(hour=0)),
        ("text", "'2026-02-13T12:00:00Z'", NOON),
        ("text", "'13.02.2026 12:00'", NOON),
        ("bigint", "1770984000", NOON),
        ("bigint", "1770984000000", NOON),
        ("double precision", "1770984000.5", NOON.replace(microsecond=500_000)),
        ("numeric", "1770984000.000", NOON),
        ("timestamptz", "'infinity'", None),
        ("timestamptz", "'-infinity'", None),
        ("timestamp", "'0044-03-15 12:00 BC'", None),
        ("timestamp", "'20260-01-01'", None),
        ("text", "'yesterday'", None),
        ("int", "0", None),
    ],
    "score": [
        ("smallint", "5", 5),
        ("numeric(3,1)", "4.5", 4.5),
        ("numeric", "5.00", 5),
        ("real", "'NaN'", None),
        ("double precision", "'Infinity'", None),
        ("boolean", "true", 1),
        ("boolean", "false", 0),
        ("text", "'4'", 4),
        ("text", "'80%'", 80),
        ("text", "'Like'", 1),
        ("text", "'thumbs-down'", -1),
        ("text", "'👍'", 1),
        ("text", "'n/a'", None),
    ],
    "stop_point": [
        ("boolean", "true", True),
        ("int", "0", False),
        ("text", "'Yes'", True),
        ("char(1)", "'x'", None),
    ],
}


@pytest.mark.parametrize("column", TYPES)
def test_column_types(column: str, make_database: Make, engine: Engine) -> None:
    """Every type in a database of PostgreSQL's own, through pg_dump, reader and store."""
    tables, expected = ["create table chunk (id int, url text, text text);"], {}
    tables.append("insert into chunk values (1, 'u', 'т');")
    for number, (kind, value, found) in enumerate(TYPES[column]):
        schema = f"s{number}"
        others = {"id": "int", "question": "text"} | {column: kind}
        columns = ", ".join(f"{name} {type_}" for name, type_ in others.items())
        values = ", ".join(
            {"id": "1", "question": "'в'"}.get(n, value) for n in others if n != column
        )
        names = ", ".join([*(n for n in others if n != column), column])
        tables += [
            f"create schema {schema};",
            f"create table {schema}.chunk (id int, url text, text text);",
            f"insert into {schema}.chunk values (1, 'u', 'т');",
            f"create table {schema}.question_answer ({columns});",
            f"insert into {schema}.question_answer ({names}) values ({values}, {value});",
        ]
        expected[schema] = found
    path = make_database("\n".join(tables)).dump("-Fc")
    for schema, found in expected.items():
        parsed = read_dump(path, schema=schema)
        [row] = parsed.questions
        name = "source_id" if column == "id" else column
        assert getattr(row, name) == found, TYPES[column][int(schema[1:])]
        assert bool(parsed.tables["question_answer"]["unread_values"]) == (found is None)


def test_ids_come_back_from_the_store_as_they_were(tmp_path: Path, engine: Engine) -> None:
    rows = [f"{i}\tв\t{u}" for i, u in (("10", "a"), ("9", "7"), ("x-1", "-3"), ("007", "ё"))]
    chunks = ["9f1c\tu\tт", "12\tu\tс"]
    path = write(tmp_path, script(chunks, rows, "id, question, user_id"))
    sha256 = load_dump(engine, path).snapshot.sha256
    stored = questions_of(engine, sha256)
    assert [(row.source_id, row.user_id) for row in stored] == [
        (9, 7),
        (10, "a"),
        ("007", "ё"),
        ("x-1", -3),
    ]
    assert [row.source_id for row in chunks_of(engine, sha256)] == ["9f1c", 12]


def test_single_values() -> None:
    assert moment("1770984000000000")[0] == NOON
    assert moment("20260213")[0] == NOON.replace(hour=0)
    for text in ("", "12345", "32.13.2026", "1e400", "now", "2026-02-30"):
        with pytest.raises(UnreadError):
            moment(text)
    assert rating(" +1 ") == 1
    assert rating("1e1") == 10
    for text in ("", "five", "1e10", "4/5", "--1"):
        with pytest.raises(UnreadError):
            rating(text)
    assert boolean("ON") is True
    with pytest.raises(UnreadError):
        boolean("2")
    assert is_blank(" \u200b\u2060\ufeff\n")
    assert not is_blank(" . ")


def test_a_chunk_of_blanks(cases: Path) -> None:
    parsed = read_dump(cases / "emptychunk.sql")
    assert len(parsed.chunks) == 6
    assert parsed.tables["chunk"]["left_out"] == [
        {"reason": "its text is blank", "count": 1, "examples": ["id 7, line 18"]}
    ]
