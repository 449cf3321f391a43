"""What each search costs as chunks grow: building, one question alone, memory.

    OMP_NUM_THREADS=1 python benchmarks/retrievers.py [--sizes 10000,100000] [--no-hnsw]

For each size it stores seeded synthetic chunks in a database of its own (dropped at the end):
vectors of 384 dimensions, and texts of about 80 words drawn by Zipf's law from 60,000 made-up
Russian ones. For each search it prints

* build: for dense_exact the reading of the matrix; for dense_hnsw the table and its index; for bm25
  the first time (every text tokenized), again (terms are stored: other parameters, another process)
  and after a reindex in which one chunk of a hundred is new;
* one question alone, p50 and p95, from its text to its ten chunks (for dense ones from its vector:
  encoding is the same for all), and the bound that the same run gives: for dense_exact a bare
  product and selection, for bm25 the bare sum of the weights that the question meets and a
  selection; the ratio to the bound, 1 being ideal;
* memory: what is held between questions, in this process or in the server, and by how much the
  process grew while building.

Last, how each figure grew from the first size to the last, as a share of linear growth: 1 is
linear, less is better.
"""

from __future__ import annotations

import argparse
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
from retrieval import DIMENSION, KEY, K, scratch_database, store, synthetic
from sqlalchemy import Engine

from rag_bench.evaluation.text.search_terms import terms
from rag_bench.retrieval.bm25 import Bm25Index, open_index
from rag_bench.retrieval.fusion import reciprocal_rank_fusion
from rag_bench.retrieval.pgvector_search import PgvectorTable, pgvector_table
from rag_bench.retrieval.search import TopK, top_k
from rag_bench.retrievers import Bm25
from rag_bench.store.vectors import fetch_matrix

WORDS = 60_000
MEAN_LENGTH = 80
QUESTION_LENGTH = 8
CANDIDATES = 100
NEW = 100  # one chunk of so many is new after a reindex
WARM_UP = 5

Figures = dict[str, float]


def vocabulary() -> np.ndarray:
    """Return made-up Russian words: stems of two to four syllables with endings of the language."""
    random = np.random.default_rng(3)
    syllables = np.array([a + b for a in "бвгдзклмнпрст" for b in "аеиоуя"])
    endings = np.array(["", "ами", "ость", "ения", "ный", "овать", "ом", "ы"])
    made: dict[str, None] = {}
    while len(made) < WORDS:
        for n in random.integers(2, 5, WORDS):
            made["".join(random.choice(syllables, n)) + random.choice(endings)] = None
    return np.array(list(made)[:WORDS])


def synthetic_texts(n: int, words: np.ndarray, seed: int) -> list[str]:
    """Return n texts of about 80 words, drawn by Zipf's law."""
    random = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, len(words) + 1)
    borders = np.cumsum(weights / weights.sum())
    lengths = np.maximum(5, random.lognormal(np.log(MEAN_LENGTH), 0.4, n).astype(int))
    drawn = words[
        np.minimum(np.searchsorted(borders, random.random(lengths.sum())), len(words) - 1)
    ]
    ends = np.cumsum(lengths)
    return [" ".join(drawn[a:b]) for a, b in zip(ends - lengths, ends, strict=True)]


def questions_of(texts: list[str], n: int) -> list[str]:
    """Return n questions: some words of a text each, as people ask about what is written."""
    random = np.random.default_rng(5)
    chosen = (texts[i].split() for i in random.integers(0, len(texts), n))
    return [" ".join(random.choice(words, min(QUESTION_LENGTH, len(words)))) for words in chosen]


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def alone(ask: Callable[[int], object], n: int) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds of n questions, asked one after another."""
    for number in range(min(WARM_UP, n)):
        ask(number)
    taken = [1000 * seconds(lambda: ask(number))[0] for number in range(n)]  # noqa: B023
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))


@contextmanager
def watched(figures: Figures, name: str) -> Iterator[None]:
    """Note by how many MiB this process grew at most while something was made."""
    process, stop, most = psutil.Process(), threading.Event(), [0]
    gc.collect()
    before = process.memory_info().rss

    def look() -> None:
        while not stop.wait(0.01):
            most.append(process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()
    figures[name] = max(0.0, (max(most) - before) / 2**20)


def timed(figures: Figures, name: str, ask: Callable[[int], object], n: int) -> None:
    figures[f"{name} p50 ms"], figures[f"{name} p95 ms"] = alone(ask, n)


def bare_dense(query: np.ndarray, corpus: np.ndarray) -> None:
    scores = corpus @ query
    np.argpartition(scores, len(scores) - K)


def postings(index: Bm25Index, question: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the places and weights that a question's terms have in the index."""
    matrix, ids = index._index.scores, index._term_ids  # the bound looks inside
    borders = [(matrix["indptr"][ids[t]], matrix["indptr"][ids[t] + 1]) for t in terms(question)]
    return [(matrix["indices"][a:b], matrix["data"][a:b]) for a, b in borders]


