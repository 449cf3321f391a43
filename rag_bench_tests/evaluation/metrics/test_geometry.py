"""The geometry of an embedding space: hand-worked, against scipy, and its memory."""

import tracemalloc

import numpy as np
import pytest

from rag_bench.evaluation.metrics.geometry import (
    GEOMETRY_NAMES,
    embedding_geometry,
    geometry_metrics,
)


def test_hand_worked_square() -> None:
    # East, north, west, south: neighbours at 90 degrees (distance 1), the opposite at 180 (2).
    # k = 5 is cut to 3 others: (1, 1, 2) each, mean 4/3, deviation sqrt(2)/3.
    # Upper triangle: four pairs at 1, two at 2; mean 8/6, deviation sqrt(2)/3.
    # Centroid 0, so each spread is 1; two equal eigenvalues: 50 % and 100 % -> 2 dimensions.
    result = embedding_geometry(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32))
    assert result == pytest.approx(
        {
            "avg_nn_distance": 4 / 3,
            "std_nn_distance": 2**0.5 / 3,
            "density_score": 1 / (4 / 3 + 1e-6),
            "avg_spread": 1,
            "max_spread": 1,
            "spread_std": 0,
            "effective_dimensionality": 2,
            "avg_pairwise_distance": 4 / 3,
            "std_pairwise_distance": 2**0.5 / 3,
            "min_pairwise_distance": 1,
            "max_pairwise_distance": 2,
            "n_duplicate_pairs": 0,
            "total_samples": 4,
        },
        abs=1e-6,
    )


@pytest.mark.parametrize(("n", "d", "block"), [(40, 8, 7), (9, 30, 4), (6, 3, 512)])
def test_same_as_scipy(n: int, d: int, block: int) -> None:
    from scipy.spatial.distance import pdist, squareform

    points = np.random.default_rng(n).normal(size=(n, d)) + 0.4
    result = embedding_geometry(points, block_rows=block)
    pairs = pdist(points, "cosine")
    nearest = np.sort(squareform(pairs) + np.diag(np.full(n, np.inf)), axis=1)[:, :5]
    spread = np.linalg.norm(points - points.mean(0), axis=1)
    values = np.sort(np.linalg.eigvalsh(np.cov(points.T)))[::-1]
    expected = {
        "avg_nn_distance": nearest.mean(),
        "std_nn_distance": nearest.std(),
        "density_score": 1 / (nearest.mean() + 1e-6),
        "avg_spread": spread.mean(),
        "max_spread": spread.max(),
        "spread_std": spread.std(),
        "effective_dimensionality": 1 + int((np.cumsum(values) / values.sum() < 0.95).sum()),
        "avg_pairwise_distance": pairs.mean(),
        "std_pairwise_distance": pairs.std(),
        "min_pairwise_distance": pairs.min(),
        "max_pairwise_distance": pairs.max(),
        "n_duplicate_pairs": 0,
        "total_samples": n,
    }
    assert result == pytest.approx(expected, abs=5e-6)  # of distances to six decimals
    assert set(result) == set(GEOMETRY_NAMES)


def test_variance_on_one_line_is_one_dimension() -> None:
    line = np.outer(np.arange(1, 20), [3.0, 4.0, 0.0])
    line[:, 2] = 1.0
    assert embedding_geometry(line)["effective_dimensionality"] == 1


def test_duplicates_are_counted() -> None:
    # Three copies are three pairs, two copies one; float32 rounding does not hide them.
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 64)).astype(np.float32)
    rounded = np.nextafter(a, np.float32(10))
    result = embedding_geometry(np.stack([a, b, rounded, c, a, c]))
    assert result["n_duplicate_pairs"] == 4
    assert result["min_pairwise_distance"] == pytest.approx(0, abs=1e-9)
    same = embedding_geometry(np.tile(a, (5, 1)))
    assert same["n_duplicate_pairs"] == 10
    assert same["effective_dimensionality"] == 0
    assert same["avg_nn_distance"] == pytest.approx(0, abs=1e-9)
    assert same["density_score"] == pytest.approx(1e6, rel=1e-3)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_vectors_have_no_geometry(n: int) -> None:
    result = embedding_geometry(np.ones((n, 4)))
    assert result.pop("total_samples") == n
    assert set(result.values()) == {None}


def test_metrics_say_how_many_had_a_vector() -> None:
    metrics = geometry_metrics(np.eye(3), n_expected=5)
    metric = metrics["avg_pairwise_distance"]
    assert (metric.value, metric.n_scored, metric.n_expected) == (1.0, 3, 5)
    assert metric.ci_low is None
    assert geometry_metrics(np.ones((0, 4)))["total_samples"].value is None
    assert geometry_metrics(np.ones((1, 4)))["avg_spread"].value is None


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(50, 6))
    again = embedding_geometry(points[rng.permutation(50)], block_rows=16)
    assert again == pytest.approx(embedding_geometry(points), abs=1e-12)


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.full((3, 2), np.nan), np.ones(4)])
def test_vectors_without_a_direction_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"zero vector|NaN|matrix"):
        embedding_geometry(bad)


def test_memory_is_bounded() -> None:
    # The full matrix of 3,000 x 3,000 float64 would be 72 MB by itself, and its copies more.
    points = np.random.default_rng(0).normal(size=(3000, 64)).astype(np.float32)
    tracemalloc.start()
    embedding_geometry(points, block_rows=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
