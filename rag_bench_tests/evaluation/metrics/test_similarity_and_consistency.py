"""Vectors of answers: nearness to the reference, and agreement between repeats."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.metrics.consistency import (
    response_exact_match_rate,
    response_semantic_consistency,
)
from rag_bench.evaluation.metrics.similarity import vector_similarities


def test_hand_worked_similarity() -> None:
    # (3, 4) and (4, 3): dot 24, lengths 5, cosine 0.96, distance sqrt(2).
    [scores] = vector_similarities([np.array([3.0, 4.0])], [np.array([4.0, 3.0])])
    assert scores == pytest.approx(
        {"semantic_similarity": 0.96, "dot_similarity": 24, "euclidean_distance": math.sqrt(2)},
        abs=1e-6,
    )


def test_missing_vectors_stay_in_place() -> None:
    one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    results = vector_similarities([None, one, one], [one, None, other])
    assert [r["semantic_similarity"] for r in results] == [None, None, 0.0]
    assert vector_similarities([None], [None])[0]["dot_similarity"] is None


def test_unit_vectors_obey_the_law_of_cosines() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 16)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for scores in vector_similarities(list(points[:20]), list(points[20:])):
        cosine = scores["semantic_similarity"]
        assert scores["dot_similarity"] == pytest.approx(cosine, abs=2e-6)
        assert scores["euclidean_distance"] == pytest.approx(math.sqrt(2 - 2 * cosine), abs=2e-6)
    same = vector_similarities(list(points), list(points))
    assert {s["semantic_similarity"] for s in same} == {1.0}
    assert {s["euclidean_distance"] for s in same} == {0.0}


def test_vectors_without_a_direction_are_refused() -> None:
    good = np.ones(2)
    for bad in (np.zeros(2), np.array([np.nan, 1.0]), np.ones(3)):
        with pytest.raises(ValueError, match=r"zero vector|NaN|pair up"):
            vector_similarities([good], [bad])
    with pytest.raises(ValueError, match="references"):
        vector_similarities([good], [])
    with pytest.raises(ValueError, match="cosine"):
        response_semantic_consistency([good, np.zeros(2)])


def test_exact_match_counts_answers_that_came_back() -> None:
    # Two of three later answers equal the first: 2/3.
    assert response_exact_match_rate(["да", "да", "нет", "да"]) == pytest.approx(2 / 3)
    # A failed repeat is no disagreement, and no agreement either.
    assert response_exact_match_rate(["да", None, "нет"]) == 0
    assert response_exact_match_rate([None, "да", "да"]) == 1
    assert response_exact_match_rate(["да", "Да"]) == 0
    for too_few in ([], ["да"], ["да", None, None], [None, None]):
        assert response_exact_match_rate(too_few) is None


def test_semantic_consistency_by_hand() -> None:
    # East, north, north-east: cosines 0, 1/sqrt 2, 1/sqrt 2; mean 0.4714. Lengths do not matter.
    vectors = [np.array([2.0, 0.0]), None, np.array([0.0, 5.0]), np.array([1.0, 1.0])]
    assert response_semantic_consistency(vectors) == pytest.approx(2 / math.sqrt(2) / 3, abs=1e-6)
    assert response_semantic_consistency(vectors[:2]) is None
    assert response_semantic_consistency([]) is None


@given(st.integers(2, 7), st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_semantic_consistency_is_the_mean_over_pairs(m: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(m, 5))
    cosines = [
        points[i] @ points[j] / np.linalg.norm(points[i]) / np.linalg.norm(points[j])
        for i in range(m)
        for j in range(i)
    ]
    found = response_semantic_consistency(list(points))
    assert found == pytest.approx(np.mean(cosines), abs=1e-6)
    assert response_semantic_consistency(list(points[::-1])) == pytest.approx(found, abs=1e-6)
