"""The same search as production makes it: one query per question, ordered by ``<=>``.

It checks the numpy search and measures what an HNSW index would lose. A production knowledge
base has a column of vectors for exactly its chunks, so that is what is searched here: a table of
this session with one snapshot's chunks. The common store would not do for HNSW: it also holds
the questions' vectors, and the index would return those first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Engine

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.precision import settled
from rag_bench.retrieval.search import TopK
from rag_bench.searches import Search
from rag_bench.store.tables import SCHEMA
from rag_bench.store.vectors import MissingVectorsError

HNSW_MAX_DIMENSION = 2000
HNSW_BUILD_MOST_MIB = 2048
# Scores nearer to the k-th than this are ties: PostgreSQL sums in float32.
_TIE = 1e-6


class PgvectorTable:
    """One snapshot's chunk vectors as production holds them; made by ``pgvector_table``."""

    def __init__(self, connection: Any, n: int, method: Search) -> None:
        self._connection = connection
        self._n = n
        self._method = method

    def top_k(self, queries: np.ndarray, k: int, ef_search: int = 40) -> TopK:
        """Ask PostgreSQL for the k nearest chunks of each query, one query at a time.

        Args:
            queries: float32, shape (q, dimension).
            k: At least 1; more than the number of chunks gives all of them.
            ef_search: pgvector's ``hnsw.ef_search``: candidates kept by the HNSW search, 1 to
                1000. The index is asked on until k rows are found (iterative scan).

        Raises:
            ValueError: ``k`` or ``ef_search`` is out of range.
        """
        if k < 1 or not 1 <= ef_search <= 1000:
            raise ValueError(f"k is {k} (at least 1), ef_search is {ef_search} (1 to 1000)")
        width = min(k, self._n)
        indices = np.zeros((len(queries), width), dtype=np.int64)
        scores = np.zeros((len(queries), width))
        with self._connection.cursor() as cursor:
            if self._method == "hnsw":
                _set(cursor, "hnsw.ef_search", str(ef_search))
                _set(cursor, "hnsw.iterative_scan", "strict_order")
                _set(cursor, "hnsw.max_scan_tuples", str(max(20_000, self._n)))
            # The planner prefers a scan for small tables; the index is what is asked about.
            _set(cursor, "enable_seqscan", "off" if self._method == "hnsw" else "on")
            for row, query in enumerate(queries):
                vector = "[" + ",".join(map(repr, query.tolist())) + "]"
                cursor.execute(
                    "select position, embedding <=> %s::vector from searched"
                    " order by embedding <=> %s::vector limit %s",
                    (vector, vector, width),
                )
                found = cursor.fetchall()
                if len(found) < width:
                    raise ConfigurationError(
                        f"The index gave {len(found)} of {width} chunks; raise ef_search."
                    )
                # Equal distances come in any order; the lower index first, as in ``top_k``.
                cosines = [(settled(1.0 - distance), index) for index, distance in found]
                cosines.sort(key=lambda item: (-item[0], item[1]))
                indices[row] = [index for _, index in cosines]
                scores[row] = [cosine for cosine, _ in cosines]
        return TopK(indices, scores)

    def n_bytes(self) -> int:
        """Return how much the table and its indexes take on disk, in bytes."""
        with self._connection.cursor() as cursor:
            cursor.execute("select pg_total_relation_size('pg_temp.searched')")
            return int(cursor.fetchone()[0])


