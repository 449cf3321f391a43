"""Batched retrieval, fetch included, against its bounds; and pgvector asked per question.

    python benchmarks/retrieval.py [--sizes 5000,100000] [--questions 1000,5000] [--hnsw]

For each size it stores synthetic vectors in a database of its own (dropped at the end) and prints

* fetch: reading the matrix of chunks and questions from PostgreSQL;
* search: ``top_k`` on it; bound: the bare blocked matrix product on the fetched matrix, and the
  product followed by numpy's selection of ten, which is the least that finds anything;
* ratio: (fetch + search) / bound, 1 being ideal;
* pgvector, one query per question, on a sample, and the time that it would need for all.
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
from sqlalchemy import Engine

from rag_bench.hashing import text_hash
from rag_bench.retrieval.pgvector_search import pgvector_table, recall_against_exact
from rag_bench.retrieval.search import CORPUS_BLOCK, QUERY_BLOCK, TopK, top_k
from rag_bench.settings import get_settings
from rag_bench.store.database import ensure_database, libpq_url, make_engine, parse_url
from rag_bench.store.migrate import migrate
from rag_bench.store.vectors import fetch_matrix, save_vectors

KEY = "f" * 64
DIMENSION = 384
LATENT = 48
K = 10


@contextmanager
def scratch_database() -> Iterator[Engine]:
    """Yield an engine on a fresh, migrated database, dropped at the end."""
    url = ensure_database(get_settings())
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(libpq_url(url), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
        own = parse_url(url, "psycopg").set(database=name)
        engine = make_engine(own.render_as_string(hide_password=False))
        try:
            migrate(engine)
            yield engine
        finally:
            engine.dispose()
            admin.execute(f'drop database "{name}" with (force)')


def synthetic(n: int, seed: int) -> np.ndarray:
    """Return n unit vectors of 384 dimensions that lie near a space of 48, as texts' do."""
    mixing = np.random.default_rng(0).standard_normal((LATENT, DIMENSION)).astype(np.float32)
    random = np.random.default_rng(seed)
    values = random.standard_normal((n, LATENT), dtype=np.float32) @ mixing
    values += 2 * random.standard_normal((n, DIMENSION), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def store(engine: Engine, name: str, n: int, seed: int) -> tuple[list[str], float]:
    """Store n vectors; return their texts' hashes and the seconds it took."""
    hashes = [text_hash(f"{name} {number}") for number in range(n)]
    values = synthetic(n, seed)
    started = time.perf_counter()
    save_vectors(
        engine, KEY, "synthetic", hashes, values, np.ones(n, np.int64), np.zeros(n, dtype=bool)
    )
    return hashes, time.perf_counter() - started


def timed(run: Callable[[], object], rounds: int = 3) -> float:
    """Return the least wall time of some runs, in seconds."""
    least = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - started)
    return least


def bare_product(queries: np.ndarray, corpus: np.ndarray, select: bool) -> None:
    """Multiply in the blocks of ``top_k``; with ``select`` also take each block's ten best."""
    buffer = np.empty((QUERY_BLOCK, CORPUS_BLOCK), dtype=np.float32)
    for start in range(0, len(queries), QUERY_BLOCK):
        rows = queries[start : start + QUERY_BLOCK]
        for column in range(0, len(corpus), CORPUS_BLOCK):
            block = corpus[column : column + CORPUS_BLOCK]
            out = buffer.reshape(-1)[: len(rows) * len(block)].reshape(len(rows), len(block))
            np.matmul(rows, block.T, out=out)
            if select:
                np.argpartition(out, out.shape[1] - K, axis=1)


def measure(engine: Engine, n: int, counts: list[int], sample: int, hnsw: bool) -> None:
    chunks, seconds = store(engine, f"chunk {n}", n, 1)
    print(f"\n{n} chunks: stored at {n / seconds:,.0f} rows/s")
    asked, _ = store(engine, f"question {n}", max(counts), 2)
    for q in counts:
        corpus, queries = fetch_matrix(engine, KEY, chunks), fetch_matrix(engine, KEY, asked[:q])
        fetch = timed(lambda: fetch_matrix(engine, KEY, chunks), 2)
        fetch += timed(lambda q=q: fetch_matrix(engine, KEY, asked[:q]), 2)  # type: ignore[misc]
        rounds = 3 if n * q < 1e8 else 2
        product = timed(lambda: bare_product(queries, corpus, select=False), rounds)  # noqa: B023
        selected = timed(lambda: bare_product(queries, corpus, select=True), 1)  # noqa: B023
        search = timed(lambda: top_k(queries, corpus, K), rounds)  # noqa: B023
        print(
            f"  {q} questions: fetch {fetch:.2f} s + search {search:.2f} s = {fetch + search:.2f} s"
            f" | bare product {product:.2f} s: ratio {(fetch + search) / product:.2f} "
            f"(search alone {search / product:.2f})"
            f" | product and selection {selected:.2f} s: ratio {(fetch + search) / selected:.2f}"
        )
    few = queries[:sample]
    exact = top_k(few, corpus, K)
    ask(engine, chunks, few, exact, max(counts), hnsw=False)
    if hnsw:
        ask(engine, chunks, few, exact, max(counts), hnsw=True)


def ask(
    engine: Engine, chunks: list[str], few: np.ndarray, exact: TopK, total: int, *, hnsw: bool
) -> None:
    """Ask pgvector once per question and print what all questions would take."""
    started = time.perf_counter()
    method = "hnsw" if hnsw else "exact"
    with pgvector_table(engine, KEY, DIMENSION, chunks, method) as table:  # type: ignore[arg-type]
        built = time.perf_counter() - started
        for ef_search in (40, 200) if hnsw else (40,):
            started = time.perf_counter()
            found = table.top_k(few, K, ef_search)
            each = (time.perf_counter() - started) / len(few)
            print(
                f"  pgvector {method}{f', ef_search {ef_search}' if hnsw else ''}: "
                f"{1000 * each:.1f} ms/question on {len(few)}, {each * total:.0f} s for {total}; "
                f"recall@{K} {recall_against_exact(found, exact):.3f}; table made in {built:.1f} s"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5000,100000", help="Numbers of chunks.")
    parser.add_argument("--questions", default="1000,5000", help="Numbers of questions.")
    parser.add_argument("--sample", type=int, default=50, help="Questions asked of pgvector.")
    parser.add_argument("--hnsw", action="store_true", help="HNSW too (minutes at 100,000).")
    arguments = parser.parse_args()
    counts = [int(value) for value in arguments.questions.split(",")]
    with scratch_database() as engine:
        for n in map(int, arguments.sizes.split(",")):
            measure(engine, n, counts, arguments.sample, arguments.hnsw or n <= 10_000)


if __name__ == "__main__":
    main()
