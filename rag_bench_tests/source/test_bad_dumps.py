"""Bad dumps: each gives one clear error, runs nothing, and leaves the last good snapshot."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import DumpError
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.dumps.rows import ParsedDump
from rag_bench.source.load import load_dump
from rag_bench.source.source_file import SourceFile
from rag_bench.store.snapshots import chunks_of, current_snapshot
from rag_bench_tests.source.production_database import CHUNKS, QUESTIONS, Database, gzipped

COPY_CHUNK = b"COPY public.chunk (id, confluence_url, text, embedding, created_at, updated_at)"


def refusal(path: Path) -> str:
    """Return the message of the one error that reading a bad dump must end in."""
    with pytest.raises(DumpError) as caught:
        read_dump(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "Traceback" not in message
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


def write(folder: Path, content: bytes, name: str = "bad.dump") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["plain", "custom", "tar"])
@pytest.mark.parametrize("packed", [False, True], ids=["as is", "gzipped"])
def test_cut_off_anywhere(
    kind: str, packed: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path: Path = request.getfixturevalue(kind)
    content = (gzipped(path, tmp_path) if packed else path).read_bytes()
    chance = random.Random(7)
    whole = len(content.rstrip(b"\n\0")) if not packed else len(content)
    cuts = {chance.randrange(whole) for _ in range(40)} | {1, 2, 5, 8, 11, 300, whole - 1}
    for cut in sorted(cuts):
        refusal(write(tmp_path, content[:cut]))
    for cut in (whole // 3, whole // 2, whole - 1):
        message = refusal(write(tmp_path, content[:cut]))
        assert re.search("cut off|damaged", message), message


def test_cut_between_the_tables(plain: Path, tmp_path: Path) -> None:
    # Both tables are whole here; only the closing line tells.
    content = plain.read_bytes()
    cut = content.index(b"-- Name: chunk_id_seq; Type: SEQUENCE SET")
    assert "is missing" in refusal(write(tmp_path, content[: cut - 3]))


def refused_or_right(path: Path) -> ParsedDump | None:
    """Read a dump that may be damaged: refused in one line (None), or with the right chunks."""
    try:
        parsed = read_dump(path)
    except DumpError:
        refusal(path)
        return None
    assert [(row.page_url, row.text) for row in parsed.chunks] == CHUNKS
    return parsed


def test_flipped_bits_never_change_a_row(custom: Path, tmp_path: Path) -> None:
    content = custom.read_bytes()
    chance = random.Random(11)
    refused = 0
    for _ in range(120):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path = write(tmp_path, bytes(damaged))
        refused += refused_or_right(path) is None
    assert refused > 10


def test_flipped_bits_in_the_data(custom: Path, tmp_path: Path) -> None:
    content = custom.read_bytes()
    # Each block of data ends with zlib's checksum; the last ones are at the end of the file.
    refused = 0
    for back in (8, 40, 80, 120):
        damaged = bytearray(content)
        damaged[-back] ^= 16
        path = write(tmp_path, bytes(damaged))
        parsed = refused_or_right(path)
        if parsed is None:
            refused += 1
        else:  # it hit a block's header, whose place depends on how well the rows pack
            assert len(parsed.questions) == len(QUESTIONS)
            assert not parsed.tables["question_answer"]["left_out"]
    assert refused


def test_what_is_not_a_dump(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("a.sql", "select 1;")
    for content, message in (
        (b"", "is empty"),
        (b"\n \n", "no data of table chunk"),
        (bz2.compress(b"x" * 100), "bzip2.*bunzip2"),
        (lzma.compress(b"x" * 100), "xz.*unxz"),
        (zipped.getvalue(), "zip.*unzip"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd -d FILE"),
        (b"\x04\x22\x4d\x18" + bytes(100), "lz4 -d FILE"),
        (gzip.compress(gzip.compress(b"select 1;")), "gzipped twice"),
        (gzip.compress(b""), "is empty"),
        ("-- PostgreSQL database dump\n".encode("utf-16"), "UTF-16.*pg_dump -f"),
        (b"<!DOCTYPE html><title>Login</title>", "web page"),
        (b'{"data": []}', "import-squad"),
        (b"-- MySQL dump 10.13\n", "MySQL"),
        (random.Random(1).randbytes(4000), "unknown binary data|not an SQL|NUL"),
        (b"PGDMP", "inside its header"),
        (b"PGDMP\x01\x10\x00\x04\x08\x05" + bytes(50), "toc.dat"),
        (b"PGDMP\x01\x10\x00\x04\x08\x77" + bytes(50), "header is damaged"),
        (b"select 1;\ncreate table chunk (id int);\n", "declared but its data is not"),
        (b"select 'open", "has no end"),
        (b"/* open", "has no end"),
        ("Привет, это не дамп;".encode(), "not an SQL statement"),
        ("Привет, это не дамп".encode(), "has no end"),
        (b"id,url,text\n1,u,t\n", "has no end"),
    ):
        assert re.search(message, refusal(write(tmp_path, content))), content[:40]


def test_folders_pipes_and_missing_files(production: Database, tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.dump")
    assert "this is a directory" in refusal(tmp_path)
    assert "directory-format dump" in refusal(production.dump("-Fd"))
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_tar_files_that_pg_dump_did_not_make(
    production: Database, plain: Path, tmp_path: Path
) -> None:
    around = tmp_path / "around.tar"
    with tarfile.open(around, "w") as tar:
        tar.add(plain, "backup/db.sql")
    assert "tar -xf" in refusal(around)
    directory = tmp_path / "directory.tar.gz"
    with tarfile.open(directory, "w:gz") as tar:
        tar.add(production.dump("-Fd"), "dump")
    assert "directory-format dump packed" in refusal(directory)


def test_inserts_are_refused_with_the_command(production: Database, tmp_path: Path) -> None:
    for options in (("-Fp", "--inserts"), ("-Fc", "--column-inserts")):
        message = refusal(production.dump(*options))
        assert "INSERT" in message
        assert "`pg_dump -Fc -Z6" in message
    assert "INSERT" in refusal(gzipped(production.dump("--inserts"), tmp_path))


@pytest.mark.parametrize("method", ["zstd", "lz4"])
def test_archives_compressed_otherwise(method: str, custom: Path, tmp_path: Path) -> None:
    # No pg_dump here can compress so; the header's algorithm byte is what pg_restore looks at.
    content = bytearray(custom.read_bytes())
    assert content[11] == 1  # gzip
    content[11] = {"lz4": 2, "zstd": 3}[method]
    message = refusal(write(tmp_path, bytes(content)))
    assert method.upper() in message.upper()
    assert "-Z6" in message


def test_wrong_tables_and_columns(make_database: Callable[[str], Database]) -> None:
    other = make_database("create table orders (id int); insert into orders values (1);")
    message = refusal(other.dump("-Fc"))
    assert "no data of table chunk" in message
    assert "public.orders" in message
    assert "declared but its data" in refusal(
        make_database("create table chunk (id int)").dump("--schema-only")
    )
    half = make_database("create table chunk (id int, url text, text text)")
    assert "no data of table question_answer" in refusal(half.dump())
    columns = make_database("create table chunk (id int, body text)")
    message = refusal(columns.dump())
    assert "confluence_url or url, text" in message
    assert "id, body" in message


QUESTION_TABLE = """create table question_answer (id int, question text, answer text, url text,
    score text, user_id int, created_at text);"""


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "chunk is empty"),
        ("insert into chunk values ('1', 'u', ' ')", r"1: its text is blank \(id 1, line"),
        ("insert into chunk values ('1', '', 't'), ('2', null, 't')", "2: it has no page URL"),
        ("insert into chunk select n, 'u', '' from generate_series(1, 9) n", r"9: .*, \.\.\.\)"),
        ("insert into chunk values ('1', 'u', repeat('ы', 600000))", "1,048,576 bytes allowed"),
    ],
)
def test_chunks_that_cannot_be_used_at_all(
    rows: str, message: str, make_database: Callable[[str], Database]
) -> None:
    database = make_database(
        f"create table chunk (id text, url text, text text); {QUESTION_TABLE} {rows}"
    )
    assert re.search(message, refusal(database.dump("-Fc")))


def test_damage_in_the_middle(plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    middle = content.index(b"\n", content.index(b"CREATE TABLE public.chunk")) + 1
    rows = content.index(b"\n", content.rindex(COPY_CHUNK)) + 1
    between = content.index(b"CREATE TABLE public.chunk")
    for position, garbage, message in (
        (between, b"SELEC broken FROM nowhere;\n", "'SELEC broken FROM nowhere' is not an SQL"),
        (between, b"psql: error: connection lost\n", "is not an SQL statement"),
        (between, b"\0\0\0\0", "NUL"),
        (between, b"\\.\n", "where no table data began"),
        (middle, b"\\garbage\n", "inside a statement"),
        (middle, b"'", "has no end|is not an SQL|no table data began|inside a statement"),
        (middle, b"((((", "has no end|is not an SQL|no table data began|inside a statement"),
        (rows, b"1\tonly two\n", "2 fields where table 'chunk' has 6 columns"),
        (rows, 3 * b"7\tu\t\xff\xfe\t[1]\t\\N\t\\N\n", "3: text is not valid 'UTF8' text"),
        (rows, 3 * b"7\tu\tt\\000t\t[1]\t\\N\t\\N\n", "3: text holds a NUL character"),
        (rows, b"7\tu\tt\\\t[1]\t\\N\t\\N\n", "lone backslash"),
        (rows, b"7\tu\tt\\.\t[1]\t\\N\t\\N\n", "end-of-data marker"),
        (rows, b"7\tu\tt\t[1]\t\\N\t\\N\r\n", "line ends are mixed"),
        (rows, b"7\tu\tt\0\t[1]\t\\N\t\\N\n", "NUL byte"),
    ):
        damaged = write(tmp_path, content[:position] + garbage + content[position:])
        found = refusal(damaged)
        assert re.search(message, found), (garbage, found)
        assert re.search(r"line \d+|has no end", found), found


def test_missing_end_of_a_block(plain: Path, tmp_path: Path) -> None:
    content = plain.read_bytes()
    for table in (b"COPY public.admin", COPY_CHUNK, b"COPY public.question_answer"):
        start = content.index(b"\n\\.\n", content.rindex(b"\n" + table))
        refusal(write(tmp_path, content[:start] + content[start + 3 :]))


def test_two_databases_in_one_file(plain: Path, tmp_path: Path) -> None:
    twice = write(tmp_path, plain.read_bytes() * 2)
    assert "comes a second time" in refusal(twice)


def test_copy_options_are_not_guessed(tmp_path: Path) -> None:
    for statement in (
        b"COPY chunk (id, url, text) FROM stdin WITH (FORMAT csv);",
        b"COPY chunk (id, url, text) FROM stdin DELIMITER ',';",
        b"COPY chunk FROM stdin;",
        b"COPY chunk (id, url, text) FROM stdin; select 1;",
        b"COPY BINARY chunk (id, url, text) FROM stdin;",
    ):
        assert "COPY of table 'chunk'" in refusal(write(tmp_path, statement + b"\n1\tu\tt\n\\.\n"))


def test_hostile_sql_is_never_run(plain: Path, engine: Engine, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    attack = f"""
\\! touch {proof}
\\o | touch {proof}
COPY (select 1) TO PROGRAM 'touch {proof}';
COPY public.admin FROM PROGRAM 'touch {proof}';
CREATE FUNCTION public.owned() RETURNS void LANGUAGE sql AS 'drop schema rag_bench cascade';
SELECT public.owned();
DO $x$ begin execute 'drop schema rag_bench cascade'; end $x$;
DROP SCHEMA rag_bench CASCADE;
\\connect postgres
ALTER ROLE postgres PASSWORD 'x';
"""
    content = plain.read_bytes()
    position = content.index(b"CREATE TABLE public.chunk")
    path = write(tmp_path, content[:position] + attack.encode() + content[position:])
    report = load_dump(engine, path)
    # It was read as data: the rows are there, and none of the rest happened.
    assert [(row.page_url, row.text) for row in chunks_of(engine, report.snapshot.sha256)] == CHUNKS
    assert not proof.exists()
    with engine.connect() as connection:
        assert not connection.execute(
            text("select 1 from pg_proc where proname = 'owned'")
        ).fetchall()


def test_hostile_archives_are_never_run(custom: Path, tmp_path: Path) -> None:
    # The table of contents is patched, in place and to the same length, so that a restore by
    # a superuser would run a program.
    proof = Path(tempfile.gettempdir()) / f"rb{os.getpid()}"
    shell = f"COPY (select 1) TO PROGRAM 'touch {proof}';".encode()
    content = custom.read_bytes()
    for target in (
        COPY_CHUNK,
        b"CREATE FUNCTION public.quoted()",
        b"ALTER TABLE ONLY public.chunk",
    ):
        start = content.rindex(target)
        patched = content[:start] + shell + content[start + len(shell) :]
        try:
            parsed = read_dump(write(tmp_path, patched))
        except DumpError:
            refusal(tmp_path / "bad.dump")
        else:  # it hit what is not read at all
            assert target != COPY_CHUNK
            assert [(row.page_url, row.text) for row in parsed.chunks] == CHUNKS
        assert not proof.exists()


def test_environment_does_not_reach_pg_restore(
    custom: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGOPTIONS", "--nonsense")
    monkeypatch.setenv("PGSERVICEFILE", "/nowhere")
    monkeypatch.setenv("LC_ALL", "ru_RU.UTF-8")
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "evil.so"))
    assert len(read_dump(custom).chunks) == len(CHUNKS)


def test_file_that_grows_while_it_is_read(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = plain.read_bytes()
    path = write(tmp_path, content[:3000])

    class Growing(SourceFile):
        def __enter__(self) -> Self:
            opened = super().__enter__()
            with path.open("ab") as file:
                file.write(content[3000:])
            return opened

    with monkeypatch.context() as patch:
        patch.setattr("rag_bench.source.dumps.reader.SourceFile", Growing)
        assert "still being written" in refusal(path)
    assert len(read_dump(path).chunks) == len(CHUNKS)


def test_no_temporary_file_is_left(
    custom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    read_dump(custom)
    refusal(write(tmp_path, custom.read_bytes()[:-30]))
    assert list(folder.iterdir()) == []


def test_last_good_snapshot_survives_every_bad_dump(
    plain: Path, custom: Path, tar: Path, engine: Engine, tmp_path: Path
) -> None:
    good = load_dump(engine, custom).snapshot
    text_dump = plain.read_bytes()
    bad = [
        write(tmp_path, text_dump[:-100], "plain"),
        write(tmp_path, text_dump[: len(text_dump) // 2], "half"),
        write(tmp_path, custom.read_bytes()[:-50], "custom"),
        write(tmp_path, tar.read_bytes()[:-2000], "tar"),
        write(tmp_path, b"", "empty"),
        write(tmp_path, text_dump.replace(b"public.chunk", b"public.chunks"), "tables"),
        write(tmp_path, text_dump.replace(b"ALTER TABLE", b"ALTAR TABLE"), "error"),
        tmp_path,
        tmp_path / "missing",
    ]
    for path in bad:
        with pytest.raises(DumpError):
            load_dump(engine, path)
        current = current_snapshot(engine)
        assert current is not None
        assert current.sha256 == good.sha256
        assert len(chunks_of(engine, current.sha256)) == len(CHUNKS)
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from rag_bench.dump")).scalar() == 1