@contextlib.contextmanager
def pgvector_table(
    engine: Engine,
    encoder_key: str,
    dimension: int,
    text_hashes: Sequence[str],
    method: Search = "exact",
    *,
    m: int = 16,
    ef_construction: int = 64,
) -> Iterator[PgvectorTable]:
    """Hold one snapshot's chunk vectors in a table of this session, with an index if asked for.

    Args:
        engine: The database.
        encoder_key: The address of the encoder.
        dimension: Of its vectors.
        text_hashes: Of the chunks' passage texts; the result's indices are positions in it.
        method: "exact" scans the table; "hnsw" builds an HNSW index on it first (minutes for
            100,000 chunks).
        m: pgvector's HNSW option: links per node.
        ef_construction: pgvector's HNSW option: candidates kept while building.

    Raises:
        MissingVectorsError: some chunk has no vector.
        ConfigurationError: HNSW is asked for more dimensions than pgvector can index.
    """
    if method == "hnsw" and dimension > HNSW_MAX_DIMENSION:
        raise ConfigurationError(
            f"pgvector's HNSW index takes at most {HNSW_MAX_DIMENSION} dimensions, "
            f"not {dimension}; use the exact search."
        )
    with engine.connect() as connection, connection.begin() as transaction:
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            cursor.execute(
                f"""
                create temp table searched on commit drop as
                select (wanted.position - 1)::integer as position,
                       embedding.vector::vector({int(dimension)}) as embedding
                from unnest(%s::text[]) with ordinality as wanted (text_hash, position)
                join {SCHEMA}.embedding using (text_hash)
                where embedding.encoder = %s
                """,
                (list(text_hashes), encoder_key),
            )
            if cursor.rowcount < len(text_hashes):
                raise MissingVectorsError(len(text_hashes) - cursor.rowcount, len(text_hashes))
            if method == "hnsw":
                memory = hnsw_build_mib(len(text_hashes), dimension, m)
                _set(cursor, "maintenance_work_mem", f"{memory}MB")
                cursor.execute(
                    "create index on searched using hnsw (embedding vector_cosine_ops)"
                    f" with (m = {int(m)}, ef_construction = {int(ef_construction)})"
                )
            cursor.execute("analyze searched")
        yield PgvectorTable(driver, len(text_hashes), method)
        transaction.rollback()  # nothing here is meant to last


def pgvector_top_k(
    engine: Engine,
    encoder_key: str,
    queries: np.ndarray,
    text_hashes: Sequence[str],
    k: int,
    method: Search = "exact",
    ef_search: int = 40,
) -> TopK:
    """Search one snapshot's chunks with pgvector; see ``pgvector_table`` for the arguments."""
    if not len(text_hashes):
        return TopK(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0)))
    with pgvector_table(engine, encoder_key, queries.shape[1], text_hashes, method) as table:
        return table.top_k(queries, k, ef_search)


def hnsw_build_mib(n: int, dimension: int, m: int) -> int:
    """Return the MiB that PostgreSQL may use to build a graph of n vectors in memory.

    A graph that outgrows them is finished on disk, several times slower: PostgreSQL's default,
    which is the least here, is passed at 30,000 vectors of 384 dimensions. At most
    `HNSW_BUILD_MOST_MIB`.
    """
    per_vector = 4 * dimension + 32 * m + 400  # the vector, its links at the lowest level, the rest
    return min(HNSW_BUILD_MOST_MIB, max(64, 1 + n * per_vector * 5 // 4 // 2**20))


def recall_against_exact(found: TopK, exact: TopK) -> float:
    """Return the mean share of the exact k nearest that ``found`` has too, 0 to 1.

    A chunk as near as the exact k-th one counts as found: with ties there are several right
    answers.

    Raises:
        ValueError: the two results are of different shapes, or empty.
    """
    if found.indices.shape != exact.indices.shape or not exact.indices.size:
        raise ValueError(f"shapes {found.indices.shape} and {exact.indices.shape}")
    same = (found.indices[:, :, None] == exact.indices[:, None, :]).any(axis=2)
    tied = found.scores >= exact.scores[:, -1:] - 1.5 * _TIE  # both are rounded
    return float((same | tied).mean())


def _set(cursor: Any, name: str, value: str) -> None:
    """Set a setting for this transaction only."""
    cursor.execute("select set_config(%s, %s, true)", (name, value))
