from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import ConfigurationError
from rag_bench.hashing import text_hash
from rag_bench.retrieval import pgvector_search
from rag_bench.retrieval.pgvector_search import (
    HNSW_BUILD_MOST_MIB,
    hnsw_build_mib,
    pgvector_table,
    pgvector_top_k,
    recall_against_exact,
)
from rag_bench.retrieval.search import TopK, top_k
from rag_bench.store.vectors import MissingVectorsError, save_vectors

KEY = "c" * 64


def stored(engine: Engine, n: int, dimension: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Store n unit vectors with a shared direction, as those of an encoder have."""
    shared = np.random.default_rng(0).standard_normal(dimension)
    values = np.random.default_rng(seed).standard_normal((n, dimension)) + shared
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    hashes = [text_hash(f"отрывок {seed} {number}") for number in range(n)]
    save_vectors(
        engine, KEY, "model", hashes, values, np.ones(n, dtype=int), np.zeros(n, dtype=bool)
    )
    return hashes, values


def test_exact_search_agrees_with_numpy(engine: Engine) -> None:
    hashes, values = stored(engine, 400, 32, 1)
    stored(engine, 100, 32, 2)  # of other texts: must not be found
    _, queries = stored(engine, 30, 32, 3)
    ours = top_k(queries, values, 10)
    theirs = pgvector_top_k(engine, KEY, queries, hashes, 10)
    np.testing.assert_array_equal(theirs.indices, ours.indices)
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-6)
    assert recall_against_exact(theirs, ours) == 1.0


def test_one_text_on_two_pages_is_found_twice(engine: Engine) -> None:
    hashes, values = stored(engine, 5, 8, 4)
    twice = [*hashes, hashes[2]]
    found = pgvector_top_k(engine, KEY, values[2:3], twice, 2)
    assert found.indices.tolist() == [[2, 5]]
    np.testing.assert_array_equal(
        found.indices, top_k(values[2:3], values[[0, 1, 2, 3, 4, 2]], 2).indices
    )


def test_hnsw_recall_grows_with_ef_search_and_no_row_is_lost(engine: Engine) -> None:
    hashes, values = stored(engine, 3000, 32, 5)
    _, queries = stored(engine, 60, 32, 6)
    exact = top_k(queries, values, 10)
    with pgvector_table(engine, KEY, 32, hashes, "hnsw", m=8, ef_construction=32) as table:
        # Fewer candidates than rows asked for: the iterative scan goes on.
        low = table.top_k(queries, 10, ef_search=1)
        high = table.top_k(queries, 10, ef_search=400)
    assert low.indices.shape == high.indices.shape == (60, 10)
    assert recall_against_exact(low, exact) < recall_against_exact(high, exact)
    assert recall_against_exact(high, exact) > 0.96


def test_hnsw_is_really_asked(engine: Engine) -> None:
    hashes, values = stored(engine, 300, 8, 7)
    with pgvector_table(engine, KEY, 8, hashes, "hnsw") as table:
        table.top_k(values[:1], 3)
        plan = table._connection.execute(
            "explain select position from searched order by embedding <=> %s::vector limit 3",
            ["[" + ",".join(["1"] * 8) + "]"],
        ).fetchall()
    assert any("Index Scan" in line for (line,) in plan), plan


def test_a_chunk_without_a_vector_is_an_error(engine: Engine) -> None:
    hashes, values = stored(engine, 3, 8, 8)
    with pytest.raises(MissingVectorsError, match="1 of 4"):
        pgvector_top_k(engine, KEY, values, [*hashes, text_hash("нет такого")], 2)


def test_edges(engine: Engine) -> None:
    hashes, values = stored(engine, 3, 8, 9)
    assert pgvector_top_k(engine, KEY, values[:2], hashes, 10).indices.shape == (2, 3)
    assert pgvector_top_k(engine, KEY, values[:2], [], 10).indices.shape == (2, 0)
    with pytest.raises(ValueError, match="ef_search"):
        pgvector_top_k(engine, KEY, values, hashes, 2, ef_search=0)
    with (
        pytest.raises(ConfigurationError, match="2000"),
        pgvector_table(engine, KEY, 2001, hashes, "hnsw"),
    ):
        pass


def test_recall_counts_ties_as_found() -> None:
    exact = TopK(np.array([[0, 1], [2, 3]]), np.array([[0.9, 0.8], [0.7, 0.6]], np.float32))
    other = TopK(np.array([[0, 7], [2, 9]]), np.array([[0.9, 0.8], [0.7, 0.5]], np.float32))
    assert recall_against_exact(exact, exact) == 1.0
    assert recall_against_exact(other, exact) == 0.75
    with pytest.raises(ValueError, match="shapes"):
        recall_against_exact(exact, TopK(np.zeros((2, 0), int), np.zeros((2, 0), np.float32)))


def test_an_hnsw_graph_is_built_in_memory_that_it_fits_in() -> None:
    assert hnsw_build_mib(0, 384, 16) == hnsw_build_mib(1000, 384, 16) == 64
    # pgvector keeps the vector (1,536 bytes) and 32 links of 16 bytes, besides its own.
    assert 100_000 * (1536 + 512) / 2**20 < hnsw_build_mib(100_000, 384, 16) < 400
    assert hnsw_build_mib(10_000_000, 1536, 16) == HNSW_BUILD_MOST_MIB


def test_the_memory_is_given_to_that_transaction_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector_search, "hnsw_build_mib", lambda *size: 77)
    hashes, _ = stored(engine, 20, 8, 11)
    show = "show maintenance_work_mem"
    with pgvector_table(engine, KEY, 8, hashes, "hnsw") as table:
        assert table._connection.execute(show).fetchone() == ("77MB",)
    for connection in (engine.connect(), engine.connect()):
        with connection:
            assert connection.execute(text(show)).scalar() != "77MB"