def bare_words(rows: list[tuple[np.ndarray, np.ndarray]], n: int) -> None:
    scores = np.zeros(n)
    for places, weights in rows:
        np.add.at(scores, places, weights)
    np.argpartition(scores, n - K)


def server_size(table: PgvectorTable) -> float:
    with table._connection.cursor() as cursor:
        cursor.execute("select pg_total_relation_size('searched')")
        return float(cursor.fetchone()[0]) / 2**20


def measure(engine: Engine, n: int, n_questions: int, hnsw: bool) -> dict[str, Figures]:
    found: dict[str, Figures] = {name: {} for name in ("dense_exact", "bm25", "hybrid")}
    hashes, _ = store(engine, f"chunk {n}", n, 1)
    queries = synthetic(n_questions, 2)
    texts = synthetic_texts(n, vocabulary(), 4)
    asked = questions_of(texts, n_questions)

    exact = found["dense_exact"]
    with watched(exact, "peak MiB"):
        exact["build s"], corpus = seconds(lambda: fetch_matrix(engine, KEY, hashes))
    exact["held MiB"] = corpus.nbytes / 2**20
    timed(exact, "query", lambda i: top_k(queries[i : i + 1], corpus, K), n_questions)
    timed(exact, "bound", lambda i: bare_dense(queries[i], corpus), n_questions)

    words = found["bm25"]
    import bm25s  # noqa: F401  # what it loads is the same for any number of chunks

    with watched(words, "peak MiB"):
        words["first build s"], _ = seconds(lambda: open_index(engine, texts, Bm25()))
    words["build s"], index = seconds(lambda: open_index(engine, texts, Bm25()))
    words["held MiB"] = index.nbytes / 2**20
    reindexed = [*synthetic_texts(n // NEW, vocabulary(), 6), *texts[n // NEW :]]
    words["reindex s"], _ = seconds(lambda: open_index(engine, reindexed, Bm25()))
    timed(words, "query", lambda i: index.search(asked[i : i + 1], K), n_questions)
    rows = [postings(index, question) for question in asked]
    timed(words, "bound", lambda i: bare_words(rows[i], n), n_questions)

    both = found["hybrid"]
    both["build s"] = exact["build s"] + words["build s"]
    both["held MiB"] = exact["held MiB"] + words["held MiB"]

    def fused(i: int) -> TopK:
        dense = top_k(queries[i : i + 1], corpus, CANDIDATES)
        return reciprocal_rank_fusion([dense, index.search(asked[i : i + 1], CANDIDATES)], 60, K)

    timed(both, "query", fused, n_questions)
    both["bound p50 ms"] = exact["bound p50 ms"] + words["bound p50 ms"]

    if hnsw:
        graph = found["dense_hnsw"] = {}
        started = time.perf_counter()
        with pgvector_table(engine, KEY, DIMENSION, hashes, "hnsw") as table:
            graph["build s"] = time.perf_counter() - started
            graph["held in server MiB"] = server_size(table)
            timed(graph, "query", lambda i: table.top_k(queries[i : i + 1], K), n_questions)
    return found


def show(n: int, found: dict[str, Figures]) -> None:
    print(f"\n{n:,} chunks", flush=True)
    for name, figures in found.items():
        print(f"  {name}: " + ", ".join(f"{key} {value:,.2f}" for key, value in figures.items()))
        if "bound p50 ms" in figures:
            ratio = figures["query p50 ms"] / figures["bound p50 ms"]
            print(f"    one question alone / its bound: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10000,100000", help="Numbers of chunks, ascending.")
    parser.add_argument("--questions", type=int, default=200, help="Asked one by one.")
    parser.add_argument("--no-hnsw", action="store_true", help="Without HNSW (minutes at 100,000).")
    arguments = parser.parse_args()
    sizes = [int(value) for value in arguments.sizes.split(",")]
    results = []
    with scratch_database() as engine:
        for n in sizes:
            results.append(measure(engine, n, arguments.questions, not arguments.no_hnsw))
            show(n, results[-1])
    if len(sizes) > 1:
        factor = sizes[-1] / sizes[0]
        print(f"\ngrowth from {sizes[0]:,} to {sizes[-1]:,} chunks, as a share of linear")
        for name, first in results[0].items():
            last = results[-1][name]
            shares = (f"{key} {last[key] / first[key] / factor:.2f}" for key in first if first[key])
            print(f"  {name}: " + ", ".join(shares))


if __name__ == "__main__":
    main()
