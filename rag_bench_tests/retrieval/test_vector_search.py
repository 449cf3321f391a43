from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from rag_bench.retrieval import search
from rag_bench.retrieval.search import TopK, top_k


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def random_unit(n: int, dimension: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))


def by_loop(queries: np.ndarray, corpus: np.ndarray, k: int) -> list[list[int]]:
    """Each query by itself in plain Python: best score to six decimals first, then lower index."""
    result = []
    for query in queries.astype(np.float64):
        scores = [round(float((query * row).sum()), 6) for row in corpus.astype(np.float64)]
        result.append(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k])
    return result


def test_hand_made() -> None:
    corpus = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    queries = np.array([[1, 0], [0.8, 0.6]], dtype=np.float32)
    found = top_k(queries, corpus, 3)
    assert found.indices.tolist() == [[0, 2, 1], [2, 0, 1]]
    np.testing.assert_allclose(found.scores, [[1, 0.6, 0], [0.96, 0.8, 0.6]], atol=1e-6)
    assert found.scores.tolist() == [[1, 0.6, 0], [0.96, 0.8, 0.6]]


@pytest.mark.parametrize("k", [1, 3, 10, 40])
@pytest.mark.parametrize(("query_block", "corpus_block"), [(1, 1), (7, 13), (1024, 8192)])
def test_agrees_with_a_loop(k: int, query_block: int, corpus_block: int) -> None:
    corpus, queries = random_unit(150, 16, 1), random_unit(23, 16, 2)
    found = top_k(queries, corpus, k, query_block=query_block, corpus_block=corpus_block)
    assert found.indices.tolist() == by_loop(queries, corpus, k)
    expected = np.take_along_axis(queries @ corpus.T, found.indices, axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)


@pytest.mark.parametrize("corpus_block", [3, 64, 700, 8192])
def test_equal_chunks_come_in_the_order_of_their_index(corpus_block: int) -> None:
    # 40 different vectors, each 25 times: more copies than spare candidates.
    corpus = np.tile(random_unit(40, 24, 3), (25, 1))
    queries = random_unit(11, 24, 4)
    found = top_k(queries, corpus, 30, corpus_block=corpus_block)
    assert found.indices.tolist() == by_loop(queries, corpus, 30)


def test_all_chunks_equal() -> None:
    corpus = np.repeat(random_unit(1, 8, 5), 3000, axis=0)
    found = top_k(random_unit(4, 8, 6), corpus, 10, corpus_block=256)
    assert found.indices.tolist() == [list(range(10))] * 4


def test_near_ties_go_by_the_rounded_score() -> None:
    # 60 scores 1e-7 apart, far below what a float32 product can order: groups of equal ones.
    angles = 0.5 + np.arange(60)[::-1] * 2e-7
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    for block in (7, 60):
        found = top_k(queries, corpus, 5, corpus_block=block)
        assert found.indices.tolist() == by_loop(queries, corpus, 5)


def test_a_few_near_ties_at_the_top() -> None:
    # Four chunks that differ by about one float32 rounding step, far above all others: ties.
    random = np.random.default_rng(15)
    base = random_unit(1, 64, 16)
    near = base + 1e-7 * random.standard_normal((4, 64))
    corpus = np.concatenate([random_unit(100, 64, 17), near]).astype(np.float32)
    queries = unit(base + 0.05 * random.standard_normal((80, 64)))
    for block in (3, 104):
        found = top_k(queries, corpus, 5, corpus_block=block)
        assert found.indices.tolist() == by_loop(queries, corpus, 5)


def test_chunks_that_get_ever_nearer() -> None:
    # Every chunk beats all before it, so no threshold ever saves any work.
    angles = np.linspace(3.0, 0.01, 5000)
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    queries = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    found = top_k(queries, corpus, 7, corpus_block=1700)
    assert found.indices.tolist() == by_loop(queries, corpus, 7)
    assert found.indices[0].tolist() == [4999, 4998, 4997, 4996, 4995, 4994, 4993]


def test_results_do_not_depend_on_blocks() -> None:
    corpus, queries = random_unit(3000, 48, 7), random_unit(200, 48, 8)
    corpus[1000:1100] = corpus[:100]
    whole = top_k(queries, corpus, 10)
    for query_block, corpus_block in ((1, 3000), (33, 100), (200, 999)):
        found = top_k(queries, corpus, 10, query_block=query_block, corpus_block=corpus_block)
        np.testing.assert_array_equal(found.indices, whole.indices)


def test_small_and_empty() -> None:
    corpus, queries = random_unit(3, 4, 9), random_unit(2, 4, 10)
    assert top_k(queries, corpus, 10).indices.shape == (2, 3)
    empty = np.zeros((0, 4), dtype=np.float32)
    assert top_k(queries, empty, 5).indices.shape == (2, 0)
    assert top_k(empty, corpus, 2).scores.shape == (0, 2)
    assert isinstance(top_k(empty, empty, 2), TopK)
    assert top_k(queries, np.zeros((0, 0), np.float32), 1).scores.shape == (2, 0)


def test_what_makes_no_sense_is_refused() -> None:
    corpus = random_unit(3, 4, 9)
    with pytest.raises(ValueError, match="at least 1"):
        top_k(corpus, corpus, 0)
    with pytest.raises(ValueError, match="do not fit"):
        top_k(corpus, random_unit(3, 5, 1), 1)


def test_memory_is_bounded_whatever_the_corpus() -> None:
    corpus, queries = random_unit(40_000, 8, 11), random_unit(600, 8, 12)
    tracemalloc.start()
    top_k(queries, corpus, 10, query_block=200, corpus_block=4000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The whole score matrix would be 96 MB; the stated bound is 8 bytes per cell of a block.
    assert peak < 8 * 200 * 4000 + 2_000_000, peak


def test_the_spare_candidates_are_what_the_ties_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_SPARE", 0)
    corpus = np.tile(random_unit(20, 8, 13), (3, 1))
    queries = random_unit(5, 8, 14)
    assert top_k(queries, corpus, 4).indices.tolist() == by_loop(queries, corpus, 4)
