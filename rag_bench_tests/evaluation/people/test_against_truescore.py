"""Corrected scores and agreement beside those of a library of others, where it is installed."""

import numpy as np
import pytest

from rag_bench.evaluation.people.agreement import cohen_kappa, krippendorff_alpha
from rag_bench.evaluation.people.prediction_powered import corrected_mean
from rag_bench.evaluation.people.rogan_gladen import corrected_share

truescore = pytest.importorskip("truescore")


@pytest.fixture
def judged() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    truth = (rng.random(500) < 0.7).astype(float)
    return truth, np.where(rng.random(500) < 0.85, truth, 1 - truth)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_points_of_a_given_weight_are_equal(
    judged: tuple[np.ndarray, np.ndarray], weight: float
) -> None:
    truth, said = judged
    theirs = truescore.ppi_estimate(said, truth[:100], np.arange(100), lambda_=weight)
    labels = [*truth[:100].tolist(), *[None] * 400]
    ours = corrected_mean(labels, said.tolist(), scale=(0, 1), step=1, weight=weight)
    assert ours is not None
    assert ours.value == pytest.approx(theirs.point, abs=1e-12)


def test_tuned_points_lie_within_a_tenth_of_the_interval(
    judged: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, said = judged
    theirs = truescore.ppi_estimate(said, truth[:100], np.arange(100))
    labels = [*truth[:100].tolist(), *[None] * 400]
    ours = corrected_mean(labels, said.tolist(), scale=(0, 1), step=1)
    assert ours is not None
    assert ours.width is not None
    assert abs(ours.value - theirs.point) < ours.width / 10


def test_rogan_and_gladens_point_is_equal(judged: tuple[np.ndarray, np.ndarray]) -> None:
    truth, said = judged
    theirs = truescore.rogan_gladen_estimate(said, truth[:200], np.arange(200))
    good = truth[:200] == 1
    sensitivity, specificity = said[:200][good].mean(), 1 - said[:200][~good].mean()
    ours = corrected_share(said.mean(), specificity, sensitivity, 500, (~good).sum(), good.sum())
    assert ours is not None
    assert ours.value == pytest.approx(theirs.point, abs=1e-12)


def test_kappa_and_alpha_are_equal() -> None:
    rng = np.random.default_rng(2)
    a = rng.integers(1, 6, 80)
    b = np.clip(a + rng.integers(-1, 2, 80), 1, 5)
    table = np.zeros((5, 5))
    np.add.at(table, (a - 1, b - 1), 1)
    values = [1, 2, 3, 4, 5]
    assert cohen_kappa(table, values) == pytest.approx(truescore.cohen_kappa(a, b), abs=1e-12)
    squared = cohen_kappa(table, values, "quadratic")
    assert squared == pytest.approx(truescore.quadratic_weighted_kappa(a, b), abs=1e-12)
    ratings = np.vstack([a, b]).astype(float)
    for level in ("nominal", "interval"):
        theirs = truescore.krippendorff_alpha(ratings, level=level)
        assert krippendorff_alpha(ratings, level) == pytest.approx(theirs, abs=1e-9)
