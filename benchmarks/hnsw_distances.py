"""How many distances an HNSW index works out as it grows: its building cannot be linear.

    pip install faiss-cpu   # not a dependency; only counted with
    python benchmarks/hnsw_distances.py [--sizes 1000,10000,100000]

Building an index of n vectors seeks each of them in the graph of those before it. faiss counts the
distances of a search, which PostgreSQL's extension does not. The script grows a graph with the
options that ours has (m = 16, ef_construction = 64), over the vectors of `retrievers.py`, asks it
at each size with as many candidates as building keeps, and sums over all insertions. What is
printed last is the growth of building from the second last size to the last as a share of linear
growth: a count, so it is the same whatever the machine, its caches and its other work are.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from retrieval import DIMENSION, synthetic

M, EF_CONSTRUCTION, QUESTIONS = 16, 64, 500


def distances(sizes: list[int]) -> list[float]:
    """Return the distances of one search, on average, in graphs of these sizes, ascending."""
    import faiss

    faiss.omp_set_num_threads(1)
    vectors, queries = synthetic(sizes[-1], 1), synthetic(QUESTIONS, 2)
    graph: Any = faiss.IndexHNSWFlat(DIMENSION, M)
    graph.hnsw.efConstruction = graph.hnsw.efSearch = EF_CONSTRUCTION
    found, stats = [], faiss.cvar.hnsw_stats
    for before, size in zip([0, *sizes], sizes, strict=False):
        graph.add(vectors[before:size])
        stats.reset()
        graph.search(queries, 10)
        found.append(stats.ndis / QUESTIONS)
        print(f"{size:9,} vectors: {found[-1]:7,.0f} distances for one more", flush=True)
    return found


def building(size: int, sizes: list[int], counted: list[float]) -> float:
    """Return the distances of building, between the counted sizes by the logarithm of the size."""
    numbers = np.log(np.arange(1, size + 1))
    return float(np.interp(numbers, np.log(sizes), counted).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,2000,5000,10000,20000,40000,70000,100000")
    parser.add_argument("--first", type=int, default=10_000, help="The size that is grown from.")
    arguments = parser.parse_args()
    sizes = [int(value) for value in arguments.sizes.split(",")]
    counted = distances(sizes)
    factor = sizes[-1] / arguments.first
    first, last = (building(size, sizes, counted) for size in (arguments.first, sizes[-1]))
    print(f"building, {arguments.first:,} to {sizes[-1]:,}: {last / first / factor:.2f} x linear")


if __name__ == "__main__":
    main()
