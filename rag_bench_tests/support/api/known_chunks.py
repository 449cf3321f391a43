"""A snapshot of a few chunks, for tests that name them and retrieve nothing."""

from __future__ import annotations

from sqlalchemy import Engine

from rag_bench.hashing import chunk_hash
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

TEXTS = (
    "Политика безопасности включает управление доступом.",
    "Журналы хранятся один год.",
    "A library card is issued in room 12.",
)
#: Of the chunks, which the dump calls 1, 2 and 3.
HASHES = tuple(chunk_hash(f"kb/{n}", text) for n, text in enumerate(TEXTS, 1))


def load_chunks(engine: Engine) -> str:
    """Make the chunks the current snapshot and return its hash."""
    chunks = [
        ChunkRecord(digest, n - 1, n, f"kb/{n}", text)
        for n, (digest, text) in enumerate(zip(HASHES, TEXTS, strict=True), 1)
    ]
    sha256 = "5" * 64
    save_snapshot(engine, NewSnapshot(sha256, "known.sql", "dump", 1, chunks, []))
    return sha256
