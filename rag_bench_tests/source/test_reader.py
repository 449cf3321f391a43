"""Good dumps: every format gives the same rows."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rag_bench.errors import DumpError
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.limits import Limits
from rag_bench.store.embedded import EmbeddedServer, pg_bin
from rag_bench_tests.source.production_database import (
    CHUNKS,
    QUESTIONS,
    SCHEMA,
    Database,
    fill,
    gzipped,
)


def assert_production_rows(path: Path) -> None:
    parsed = read_dump(path)
    assert [(row.page_url, row.text) for row in parsed.chunks] == CHUNKS
    assert [row.source_id for row in parsed.chunks] == [1, 2, 3, 4, 5]
    assert parsed.chunks[0].created_at == datetime(2026, 2, 13, 7, 0, 1, 500000, tzinfo=UTC)
    assert parsed.chunks[0].updated_at is None
    assert [
        (r.source_id, r.question, r.answer, r.page_url, r.score, r.stop_point)
        for r in parsed.questions
    ] == QUESTIONS
    assert {row.user_id for row in parsed.questions} == {42}
    assert parsed.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert parsed.size_bytes == path.stat().st_size


@pytest.mark.parametrize("kind", ["plain", "custom", "tar"])
@pytest.mark.parametrize("packed", [False, True], ids=["as is", "gzipped"])
def test_every_format_gives_the_same_rows(
    kind: str, packed: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path: Path = request.getfixturevalue(kind)
    if packed:
        path = gzipped(path, tmp_path)
    assert_production_rows(path)
    parsed = read_dump(path)
    assert (parsed.format, parsed.gzipped) == (kind, packed)
    assert parsed.server_version is not None
    assert parsed.server_version.startswith("18.")
    assert parsed.archive_version == ("1.16" if kind == "custom" else None)
    assert "chunk.embedding was ignored" in " ".join(parsed.warnings)


@pytest.mark.parametrize(
    "options",
    [
        ("-Fc", "-Z0"),
        ("-Fp", "-Z6"),
        ("-Fp", "--clean", "--if-exists", "--create"),
        ("-Fp", "--quote-all-identifiers"),
        ("-Fp", "--data-only"),
        ("-Fp", "-t", "chunk", "-t", "question_answer", "--no-owner", "--no-privileges"),
        ("-Fc", "-t", "chunk", "-t", "question_answer"),
    ],
    ids=" ".join,
)
def test_options_of_pg_dump_make_no_difference(
    production: Database, options: tuple[str, ...]
) -> None:
    assert_production_rows(production.dump(*options))


def test_suffix_says_nothing(custom: Path, plain: Path, tmp_path: Path) -> None:
    assert_production_rows(Path(shutil.copy(custom, tmp_path / "x.sql")))
    assert_production_rows(Path(shutil.copy(plain, tmp_path / "x.tar.gz")))


def test_windows_line_ends(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "crlf.sql"
    path.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert_production_rows(path)


def test_client_encoding_is_obeyed(production: Database, tmp_path: Path) -> None:
    with production.connect() as connection:
        connection.execute("update chunk set text = 'Library' where id = 5")
    try:
        path = production.dump("--encoding=WIN1251")
        parsed = read_dump(path)
        assert parsed.chunks[2].text == CHUNKS[2][1]
        assert parsed.questions[0].question == QUESTIONS[0][1]
    finally:
        with production.connect() as connection:
            connection.execute("update chunk set text = %s where id = 5", [CHUNKS[4][1]])
    lying = tmp_path / "lying.sql"
    lying.write_bytes(path.read_bytes().replace(b"'WIN1251'", b"'UTF8'"))
    with pytest.raises(DumpError, match="not valid 'UTF8' text"):
        read_dump(lying)
    lying.write_bytes(path.read_bytes().replace(b"'WIN1251'", b"'SJIS'"))
    with pytest.raises(DumpError, match="--encoding=UTF8"):
        read_dump(lying)


@pytest.mark.parametrize(
    ("version", "archive_version"), [("15", "1.14"), ("16", "1.15")], ids=["15", "16"]
)
def test_dumps_of_older_servers(version: str, archive_version: str, server: EmbeddedServer) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        old = OldServer(version, home, server.user)
        with old:
            # No pgvector for Debian's server; the type of a column that is ignored is no matter.
            old.run(
                "psql",
                *("-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c"),
                """create role o; create table chunk (embedding text, text text not null,
                url text not null, id int); alter table chunk owner to o;
                insert into chunk values ('[1]', E'Дедлайн\\tзавтра', 'https://kb/1', 9);
                create table question_answer (id int, question text, answer text, url text,
                score int, user_id int, created_at timestamp);
                insert into question_answer
                values (1, 'в', null, null, 4, 1, '2025-01-01');""",
            )
            for option, name in (("-Fc", "c"), ("-Fp", "p"), ("-Ft", "t")):
                old.run("pg_dump", "-U", "postgres", option, "-f", str(home / name), "postgres")
        for name in ("c", "p", "t"):
            parsed = read_dump(home / name)
            assert parsed.chunks[0].text == "Дедлайн\tзавтра"
            assert parsed.chunks[0].page_url == "https://kb/1"
            assert parsed.questions[0].created_at == datetime(2025, 1, 1, tzinfo=UTC)
            assert parsed.server_version is not None
            assert parsed.server_version.startswith(f"{version}.")
            assert any("have no zone" in text for text in parsed.warnings)
        assert read_dump(home / "c").archive_version == archive_version


class OldServer:
    """A server of an older version, run for one test in a folder of its own."""

    def __init__(self, version: str, home: Path, user: str | None) -> None:
        self.home = home
        self.bin = {
            "15": Path("/usr/lib/postgresql/15/bin"),
            "16": pg_bin().parent.parent / "pginstall" / "bin",
        }[version]
        if not (self.bin / "initdb").exists():
            pytest.skip(f"no PostgreSQL {version} on this machine")
        self.user = user
        if user:
            home.chmod(0o755)
            shutil.chown(home, user)

    def run(self, program: str, *arguments: str) -> None:
        identity: dict[str, Any] = {"user": self.user, "group": self.user} if self.user else {}
        subprocess.run(
            [str(self.bin / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGHOST": str(self.home)},
            **identity,
        )

    def __enter__(self) -> None:
        data = str(self.home / "data")
        try:
            self.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        except PermissionError:
            pytest.skip(f"user {self.user} cannot run {self.bin}")
        self.run("pg_ctl", "-D", data, "-w", "-o", f"-h '' -k {self.home}", "start")

    def __exit__(self, *_: object) -> None:
        self.run("pg_ctl", "-D", str(self.home / "data"), "-m", "immediate", "stop")


def test_newer_archive_is_refused_with_the_way_out(custom: Path, tmp_path: Path) -> None:
    content = bytearray(custom.read_bytes())
    content[6] = 99
    newer = tmp_path / "newer.dump"
    newer.write_bytes(content)
    with pytest.raises(DumpError, match=r"newer pg_dump .*pg_dump -f FILE\.sql"):
        read_dump(newer)


def test_empty_questions_are_allowed(make_database: Callable[[str], Database]) -> None:
    database = make_database(
        """create table chunk (id int, confluence_url text, text text);
        insert into chunk values (1, 'u', 'т'), (2, 'u', 'т'), (3, 'u', 'д');
        create table question_answer (id int, question text, answer text, confluence_url text,
        score int, user_id int, created_at timestamptz);"""
    )
    parsed = read_dump(database.dump("-Fc"))
    assert parsed.questions == []
    assert [row.source_id for row in parsed.chunks] == [1, 3]
    assert any("no data" in text for text in parsed.warnings)
    assert any(text.startswith("1 of 3 chunks repeat") for text in parsed.warnings)


def test_tables_in_other_schemas(make_database: Callable[[str], Database]) -> None:
    columns = (
        "(id int, question text, answer text, url text, score int, user_id int, created_at date)"
    )
    two = "".join(
        f"""create schema {name}; create table {name}.chunk (id int, url text, text text);
        insert into {name}.chunk values (1, 'u', '{name}');
        create table {name}.question_answer {columns};"""
        for name in ("новая", "old")
    )
    database = make_database(two)
    path = database.dump("-Fc")
    with pytest.raises(DumpError, match=r"several schemas \('old', 'новая'\)"):
        read_dump(path)
    assert read_dump(path, schema="новая").chunks[0].text == "новая"
    with pytest.raises(DumpError, match="schema 'none' has no data"):
        read_dump(path, schema="none")
    assert read_dump(database.dump("-Fp", "--schema=old")).chunks[0].text == "old"
    with database.connect() as connection:
        connection.execute(
            f"""create table chunk (id int, url text, text text);
            insert into chunk values (1, 'u', 'public'); create table question_answer {columns}"""
        )
    assert read_dump(database.dump("-Fp")).chunks[0].text == "public"


def test_reindexed_dump_has_the_same_corpus(
    production: Database, plain: Path, make_database: Callable[[str], Database]
) -> None:
    again = make_database(SCHEMA)
    with again.connect() as connection:
        fill(connection, first_id=92_400)
    before, after = read_dump(plain), read_dump(again.dump("-Fc"))
    assert after.chunks[0].source_id == 92_400
    assert after.sha256 != before.sha256
    assert after.corpus_hash == before.corpus_hash


def test_small_limits_are_kept(plain: Path, custom: Path, tmp_path: Path) -> None:
    for path, limits, message in (
        (plain, Limits(unpacked_bytes=2000), "unpacks to more than 2,000 bytes"),
        (custom, Limits(unpacked_bytes=2000), "unpacks to more than 2,000 bytes"),
        (gzipped(plain, tmp_path), Limits(unpacked_bytes=2000), "unpacks to more than 2,000"),
        (plain, Limits(text_bytes=50), "text is longer than the 50 bytes allowed"),
        (plain, Limits(kept_bytes=100), "come to more than 100 bytes"),
        (plain, Limits(chunks=2), "more than 2 rows"),
        (custom, Limits(questions=2), "more than 2 rows"),
        (plain, Limits(line_bytes=100), "is longer than 100 bytes"),
    ):
        with pytest.raises(DumpError, match=message):
            read_dump(path, limits=limits)
