"""The parser of COPY blocks: what it takes, what it is not fooled by."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bench.errors import DumpError
from rag_bench.source.dumps.copy_blocks import CopyHeader, CopyReader, ScriptFacts
from rag_bench.source.dumps.copy_text import codec_of, unescape

Rows = list[tuple[str, list[str | None]]]


class Sink:
    """Takes every column."""

    def __init__(self, header: CopyHeader, rows: Rows) -> None:
        self.fields = tuple(range(len(header.columns)))
        self.name = f"{header.schema}.{header.table}({','.join(header.columns)})"
        self.rows = rows

    def take(self, values: list[str | None], line: int) -> None:
        self.rows.append((self.name, values))

    def leave_out(self, reason: str, line: int) -> None:
        self.rows.append((self.name, [reason]))


def parse(script: str | bytes) -> tuple[Rows, ScriptFacts]:
    content = script.encode() if isinstance(script, str) else script
    rows: Rows = []
    reader = CopyReader(["chunk"], lambda header: Sink(header, rows))
    return rows, reader.read(content.splitlines(keepends=True))


def taken(script: str | bytes) -> Rows:
    return parse(script)[0]


BLOCK = "COPY public.chunk (id, text) FROM stdin;\n1\tда\n\\.\n"
ROW = ("public.chunk(id,text)", ["1", "да"])


def escape(value: str | None) -> str:
    """COPY's own output: the escapes that PostgreSQL writes (CopyAttributeOutText)."""
    if value is None:
        return "\\N"
    value = value.replace("\\", "\\\\")
    for character, name in zip("\b\f\n\r\t\v", "bfnrtv", strict=True):
        value = value.replace(character, f"\\{name}")
    return value


texts = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_escape_round_trip(values: list[tuple[str | None, str | None]]) -> None:
    body = "".join(f"{escape(a)}\t{escape(b)}\n" for a, b in values).encode()
    lines = [b"COPY chunk (a, b) FROM stdin;\n", *body.split(b"\n")[:-1], b"\\.\n"]
    rows: Rows = []
    CopyReader(["chunk"], lambda header: Sink(header, rows)).read(
        line if line.endswith(b"\n") else line + b"\n" for line in lines
    )
    assert [tuple(row) for _, row in rows] == values


@given(st.binary(max_size=40))
def test_octal_and_hexadecimal_round_trip(value: bytes) -> None:
    assert unescape(b"".join(b"\\%03o" % byte for byte in value)) == value
    assert unescape(b"".join(b"\\x%02X" % byte for byte in value)) == value


@given(st.lists(st.binary(max_size=30), max_size=12))
def test_any_bytes_end_in_rows_or_one_error(lines: list[bytes]) -> None:
    script = b"COPY chunk (a) FROM stdin;\n".join(lines)
    try:
        rows = taken(script)
    except DumpError:
        return
    assert all(len(values) == 1 for _, values in rows)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (rb"\N", None),
        (rb"\\N", rb"\N"),
        (rb"a\Nb", b"aNb"),
        (rb"\b\f\n\r\t\v", b"\b\f\n\r\t\v"),
        (rb"\101\x42\7\x4g\xzz\q", b"AB\x07\x04gxzzq"),
        (rb"\1234\0601", b"S4" + b"01"),
        (b"\\\\\\\\", b"\\\\"),
        (b"", b""),
    ],
)
def test_unescape(field: bytes, value: bytes | None) -> None:
    assert unescape(field) == value


@pytest.mark.parametrize("field", [b"a\\", b"\\\\\\", rb"a\.b"])
def test_unescape_refuses(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"backslash|marker"):
        unescape(field)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("COPY public.chunk (id, text) FROM stdin;", "public.chunk(id,text)"),
        ("copy Chunk(text,id) from STDIN ;", "public.chunk(text,id)"),
        ('COPY "public"."chunk" ("id", "text") FROM stdin;', "public.chunk(id,text)"),
        ('COPY "Схема; --".chunk ("a "" , b", "с)т") FROM stdin;', 'Схема; --.chunk(a " , b,с)т)'),
        ("COPY\n  app . chunk\n  (id,\n text)\nFROM stdin;", "app.chunk(id,text)"),
        (
            "SET search_path = app, pg_catalog;\nCOPY chunk (id, text) FROM stdin;",
            "app.chunk(id,text)",
        ),
        ("/* a */ COPY -- b;\n chunk (id, text) FROM stdin;", "public.chunk(id,text)"),
    ],
)
def test_headers(statement: str, name: str) -> None:
    assert taken(f"{statement}\n1\tда\n\\.\n") == [(name, ["1", "да"])]


@pytest.mark.parametrize(
    "statement",
    ['COPY "Chunk" (id, text) FROM stdin;', "COPY chunks (id, text) FROM stdin;"],
)
def test_other_tables_are_skipped(statement: str) -> None:
    assert taken(f"{statement}\n1\tда\n\\.\n") == []


