"""Reciprocal rank fusion: by hand, and against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rag_bench.retrieval.fusion import reciprocal_rank_fusion
from rag_bench.retrieval.search import NOT_FOUND, TopK


def ranked(*rows: list[int]) -> TopK:
    indices = np.array(rows, dtype=np.int64)
    return TopK(indices, np.zeros(indices.shape))


def by_fractions(lists: list[TopK], k0: int, top_k: int) -> list[list[int]]:
    """Each question by itself, in exact arithmetic."""
    found = []
    for row in range(len(lists[0].indices)):
        sums: dict[int, Fraction] = {}
        for one in lists:
            for place, index in enumerate(one.indices[row].tolist(), 1):
                if index != NOT_FOUND:
                    sums[index] = sums.get(index, Fraction(0)) + Fraction(1, k0 + place)
        found.append(sorted(sums, key=lambda index: (-sums[index], index))[:top_k])
    return found


def test_by_hand() -> None:
    # 1: 1/62 + 1/61 = 0.032522; 3: 1/61 = 0.016393; 4: 1/62 = 0.016129; 2: 1/63 = 0.015873
    found = reciprocal_rank_fusion([ranked([3, 1, 2]), ranked([1, 4, NOT_FOUND])], 60, 4)
    assert found.indices.tolist() == [[1, 3, 4, 2]]
    assert found.scores.round(6).tolist() == [[0.032522, 0.016393, 0.016129, 0.015873]]
    # 1/1 + 1/2 against 1/2 + 1/1: equal, so the lower position comes first.
    found = reciprocal_rank_fusion([ranked([7, 2]), ranked([2, 7])], 0, 1)
    assert (found.indices.tolist(), found.scores.tolist()) == ([[2]], [[1.5]])


def test_one_list_keeps_its_order() -> None:
    assert reciprocal_rank_fusion([ranked([5, 0, 3])], 60, 2).indices.tolist() == [[5, 0]]


def test_rows_end_where_the_lists_do() -> None:
    nothing = [NOT_FOUND, NOT_FOUND]
    found = reciprocal_rank_fusion([ranked([1, 0], nothing), ranked([0, 1], nothing)], 60, 3)
    assert found.indices.tolist() == [[0, 1, NOT_FOUND], [NOT_FOUND] * 3]
    assert found.scores[1].tolist() == [0, 0, 0]
    assert reciprocal_rank_fusion([ranked(nothing)] * 2, 60, 3).indices.tolist() == [
        [NOT_FOUND] * 3
    ]
    empty = TopK(np.zeros((2, 0), np.int64), np.zeros((2, 0)))
    assert reciprocal_rank_fusion([empty, empty], 60, 3).indices.shape == (2, 0)
    assert reciprocal_rank_fusion([empty, ranked([4], [2])], 60, 3).indices.tolist() == [[4], [2]]


@pytest.mark.parametrize("k0", [0, 1, 60])
@pytest.mark.parametrize("n_lists", [2, 3, 4])
def test_agrees_with_exact_fractions(k0: int, n_lists: int) -> None:
    random = np.random.default_rng(k0 + n_lists)
    lists = []
    for size in [30, 12, 7, 30][:n_lists]:
        indices = np.array([random.permutation(40)[:size] for _ in range(50)])
        for row, kept in enumerate(random.integers(0, size + 1, 50)):
            indices[row, kept:] = NOT_FOUND
        lists.append(TopK(indices, np.zeros(indices.shape)))
    # Deep neighbours, too: places of thousands differ in the eighth decimal.
    found = reciprocal_rank_fusion(lists, k0, 25)
    rows = [[index for index in row if index != NOT_FOUND] for row in found.indices.tolist()]
    assert rows == by_fractions(lists, k0, 25)
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_deep_places_stay_apart() -> None:
    # 1/(60 + 2000) and 1/(60 + 2001) are one number to six decimals.
    order = np.random.default_rng(1).permutation(5000)
    found = reciprocal_rank_fusion([ranked(order.tolist())], 60, 5000)
    assert found.indices[0].tolist() == order.tolist()


def test_the_order_of_the_lists_does_not_matter() -> None:
    random = np.random.default_rng(9)
    lists = [ranked(*(random.permutation(30)[:20].tolist() for _ in range(40))) for _ in range(3)]
    one, other = (reciprocal_rank_fusion(given, 60, 20) for given in (lists, lists[::-1]))
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no list"):
        reciprocal_rank_fusion([])
    with pytest.raises(ValueError, match=r"\[1, 2\] questions"):
        reciprocal_rank_fusion([ranked([1]), ranked([1], [2])])
    with pytest.raises(ValueError, match="k0"):
        reciprocal_rank_fusion([ranked([1])], -1)
    with pytest.raises(ValueError, match="top_k"):
        reciprocal_rank_fusion([ranked([1])], 60, 0)
