from __future__ import annotations

import threading

import numpy as np
import pytest
from sqlalchemy import Engine, select, text

from rag_bench.errors import RagBenchError
from rag_bench.hashing import text_hash
from rag_bench.store import tables, vectors

KEY = "a" * 64
OTHER_KEY = "b" * 64


def made(n: int, dimension: int = 5, seed: int = 0) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(seed)
    hashes = [text_hash(f"вопрос {number}") for number in range(n)]
    return hashes, random.standard_normal((n, dimension)).astype(np.float32)


def save(engine: Engine, hashes: list[str], values: np.ndarray, key: str = KEY) -> int:
    n = len(hashes)
    return vectors.save_vectors(
        engine,
        key,
        "модель",
        hashes,
        values,
        np.arange(n, dtype=np.int64) + 3,
        np.arange(n) % 4 == 0,
    )


def test_what_is_saved_is_read_back_bit_by_bit_in_the_order_asked(engine: Engine) -> None:
    hashes, values = made(9001, 7)  # more than one block of writing
    assert save(engine, hashes, values) == 9001
    order = np.random.default_rng(1).permutation(9001)
    matrix = vectors.fetch_matrix(engine, KEY, [hashes[index] for index in order])
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, values[order])


def test_reading_in_several_blocks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_READ_BLOCK_BYTES", 1000)
    hashes, values = made(500, 7)
    save(engine, hashes, values)
    np.testing.assert_array_equal(vectors.fetch_matrix(engine, KEY, hashes), values)


def test_columns_beside_the_vector(engine: Engine) -> None:
    hashes, values = made(5)
    save(engine, hashes, values)
    with engine.connect() as connection:
        rows = {row.text_hash: row for row in connection.execute(select(tables.embedding))}
    for number, value in enumerate(hashes):
        row = rows[value]
        assert (row.encoder, row.model) == (KEY, "модель")
        assert (row.n_tokens, row.truncated) == (number + 3, number % 4 == 0)
        np.testing.assert_array_equal(np.array(row.vector, dtype=np.float32), values[number])


def test_a_text_asked_twice_comes_twice(engine: Engine) -> None:
    hashes, values = made(3)
    save(engine, hashes, values)
    matrix = vectors.fetch_matrix(engine, KEY, [hashes[2], hashes[0], hashes[2]])
    np.testing.assert_array_equal(matrix, values[[2, 0, 2]])


def test_saving_again_changes_nothing(engine: Engine) -> None:
    hashes, values = made(4)
    save(engine, hashes, values)
    assert save(engine, hashes, values + 1) == 0
    np.testing.assert_array_equal(vectors.fetch_matrix(engine, KEY, hashes), values)
    # The same hash twice in one call is one row.
    more, more_values = made(6)
    assert save(engine, [more[5], more[5]], more_values[[5, 5]]) == 1


def test_encoders_do_not_see_each_other(engine: Engine) -> None:
    hashes, values = made(4)
    save(engine, hashes[:2], values[:2])
    save(engine, hashes[2:], -values[2:, :3], OTHER_KEY)
    assert vectors.missing(engine, KEY, hashes) == set(hashes[2:])
    assert vectors.missing(engine, OTHER_KEY, hashes) == set(hashes[:2])
    assert vectors.coverage(engine, KEY, [*hashes, *hashes]) == (2, 4)
    with engine.connect() as connection:
        assert vectors.coverage(connection, OTHER_KEY, hashes[:3]) == (1, 3)
    assert vectors.truncated_count(engine, KEY, hashes) == (1, 2)


def test_a_missing_vector_is_an_error_that_says_what_to_do(engine: Engine) -> None:
    hashes, values = made(4)
    save(engine, hashes[:3], values[:3])
    with pytest.raises(RagBenchError, match=r"1 of 4 .*chunk_embeddings") as error:
        vectors.fetch_matrix(engine, KEY, hashes)
    assert isinstance(error.value, vectors.MissingVectorsError)
    with pytest.raises(vectors.MissingVectorsError, match="4 of 4"):
        vectors.fetch_matrix(engine, OTHER_KEY, hashes)


def test_nothing_asked_nothing_saved(engine: Engine) -> None:
    assert vectors.missing(engine, KEY, []) == set()
    assert vectors.coverage(engine, KEY, []) == (0, 0)
    assert vectors.truncated_count(engine, KEY, []) == (0, 0)
    assert vectors.fetch_matrix(engine, KEY, []).shape == (0, 0)
    assert save(engine, [], np.zeros((0, 4), np.float32)) == 0


def test_what_is_not_a_vector_is_refused_and_leaves_nothing(engine: Engine) -> None:
    hashes, values = made(3)
    broken = values.copy()
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        save(engine, hashes, broken)
    with pytest.raises(ValueError, match="hexadecimal"):
        save(engine, [*hashes[:2], "короткий"], values)
    with pytest.raises(ValueError, match="3 hashes"):
        save(engine, hashes, values[:2])
    assert vectors.coverage(engine, KEY, hashes) == (0, 3)


def test_many_writers_of_the_same_texts(engine: Engine) -> None:
    hashes, values = made(3000)
    errors: list[BaseException] = []
    new: list[int] = []

    def write(seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(hashes))
        try:
            for part in np.array_split(order, 5):
                new.append(save(engine, [hashes[index] for index in part], values[part]))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(new) == 3000
    np.testing.assert_array_equal(vectors.fetch_matrix(engine, KEY, hashes), values)


def test_nothing_is_left_on_the_connection(engine: Engine) -> None:
    hashes, values = made(3)
    with engine.connect() as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
    for _ in range(2):  # the pool gives the same connection: temporary tables must be gone
        save(engine, hashes, values)
        vectors.fetch_matrix(engine, KEY, hashes)
    with engine.connect() as connection:
        assert connection.execute(text("select pg_backend_pid()")).scalar_one() == pid
        left = "select count(*) from pg_class where relpersistence = 't'"
        assert connection.execute(text(left)).scalar_one() == 0
