"""Vectors in pgvector: written once by binary COPY, read back as one float32 matrix.

A vector's address is (encoder key, hash of the exact text encoded). Rows are never changed:
whoever encodes the same text with the same encoder would write the same row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, text

from rag_bench.errors import RagBenchError
from rag_bench.store.tables import SCHEMA

_HASH_LENGTH = 64
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_READ_BLOCK_BYTES = 8 << 20
_WRITE_BLOCK_ROWS = 4096


class MissingVectorsError(RagBenchError):
    """Some texts have no vector yet; ``missing`` says how many of ``wanted``."""

    def __init__(self, missing: int, wanted: int) -> None:
        super().__init__(
            f"{missing} of {wanted} texts have no embedding by this encoder. "
            "Materialize the assets chunk_embeddings and question_embeddings, then try again."
        )
        self.missing = missing
        self.wanted = wanted


def missing(
    database: Connection | Engine, encoder_key: str, text_hashes: Iterable[str]
) -> set[str]:
    """Return those of ``text_hashes`` that have no vector by this encoder."""
    wanted = set(text_hashes)
    return wanted - _present(database, encoder_key, wanted)


def coverage(
    database: Connection | Engine, encoder_key: str, text_hashes: Iterable[str]
) -> tuple[int, int]:
    """Return (distinct texts with a vector, distinct texts wanted)."""
    wanted = set(text_hashes)
    return len(_present(database, encoder_key, wanted)), len(wanted)


def truncated_count(
    database: Connection | Engine, encoder_key: str, text_hashes: Iterable[str]
) -> tuple[int, int]:
    """Return (distinct texts cut by the encoder's token limit, distinct texts with a vector)."""
    query = text(
        f"""
        select count(*) filter (where truncated), count(*)
        from {SCHEMA}.embedding
        join unnest(cast(:hashes as text[])) as wanted (text_hash) using (text_hash)
        where encoder = :encoder
        """
    )
    with _connected(database) as connection:
        row = connection.execute(
            query, {"encoder": encoder_key, "hashes": sorted(set(text_hashes))}
        ).one()
    return int(row[0]), int(row[1])


def truncated_among(
    database: Connection | Engine, encoder_key: str, text_hashes: Iterable[str]
) -> set[str]:
    """Return those of ``text_hashes`` of which this encoder read only the beginning."""
    if not (wanted := sorted(set(text_hashes))):
        return set()
    query = text(
        f"""
        select text_hash
        from {SCHEMA}.embedding
        join unnest(cast(:hashes as text[])) as wanted (text_hash) using (text_hash)
        where encoder = :encoder and truncated
        """
    )
    with _connected(database) as connection:
        rows = connection.execute(query, {"encoder": encoder_key, "hashes": wanted})
        return set(rows.scalars())


def save_vectors(
    engine: Engine,
    encoder_key: str,
    model: str,
    text_hashes: Sequence[str],
    vectors: np.ndarray,
    n_tokens: np.ndarray,
    truncated: np.ndarray,
) -> int:
    """Store vectors, all or none; those already there are left as they are.

    Any number of writers may store the same texts at once.

    Args:
        engine: The database.
        encoder_key: The address of the encoder.
        model: The encoder's readable name.
        text_hashes: n hashes (hex sha256) of the exact texts encoded.
        vectors: float32, shape (n, dimension).
        n_tokens: int, shape (n,).
        truncated: bool, shape (n,).

    Returns:
        How many rows were new.

    Raises:
        ValueError: the shapes do not fit each other, a hash is not one, or a vector is not finite.
    """
    n = len(text_hashes)
    if vectors.ndim != 2 or not len(vectors) == len(n_tokens) == len(truncated) == n:
        raise ValueError(
            f"{n} hashes, vectors {vectors.shape}, {len(n_tokens)} counts, {len(truncated)} flags"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("a vector holds a value that is not finite")
    hashes = _hash_array(text_hashes)
    if n == 0:
        return 0
    with engine.begin() as connection, _cursor(connection) as cursor:
        cursor.execute(
            f"create temp table new_vectors on commit drop as"
            f" select text_hash, n_tokens, truncated, vector from {SCHEMA}.embedding with no data"
        )
        with cursor.copy("copy new_vectors from stdin (format binary)") as copy:
            copy.write(_COPY_HEADER)
            for start in range(0, n, _WRITE_BLOCK_ROWS):
                rows = slice(start, start + _WRITE_BLOCK_ROWS)
                copy.write(_pack(hashes[rows], vectors[rows], n_tokens[rows], truncated[rows]))
            copy.write(_COPY_TRAILER)
        # In one order by all writers, so that two of them wait for each other in one direction.
        cursor.execute(
            f"""
            insert into {SCHEMA}.embedding
                (encoder, text_hash, model, n_tokens, truncated, vector)
            select %s, text_hash, %s, n_tokens, truncated, vector
            from new_vectors order by text_hash
            on conflict do nothing
            """,
            [encoder_key, model],
        )
        return int(cursor.rowcount)


def fetch_matrix(engine: Engine, encoder_key: str, text_hashes: Sequence[str]) -> np.ndarray:
    """Return the vectors of n texts as float32, shape (n, dimension), in the order asked.

    Each distinct text is sent once. With n = 0 the shape is (0, 0).

    Raises:
        MissingVectorsError: some text has no vector by this encoder.
    """
    if not len(text_hashes):
        return np.zeros((0, 0), dtype=np.float32)
    distinct = list(dict.fromkeys(text_hashes))
    with engine.begin() as connection, _cursor(connection) as cursor:
        _stage_wanted(cursor, distinct)
        matrix = _read_matrix(cursor, encoder_key, len(distinct))
    if len(distinct) == len(text_hashes):
        return matrix
    row_of = {value: row for row, value in enumerate(distinct)}
    return matrix[[row_of[value] for value in text_hashes]]


def _present(database: Connection | Engine, encoder_key: str, wanted: set[str]) -> set[str]:
    if not wanted:
        return set()
    query = text(
        f"""
        select text_hash from {SCHEMA}.embedding
        join unnest(cast(:hashes as text[])) as wanted (text_hash) using (text_hash)
        where encoder = :encoder
        """
    )
    with _connected(database) as connection:
        rows = connection.execute(query, {"encoder": encoder_key, "hashes": sorted(wanted)})
        return set(rows.scalars())


@contextlib.contextmanager
def _connected(database: Connection | Engine) -> Iterator[Connection]:
    if isinstance(database, Connection):
        yield database
    else:
        with database.connect() as connection:
            yield connection


def _cursor(connection: Connection) -> Any:
    """Return a cursor of the driver itself, inside the connection's transaction: for COPY."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver.cursor()


def _hash_array(text_hashes: Sequence[str]) -> np.ndarray:
    """Return hashes as fixed-width bytes, shape (n,)."""
    if any(len(value) != _HASH_LENGTH for value in text_hashes):
        raise ValueError(f"a text hash must be {_HASH_LENGTH} hexadecimal digits")
    return np.array(text_hashes, dtype=f"S{_HASH_LENGTH}")


def _pack(
    hashes: np.ndarray, vectors: np.ndarray, n_tokens: np.ndarray, truncated: np.ndarray
) -> memoryview:
    """Lay rows out as COPY's binary format wants them: a length before each field, big endian."""
    dimension = vectors.shape[1]
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("hash_size", ">i4"),
            ("hash", f"S{_HASH_LENGTH}"),
            ("tokens_size", ">i4"),
            ("tokens", ">i4"),
            ("truncated_size", ">i4"),
            ("truncated", "u1"),
            ("vector_size", ">i4"),
            ("dimension", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f4", (dimension,)),
        ]
    )
    rows = np.zeros(len(hashes), dtype=layout)
    rows["fields"] = 4
    rows["hash_size"], rows["hash"] = _HASH_LENGTH, hashes
    rows["tokens_size"], rows["tokens"] = 4, n_tokens
    rows["truncated_size"], rows["truncated"] = 1, truncated
    rows["vector_size"], rows["dimension"] = 4 + 4 * dimension, dimension
    rows["vector"] = vectors
    return memoryview(rows.tobytes())


def _stage_wanted(cursor: Any, distinct: Sequence[str]) -> None:
    """Put (row, text hash) into a temporary table of this transaction, ``wanted``."""
    hashes = _hash_array(distinct)
    layout = np.dtype(
        [
            ("fields", ">i2"),
            ("row_size", ">i4"),
            ("row", ">i4"),
            ("hash_size", ">i4"),
            ("hash", f"S{_HASH_LENGTH}"),
        ]
    )
    rows = np.zeros(len(hashes), dtype=layout)
    rows["fields"], rows["row_size"], rows["hash_size"] = 2, 4, _HASH_LENGTH
    rows["row"], rows["hash"] = np.arange(len(hashes)), hashes
    cursor.execute("create temp table wanted (row integer, text_hash text) on commit drop")
    with cursor.copy("copy wanted from stdin (format binary)") as copy:
        copy.write(_COPY_HEADER)
        copy.write(rows.tobytes())
        copy.write(_COPY_TRAILER)
    cursor.execute("analyze wanted")


def _read_matrix(cursor: Any, encoder_key: str, n: int) -> np.ndarray:
    """Read the vectors of the table ``wanted`` in the order that the server likes."""
    matrix: np.ndarray | None = None
    found = 0
    pending = bytearray()
    query = f"""
        copy (
            select wanted.row, embedding.vector
            from wanted join {SCHEMA}.embedding using (text_hash)
            where embedding.encoder = %s
        ) to stdout (format binary)
    """

    def place(rows: np.ndarray) -> None:
        nonlocal found
        assert matrix is not None
        # All vectors of an encoder have one dimension, as its key holds the weights' hash.
        if (rows["dimension"] != matrix.shape[1]).any():
            raise RagBenchError("Stored vectors of one encoder differ in dimension.")
        matrix[rows["row"]] = rows["vector"]
        found += len(rows)

    with cursor.copy(query, [encoder_key]) as copy:
        layout = np.dtype("V1")
        for block in copy:
            pending += block
            if matrix is None:
                if not pending.startswith(_COPY_HEADER):
                    raise RagBenchError("PostgreSQL sent a COPY stream of an unknown format.")
                del pending[: len(_COPY_HEADER)]
                if len(pending) < 16:  # the header alone, or header and end of an empty result
                    pending[:0] = _COPY_HEADER
                    continue
                layout = _row_layout(int.from_bytes(pending[14:16], "big"))
                matrix = np.empty((n, layout["vector"].shape[0]), dtype=np.float32)
            if len(pending) >= _READ_BLOCK_BYTES:
                whole = len(pending) // layout.itemsize
                place(np.frombuffer(bytes(pending), layout, whole))
                del pending[: whole * layout.itemsize]
    if matrix is not None:
        place(np.frombuffer(bytes(pending), layout, len(pending) // layout.itemsize))
    if matrix is None or found < n:
        raise MissingVectorsError(n - found, n)
    return matrix


def _row_layout(dimension: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("fields", ">i2"),
            ("row_size", ">i4"),
            ("row", ">i4"),
            ("vector_size", ">i4"),
            ("dimension", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f4", (dimension,)),
        ]
    )
