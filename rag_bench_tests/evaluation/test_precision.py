"""Numbers are rounded where they are made: ties are ties and equal texts are 1 on any machine."""

import math

import numpy as np
import pytest

from rag_bench.evaluation.metrics.similarity import vector_similarities
from rag_bench.evaluation.nearest import best_match, unit_vectors
from rag_bench.evaluation.precision import published, settled
from rag_bench.evaluation.question_sets import near_duplicates
from rag_bench.evaluation.types import Metric


def test_a_hair_beside_a_number_is_that_number() -> None:
    for value in (0.9999999999999999, 1.0000000000000002, 1.0000001, np.float32(0.99999994)):
        assert settled(float(value)) == 1.0
    assert settled(0.1 + 0.2) == 0.3
    assert math.copysign(1, settled(-1e-9)) == 1  # no -0.0
    assert math.isnan(settled(math.nan))
    assert settled(math.inf) == math.inf


def test_an_array_is_rounded_in_float64() -> None:
    found = settled(np.array([0.7, -1e-8, 0.1234567], dtype=np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [0.7, 0.0, 0.123457]


def test_a_published_number_keeps_six_digits_where_it_is_small() -> None:
    assert published(1 / 3) == 0.333333
    assert published(123456.12345678) == 123456.123457
    assert published(0.0000123456789) == 1.23457e-05
    assert published(-0.0) == 0.0
    assert math.copysign(1, published(-0.0)) == 1


def test_a_metric_is_published_to_six_decimals() -> None:
    unit = Metric(2 / 3, 3, 3, 0.1234567891, 0.99999999999, 0.5, 0.5, (0.0, 1.0)).to_json()
    assert (unit["value"], unit["ci_low"], unit["ci_high"]) == (0.666667, 0.123457, 1.0)
    assert Metric(3.00000001e-8, 1, 1).to_json()["value"] == 3e-8  # no scale: not cut to 0
    assert Metric(3.00000001e-8, 1, 1, scale=(0.0, 1.0)).to_json()["value"] == 0


@pytest.mark.parametrize("noise", [0.0, 1e-7, -1e-7])
def test_equal_texts_are_equal_whatever_the_batch_did_to_their_vectors(noise: float) -> None:
    """The noise is what kernels of another processor leave in a component."""
    rng = np.random.default_rng(5)
    vector = rng.standard_normal(384)
    vector /= np.linalg.norm(vector)
    one = vector.astype(np.float32)
    other = (vector + noise * rng.choice([-1, 1], size=384)).astype(np.float32)
    [scores] = vector_similarities([one], [other])
    assert scores["semantic_similarity"] == 1.0
    cosines, which = best_match(unit_vectors(other[None]), unit_vectors(np.stack([one, one])))
    assert (cosines.tolist(), which.tolist()) == ([1.0], [0])
    assert near_duplicates(["а", "б"], np.stack([one, other]), 1.0) == {1: 0}


def test_a_threshold_is_reached_by_a_cosine_a_hair_below() -> None:
    near = np.array([0.95, math.sqrt(1 - 0.95**2)]) * (1 - 1e-9)
    vectors = np.array([[1.0, 0.0], near])
    assert float(vectors[0] @ vectors[1]) < 0.95
    assert near_duplicates(["а", "б"], vectors, 0.95) == {1: 0}
