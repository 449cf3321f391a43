"""Corrected means: against the library, by hand, and how often their intervals hold the truth."""

import numpy as np
import pytest

from rag_bench.evaluation.people.prediction_powered import (
    FEWEST,
    corrected_mean,
    textbook_mean,
    tuned_weight,
)

Y = [1, 0, 1, 1, 0, 1, 1, 0]
F = [1, 0, 1, 1, 1, 1, 0, 0]
U = [1] * 60 + [0] * 40


def test_the_textbook_form_has_the_values_of_ppi_python() -> None:
    assert textbook_mean(Y, F, U, 1.0) == pytest.approx((0.600, 0.240, 0.960), abs=5e-4)
    assert textbook_mean(Y, F, U) == pytest.approx((0.6144, 0.3146, 0.9143), abs=5e-4)


def test_the_textbook_form_equals_ppi_python_where_it_is_installed() -> None:
    ppi_py = pytest.importorskip("ppi_py")
    rng = np.random.default_rng(3)
    for n, weight in ((8, 1.0), (60, 0.4), (60, None)):
        y = rng.integers(0, 2, n).astype(float)
        f = np.where(rng.random(n) < 0.8, y, 1 - y)
        u = rng.integers(0, 2, 300).astype(float)
        point = ppi_py.ppi_mean_pointestimate(y, f, u, lam=weight)
        low, high = ppi_py.ppi_mean_ci(y, f, u, alpha=0.05, lam=weight)
        ours = textbook_mean(y, f, u, weight)
        assert ours == pytest.approx((float(point[0]), float(low[0]), float(high[0])), abs=1e-9)


def test_without_weight_it_is_the_mean_of_the_labels() -> None:
    found = corrected_mean(Y + [None] * 100, F + U, scale=(0, 1), step=1, weight=0.0)
    assert found is not None
    assert found.value == pytest.approx(5 / 8)
    assert (found.n_labels, found.n_cases) == (8, 108)


def test_of_a_judge_that_is_always_right_it_is_the_judges_mean() -> None:
    found = corrected_mean(Y + [None] * 100, Y + U, scale=(0, 1), step=1, weight=1.0)
    assert found is not None
    assert found.value == pytest.approx(np.mean(U))


def test_point_and_interval_equal_a_count_by_hand() -> None:
    # With four pseudo-cases: 12 pairs, labels 7 of 12, scores 7 of 12, both 5 of 12.
    slope = (5 / 12 - (7 / 12) ** 2) / (7 / 12 - (7 / 12) ** 2)
    weight = slope / 1.08
    found = corrected_mean(Y + [None] * 100, F + U, scale=(0, 1), step=1)
    assert found is not None
    assert found.weight == pytest.approx(weight)
    assert found.value == pytest.approx(weight * 0.6 + 5 / 8 - weight * 5 / 8)
    residuals = np.array([*Y, 0, 1, 0, 1]) - weight * np.array([*F, 0, 1, 1, 0])
    variance = residuals.var(ddof=1) / 12 + weight**2 * np.var(U, ddof=1) / 100
    # t of 7 degrees of freedom.
    assert found.width == pytest.approx(2 * 2.364624 * variance**0.5, rel=1e-6)


def test_a_case_without_a_score_is_left_out_and_one_without_clusters_gets_no_interval() -> None:
    found = corrected_mean([1, 0, None, 1], [1, 0, 1, None], scale=(0, 1), step=1)
    assert found is not None
    assert (found.n_labels, found.n_cases) == (2, 3)
    one_page = corrected_mean([1, 0, None], [1, 0, 1], scale=(0, 1), step=1, clusters=["page"] * 3)
    assert one_page is not None
    assert one_page.ci_low is None
    assert corrected_mean([1, None], [1, 1], scale=(0, 1), step=1) is None


def test_a_judge_that_always_says_the_same_has_no_weight() -> None:
    assert tuned_weight(np.array([1.0, 0.0]), np.array([1.0, 1.0]), 0.1) == 0.0