@pytest.mark.parametrize(
    "wrapper",
    [
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\n{}$$;\n",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $_$ $$ \n{} $$ $_$;\n",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $тег$\n{}$тег$;\n",
        "COMMENT ON TABLE t IS 'a\n{}';\n",
        "COMMENT ON TABLE t IS 'it''s\n{}';\n",
        "COMMENT ON TABLE t IS E'it\\'s \\\\\n{}';\n",
        "COMMENT ON TABLE t IS e'it\\'''\n{}';\n",
        'COMMENT ON TABLE "a""\n{}" IS NULL;\n',
        "/* a /* nested */ 'x\n{}*/\n",
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1;\n{});\n",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n"
        "SELECT CASE WHEN true THEN 1 END;\n{}END;\n",
        "CREATE PROCEDURE f(begin int) LANGUAGE sql AS $$\n{}$$;\n",
        "SELECT $1, a$b$c, 'x\n{}';\n",
        "COPY other (a, b) FROM stdin;\n{}",
        "\\! echo '\n-- {}\n",
    ],
)
def test_nothing_is_taken_out_of_other_things(wrapper: str) -> None:
    inner = "COPY public.chunk (id, text) FROM stdin;\n1\tвзлом\n"
    if wrapper.startswith("COPY other"):
        # In another table's data it is a row like any other, of as many fields.
        inner = "COPY public.chunk\tFROM stdin;\n1\tвзлом\n\\.\n"
    if wrapper.startswith("\\!"):
        inner = "COPY public.chunk (id, text) FROM stdin;"
    assert taken(wrapper.format(inner) + BLOCK) == [ROW]


def test_backslashes_in_old_strings() -> None:
    script = f"SET standard_conforming_strings = off;\nSELECT 'a\\'\nb';\n{BLOCK}"
    assert taken(script) == [ROW]
    # By today's rule the same literal ends earlier, and the rest is damage.
    with pytest.raises(DumpError):
        taken(script.replace("off", "on"))


def test_psql_commands_are_passed_over() -> None:
    script = f"\\restrict abc\n\\connect postgres\n\\copy chunk from '/etc/passwd'\n{BLOCK}"
    assert taken(f"{script}\\unrestrict abc\n") == [ROW]
    with pytest.raises(DumpError, match="cut off"):
        taken(script)
    with pytest.raises(DumpError, match="cut off"):
        taken(f"{script}\\unrestrict ab")


def test_facts() -> None:
    script = f"""--
-- PostgreSQL database dump
--
-- Dumped from database version 14.4 (Debian 14.4-1)
SET client_encoding = 'UTF8';
CREATE TABLE public.chunk (id integer DEFAULT nextval('x'::regclass));
CREATE UNLOGGED TABLE IF NOT EXISTS other (id integer);
INSERT INTO "public"."chunk" VALUES (1, 'a;b');
INSERT INTO other VALUES (1);
{BLOCK}COPY other (id) FROM stdin;
1
\\.
-- PostgreSQL database dump complete
"""
    _, facts = parse(script)
    assert facts.server_version == "14.4 (Debian 14.4-1)"
    assert (facts.begun, facts.ended) == (1, 1)
    assert facts.copied == ["public.chunk", "public.other"]
    assert facts.inserted == {"chunk"}
    assert ("public", "chunk") in facts.relations.declared


def test_header_inside_a_literal_is_no_header() -> None:
    _, facts = parse(f"SELECT '\n-- PostgreSQL database dump\n';\n{BLOCK}")
    assert facts.begun == 0


def test_encodings() -> None:
    row = "COPY chunk (t) FROM stdin;\nЁж\n\\.\n"
    for declared, codec in (("WIN1251", "cp1251"), ("koi8-r", "koi8-r"), ("UTF-8", "utf-8")):
        script = f"SET client_encoding = '{declared}';\n{row}".encode(codec)
        assert taken(script) == [("public.chunk(t)", ["Ёж"])]
    # Escapes stand for bytes, which are decoded after.
    assert taken(b"COPY chunk (t) FROM stdin;\n\\320\\201\\xd0\\xb6\n\\.\n")[0][1] == ["Ёж"]
    odd = f"SET client_encoding = 'SQL_ASCII';\n{row}".encode("cp1251")
    assert taken(odd) == [("public.chunk(t)", ["t is not valid 'SQL_ASCII' text"])]
    with pytest.raises(DumpError, match="--encoding=UTF8"):
        codec_of("BIG5")


def test_long_lines_of_other_tables_are_no_matter() -> None:
    def pieces() -> Iterable[bytes]:
        yield b"COPY other (a, b) FROM stdin;\n"
        yield b"x" * 1000
        yield b"\\."  # a piece, not a line
        yield b"\n"
        yield b"\\.\n"
        yield from BLOCK.encode().splitlines(keepends=True)

    rows: Rows = []
    CopyReader(["chunk"], lambda header: Sink(header, rows)).read(pieces())
    assert rows == [ROW]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("COPY chunk (id) FROM stdin;\n1\n", "begins on line 1 and has no end"),
        ("COPY other (id) FROM stdin;\n1\n", "'other' begins on line 1 and has no end"),
        ("COPY other (a, b) FROM stdin;\n1\t2\n\nSELECT 1;\n", "line 3: 1 fields"),
        ("\nCREATE TABLE x (\n", "statement on line 2 has no end"),
        ("\nSELECT $$x\n", "statement on line 2 has no end"),
        ("\n\n/* x\n", "statement on line 3 has no end"),
        ("COPY chunk (id, ) FROM stdin;\n", "does not name its columns"),
        ("COPY chunk (id FROM stdin;\n1\n\\.\n", "an end of table data"),
        (BLOCK + "\\.\n", "line 4: an end of table data"),
        ("\x1b[31mevil\x07;", r"'\?\[31mevil\?' is not an SQL"),
    ],
)
def test_refusals(script: str, message: str) -> None:
    with pytest.raises(DumpError, match=message) as caught:
        taken(script)
    assert str(caught.value).isprintable()
