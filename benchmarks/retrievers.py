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
* processor time of all that, of this process and its server's, which other work does not lengthen;
* memory: what is held between questions, in this process or in the server, and by how much the
  process grew while building.

Last, how processor time and memory grew from the first size to the last, as a share of linear
growth: 1 is linear, less is better.
"""

from __future__ import annotations

import argparse
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import psutil
from retrieval import DIMENSION, KEY, K, scratch_database, store, synthetic
from sqlalchemy import Engine, text

from rag_bench.evaluation.text.search_terms import terms
from rag_bench.retrieval.bm25 import Bm25Index, open_index
from rag_bench.retrieval.fusion import reciprocal_rank_fusion
from rag_bench.retrieval.pgvector_search import pgvector_table
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


class Clock:
    """Wall and processor time: of this process and of its own server processes.

    Growth is of processor time, as a machine that has other work makes everything take longer.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _busy(self) -> float:
        with self._engine.connect() as connection:
            query = "select pid from pg_stat_activity where datname = current_database()"
            pids = connection.execute(text(query)).scalars().all()
        times = [psutil.Process(pid).cpu_times() for pid in pids]
        return time.process_time() + sum(each.user + each.system for each in times)

    def build(self, figures: Figures, name: str, run: Callable[[], Any]) -> Any:
        """Note the seconds of something done once, and return what it gives."""
        busy, started = self._busy(), time.perf_counter()
        result = run()
        figures[f"{name} s"] = time.perf_counter() - started
        figures[f"{name} CPU s"] = self._busy() - busy
        return result

    def alone(self, figures: Figures, name: str, ask: Callable[[int], object], n: int) -> None:
        """Note the milliseconds of n questions, asked one after another."""
        for number in range(min(WARM_UP, n)):
            ask(number)
        busy, taken = self._busy(), []
        for number in range(n):
            started = time.perf_counter()
            ask(number)
            taken.append(1000 * (time.perf_counter() - started))
        figures[f"{name} CPU ms"] = 1000 * (self._busy() - busy) / n
        figures[f"{name} p50 ms"] = float(np.percentile(taken, 50))
        figures[f"{name} p95 ms"] = float(np.percentile(taken, 95))


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


def measure(engine: Engine, n: int, n_questions: int, hnsw: bool) -> dict[str, Figures]:
    clock = Clock(engine)
    found: dict[str, Figures] = {name: {} for name in ("dense_exact", "bm25", "hybrid")}
    hashes, _ = store(engine, f"chunk {n}", n, 1)
    queries = synthetic(n_questions, 2)
    texts = synthetic_texts(n, vocabulary(), 4)
    asked = questions_of(texts, n_questions)

    exact = found["dense_exact"]
    with watched(exact, "peak MiB"):
        corpus = clock.build(exact, "build", lambda: fetch_matrix(engine, KEY, hashes))
    exact["held MiB"] = corpus.nbytes / 2**20
    clock.alone(exact, "query", lambda i: top_k(queries[i : i + 1], corpus, K), n_questions)
    clock.alone(exact, "bound", lambda i: bare_dense(queries[i], corpus), n_questions)

    words = found["bm25"]
    import bm25s  # noqa: F401  # what it loads is the same for any number of chunks

    def build(given: list[str]) -> Bm25Index:
        return open_index(engine, given, Bm25())

    with watched(words, "peak MiB"):
        clock.build(words, "first build", lambda: build(texts))
    index = clock.build(words, "build", lambda: build(texts))
    words["held MiB"] = index.nbytes / 2**20
    reindexed = [*synthetic_texts(n // NEW, vocabulary(), 6), *texts[n // NEW :]]
    clock.build(words, "reindex", lambda: build(reindexed))
    clock.alone(words, "query", lambda i: index.search(asked[i : i + 1], K), n_questions)
    rows = [postings(index, question) for question in asked]
    clock.alone(words, "bound", lambda i: bare_words(rows[i], n), n_questions)

    def fused(i: int) -> TopK:
        dense = top_k(queries[i : i + 1], corpus, CANDIDATES)
        return reciprocal_rank_fusion([dense, index.search(asked[i : i + 1], CANDIDATES)], 60, K)

    both = found["hybrid"]
    for name in ("build s", "build CPU s", "held MiB"):
        both[name] = exact[name] + words[name]
    clock.alone(both, "query", fused, n_questions)
    both["bound CPU ms"] = exact["bound CPU ms"] + words["bound CPU ms"]

    if hnsw:
        graph = found["dense_hnsw"] = {}
        opened = pgvector_table(engine, KEY, DIMENSION, hashes, "hnsw")
        with ExitStack() as stack:
            table = clock.build(graph, "build", lambda: stack.enter_context(opened))
            graph["held in server MiB"] = table.n_bytes() / 2**20
            clock.alone(graph, "query", lambda i: table.top_k(queries[i : i + 1], K), n_questions)
    return found


def show(n: int, found: dict[str, Figures]) -> None:
    print(f"\n{n:,} chunks", flush=True)
    for name, figures in found.items():
        print(f"  {name}: " + ", ".join(f"{key} {value:,.2f}" for key, value in figures.items()))
        if "bound CPU ms" in figures:
            ratio = figures["query CPU ms"] / figures["bound CPU ms"]
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
            steady = [key for key in first if first[key] and ("CPU" in key or "MiB" in key)]
            shares = (f"{key} {last[key] / first[key] / factor:.2f}" for key in steady)
            print(f"  {name}: " + ", ".join(shares))


if __name__ == "__main__":
    main()