def test_the_order_of_cases_changes_nothing() -> None:
    labels, scores = Y + [None] * 100, F + U
    pages = [n // 3 for n in range(108)]
    order = np.random.default_rng(1).permutation(108)
    a = corrected_mean(labels, scores, scale=(0, 1), step=1, clusters=pages)
    b = corrected_mean(
        [labels[i] for i in order],
        [scores[i] for i in order],
        scale=(0, 1),
        step=1,
        clusters=[pages[i] for i in order],
    )
    assert a is not None
    assert b is not None
    assert (a.value, a.ci_low, a.ci_high) == pytest.approx((b.value, b.ci_low, b.ci_high))


def _binary(
    rng: np.random.Generator, n: int, truth: float, sensitivity: float, specificity: float
) -> tuple[np.ndarray, np.ndarray]:
    y = (rng.random(n) < truth).astype(float)
    said_good = rng.random(n) < np.where(y == 1, sensitivity, 1 - specificity)
    return y, said_good.astype(float)


@pytest.mark.parametrize(
    ("truth", "sensitivity", "specificity"),
    [(0.8, 0.95, 0.7), (0.92, 0.97, 0.6), (0.5, 0.8, 0.8), (0.6, 0.9, 0.85)],
)
@pytest.mark.parametrize("n_labels", [FEWEST, 50, 100])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    truth: float, sensitivity: float, specificity: float, n_labels: int
) -> None:
    rng, runs, n = np.random.default_rng(n_labels), 1000, 500
    held, points = 0, []
    for _ in range(runs):
        y, f = _binary(rng, n, truth, sensitivity, specificity)
        labels = [*y[:n_labels].tolist(), *[None] * (n - n_labels)]
        found = corrected_mean(labels, f.tolist(), scale=(0, 1), step=1)
        assert found is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        held += found.ci_low <= truth <= found.ci_high
        points.append(found.value)
    # Three standard errors of a share of .95 in 1,000 runs are .021. Near the end of the scale
    # few labels over-cover, as the pseudo-cases stand for errors that were not seen.
    assert held / runs >= 0.95 - 0.021
    assert held / runs <= 0.95 + 0.021 or truth > 0.9 or n_labels == FEWEST
    assert abs(np.mean(points) - truth) <= 0.004 + 3 * np.std(points) / runs**0.5


@pytest.mark.parametrize("n_labels", [FEWEST, 100])
def test_so_does_that_of_grades(n_labels: int) -> None:
    rng, runs, n = np.random.default_rng(7), 1000, 400
    shares = [0.1, 0.1, 0.2, 0.3, 0.3]
    truth, held = float(np.dot(shares, [1, 2, 3, 4, 5])), 0
    for _ in range(runs):
        y = rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], size=n, p=shares)
        f = np.clip(y + (rng.random(n) < 0.4) - (rng.random(n) < 0.1), 1, 5)
        labels = [*y[:n_labels].tolist(), *[None] * (n - n_labels)]
        found = corrected_mean(labels, f.tolist(), scale=(1, 5), step=1)
        assert found is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        held += found.ci_low <= truth <= found.ci_high
    assert 0.929 <= held / runs <= 0.975


def test_cases_of_a_page_that_are_alike_widen_it_as_much_as_is_needed() -> None:
    rng, runs, pages, of_each, truth = np.random.default_rng(5), 600, 60, 6, 0.7
    held_apart = held = 0
    for _ in range(runs):
        # Pages differ: their shares of good answers are from a beta distribution of mean .7.
        share = rng.beta(2.1, 0.9, pages).repeat(of_each)
        y = (rng.random(len(share)) < share).astype(float)
        f = np.where(rng.random(len(y)) < 0.85, y, 1 - y)
        of_page = np.arange(pages).repeat(of_each)
        drawn = set(rng.choice(len(y), 100, replace=False).tolist())
        labels = [float(v) if i in drawn else None for i, v in enumerate(y)]
        for clusters in (of_page.tolist(), None):
            found = corrected_mean(labels, f.tolist(), scale=(0, 1), step=1, clusters=clusters)
            assert found is not None
            assert found.ci_low is not None
            assert found.ci_high is not None
            inside = found.ci_low <= truth <= found.ci_high
            held, held_apart = (
                held + (inside and clusters is not None),
                held_apart + (inside and clusters is None),
            )
    assert held / runs >= 0.95 - 0.027
    assert held_apart < held
