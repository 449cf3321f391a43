"""The built dump: real, whole, in the production schema, the same bytes from the same sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from rag_bench.demo.corpus import Corpus
from rag_bench.demo.dump import DUMP_NAME, RECEIPT_NAME, build_demo_dump
from rag_bench.demo.production import FIRST_CHUNK_ID, placeholder_vector
from rag_bench.errors import RagBenchError
from rag_bench.source.folder import candidates
from rag_bench.source.load import load_dump, newest_unloaded
from rag_bench.source.question_files.dataset_files import read_gold
from rag_bench.store.embedded import EmbeddedServer, pg_bin
from rag_bench.store.snapshots import chunks_of

N_ROWS = 300


@pytest.fixture
def sources(tmp_path: Path, data_dir: Path) -> Path:
    """A copy of the data folder that a test may change."""
    copy = tmp_path / "data"
    for name in ("corpus", "phrasings"):
        shutil.copytree(data_dir / name, copy / name)
    return copy


@pytest.fixture
def restored(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to a database that the dump was restored into by psql."""
    built = build_demo_dump(data_dir, tmp_path / "dumps", server, n_rows=N_ROWS)
    name = f"test_restored_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}" template template0')
        try:
            subprocess.run(
                [
                    *(str(pg_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                    *("-f", str(built.path), server.url(name)),
                ],
                check=True,
                capture_output=True,
            )
            with psycopg.connect(server.url(name)) as connection:
                yield connection
        finally:
            admin.execute(f'drop database if exists "{name}" with (force)')


def _scratch(server: EmbeddedServer) -> list[str]:
    with psycopg.connect(server.url("postgres")) as admin:
        rows = admin.execute(
            "select datname from pg_database where datname like 'rag_bench_scratch%'"
        ).fetchall()
    return [str(name) for (name,) in rows]


def test_psql_restores_it_into_the_production_schema(
    restored: psycopg.Connection[tuple[object, ...]], corpus: Corpus
) -> None:
    def one(query: str) -> object:
        row = restored.execute(query).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None

    assert one("select count(*) from chunk") == corpus.n_chunks
    assert one("select min(id) from chunk") == FIRST_CHUNK_ID
    assert one("select max(id) from chunk") == FIRST_CHUNK_ID + corpus.n_chunks - 1
    assert one("select count(*) from question_answer") == N_ROWS
    assert one("select version_num from alembic_version") == "86c962b93381"
    columns = restored.execute(
        "select table_name, column_name, udt_name, is_nullable from information_schema.columns"
        " where table_schema = 'public' order by table_name, ordinal_position"
    ).fetchall()
    found = {
        (table, column): (kind, nullable == "YES") for table, column, kind, nullable in columns
    }
    assert found[("chunk", "embedding")] == ("vector", False)
    assert found[("question_answer", "embedding")] == ("vector", True)
    assert found[("question_answer", "stop_point")] == ("bool", False)
    assert found[("holiday_template", "type")] == ("holiday_types", False)
    assert [c for t, c, *_ in columns if t == "question_answer"] == [
        *("id", "question", "embedding", "answer", "confluence_url", "score", "user_id"),
        *("created_at", "updated_at", "stop_point"),
    ]
    # The next reindex in production goes on from where the ids end.
    assert one("select nextval('chunk_id_seq')") == FIRST_CHUNK_ID + corpus.n_chunks


def test_texts_survive_the_way_through_the_dump(
    restored: psycopg.Connection[tuple[object, ...]], corpus: Corpus
) -> None:
    rows = restored.execute("select confluence_url, text from chunk order by id").fetchall()
    assert rows == [(page.url, text) for page, text in corpus.chunks()]


def test_vectors_have_the_productions_size_and_length_one(
    restored: psycopg.Connection[tuple[object, ...]],
) -> None:
    row = restored.execute(
        "select min(vector_dims(embedding)), max(abs(vector_norm(embedding) - 1)),"
        " count(distinct embedding::text) from chunk"
    ).fetchone()
    assert row is not None
    assert row[0] == 1024
    assert row[1] == pytest.approx(0, abs=1e-6)
    assert row[2] > 100
    for text in ("", "а", "стипендия"):
        values = [float(value) for value in placeholder_vector(text)[1:-1].split(",")]
        assert len(values) == 1024
        assert sum(value * value for value in values) == pytest.approx(1)
    embedded = restored.execute(
        "select bool_and((embedding is not null) = (score is not distinct from 5))"
        " from question_answer"
    ).fetchone()
    assert embedded == (True,)


def test_people_in_it_are_obviously_invented(
    restored: psycopg.Connection[tuple[object, ...]],
) -> None:
    emails = [str(e) for (e,) in restored.execute("select email from admin").fetchall()]
    assert len(emails) >= 2
    assert all(email.endswith("@example.com") for email in emails)
    hashes = restored.execute("select password_hash from admin").fetchall()
    assert all(str(value).startswith("!") for (value,) in hashes)
    lowest = restored.execute(
        'select least(min(vk_id), min(telegram_id)), count(*) from "user"'
    ).fetchone()
    assert lowest is not None
    assert int(str(lowest[0])) > 900_000_000_000
    assert int(str(lowest[1])) > 50


def test_the_same_sources_give_the_same_bytes(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> None:
    first = build_demo_dump(data_dir, tmp_path / "a", server, n_rows=N_ROWS)
    second = build_demo_dump(data_dir, tmp_path / "b", server, n_rows=N_ROWS)
    assert not first.reused
    assert not second.reused
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256


def test_only_what_changed_is_built_again(
    tmp_path: Path, sources: Path, server: EmbeddedServer
) -> None:
    out = tmp_path / "dumps"
    first = build_demo_dump(sources, out, server, n_rows=N_ROWS)
    stamp = first.path.stat().st_mtime_ns
    again = build_demo_dump(sources, out, server, n_rows=N_ROWS)
    assert again.reused
    assert (again.sha256, again.n_chunks, again.n_questions) == (
        first.sha256,
        first.n_chunks,
        first.n_questions,
    )
    assert first.path.stat().st_mtime_ns == stamp

    page = next(iter(sorted((sources / "corpus").glob("*.md"))))
    page.write_text(page.read_text(encoding="utf-8") + "\n=====\n\nНовый раздел.\n", "utf-8")
    changed = build_demo_dump(sources, out, server, n_rows=N_ROWS)
    assert not changed.reused
    assert changed.sha256 != first.sha256
    assert changed.n_chunks == first.n_chunks + 1
    assert [path.name for path in candidates(out)] == [DUMP_NAME]


def test_a_damaged_or_missing_file_is_built_again(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> None:
    out = tmp_path / "dumps"
    first = build_demo_dump(data_dir, out, server, n_rows=N_ROWS)
    whole = first.path.read_bytes()
    for damage in (
        lambda: first.path.write_bytes(whole[:-100]),
        lambda: first.path.unlink(),
        lambda: (out / RECEIPT_NAME).write_text("[]"),
        lambda: (out / RECEIPT_NAME).unlink(),
    ):
        damage()
        again = build_demo_dump(data_dir, out, server, n_rows=N_ROWS)
        assert not again.reused
        assert again.path.read_bytes() == whole


def test_it_is_plain_sql_without_owner_time_or_randomness(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> None:
    text = build_demo_dump(data_dir, tmp_path, server, n_rows=N_ROWS).path.read_text("utf-8")
    assert text.startswith("--\n-- PostgreSQL database dump\n")
    assert "COPY public.chunk (id, confluence_url, text, embedding" in text
    assert "COPY public.admin " in text
    assert "OWNER TO" not in text
    assert "GRANT" not in text
    assert re.search(r"^\\restrict [0-9a-f]{32}$", text, re.M)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECEIPT_NAME, DUMP_NAME]


def test_leftovers_of_a_killed_build_are_dropped_and_nothing_else(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> None:
    stale = f"rag_bench_scratch_demo_{uuid.uuid4().hex}"
    foreign = f"rag_bench_scratch_demo_keep_{uuid.uuid4().hex[:6]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{foreign}"')
        admin.execute(f'create database "{stale}"')
    try:
        build_demo_dump(data_dir, tmp_path, server, n_rows=N_ROWS)
        found = _scratch(server)
        assert foreign in found
        assert stale not in found
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f'drop database if exists "{foreign}" with (force)')
            admin.execute(f'drop database if exists "{stale}" with (force)')


def test_a_server_is_named_by_url_too(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer
) -> None:
    by_url = build_demo_dump(data_dir, tmp_path / "a", server.url("postgres"), n_rows=N_ROWS)
    by_server = build_demo_dump(data_dir, tmp_path / "b", server, n_rows=N_ROWS)
    assert not by_url.reused
    assert by_url.sha256 == by_server.sha256


def test_the_projects_own_loader_takes_it(
    tmp_path: Path, data_dir: Path, server: EmbeddedServer, engine: Engine, corpus: Corpus
) -> None:
    built = build_demo_dump(data_dir, tmp_path, server)
    found = newest_unloaded(engine, tmp_path)
    assert found == built.path
    report = load_dump(engine, built.path)
    assert report.snapshot.sha256 == built.sha256
    assert (report.snapshot.n_chunks, report.snapshot.n_questions) == (
        built.n_chunks,
        built.n_questions,
    )
    chunks = chunks_of(engine, built.sha256)
    assert [(chunk.page_url, chunk.text) for chunk in chunks] == [
        (page.url, text) for page, text in corpus.chunks()
    ]
    gold = read_gold(sorted((data_dir / "gold").glob("*.jsonl")), chunks)
    assert all(item.chunk_hashes for item in gold)


def test_a_failed_build_leaves_the_last_dump_and_no_database(
    tmp_path: Path, sources: Path, server: EmbeddedServer
) -> None:
    out = tmp_path / "dumps"
    first = build_demo_dump(sources, out, server, n_rows=N_ROWS)
    (sources / "phrasings" / "zz.jsonl").write_text('{"text": "без темы"}\n', encoding="utf-8")
    with pytest.raises(RagBenchError, match=r"zz\.jsonl:1"):
        build_demo_dump(sources, out, server, n_rows=N_ROWS)
    (sources / "phrasings" / "zz.jsonl").write_text("", encoding="utf-8")
    nowhere = f"postgresql://postgres:secret-word@/postgres?host={tmp_path}&port=1"
    with pytest.raises(RagBenchError, match="could not be built") as caught:
        build_demo_dump(sources, out, nowhere, n_rows=N_ROWS)
    assert "secret-word" not in str(caught.value)
    assert first.path.exists()
    assert sorted(path.name for path in out.iterdir()) == [RECEIPT_NAME, DUMP_NAME]


def test_the_whole_demo_stays_small(tmp_path: Path, data_dir: Path, server: EmbeddedServer) -> None:
    built = build_demo_dump(data_dir, tmp_path, server)
    assert built.n_questions == 5200
    assert built.path.stat().st_size < 8_000_000
