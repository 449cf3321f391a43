"""A snapshot of a few chunks, for tests that name them and retrieve nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine

from rag_bench.hashing import chunk_hash
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

TEXTS = (
    "Политика безопасности включает управление доступом.",
    "Журналы хранятся один год.",
    "A library card is issued in room 12.",
)
SNAPSHOT = "5" * 64
#: Of the chunks, which the dump calls 1, 2 and 3.
HASHES = tuple(chunk_hash(f"kb/{n}", text) for n, text in enumerate(TEXTS, 1))


def load_chunks(engine: Engine) -> str:
    """Make the chunks the current snapshot and return its hash, `SNAPSHOT`."""
    chunks = [
        ChunkRecord(digest, n - 1, n, f"kb/{n}", text)
        for n, (digest, text) in enumerate(zip(HASHES, TEXTS, strict=True), 1)
    ]
    save_snapshot(engine, NewSnapshot(SNAPSHOT, "known.sql", "dump", 1, chunks, []))
    return SNAPSHOT


@contextmanager
def known_engine(server: EmbeddedServer, template: str) -> Iterator[Engine]:
    """Serve a database of its own with the chunks loaded, for all tests of a module."""
    name = f"test_known_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template}"')
        engine = make_engine(server.url(name))
        load_chunks(engine)
        yield engine
        engine.dispose()
        admin.execute(f'drop database "{name}" with (force)')
