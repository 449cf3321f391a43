"""Rogan and Gladen's correction: published values, coverage, and where it fails."""

import numpy as np
import pytest

from rag_bench.evaluation.people.rogan_gladen import Counts, corrected_share, transport_check


@pytest.mark.parametrize(
    ("given", "point", "interval"),
    [
        # Lee and others (2511.21140), by their published code.
        ((0.4, 0.7, 0.9, 1000, 200, 200), 0.166667, (0.056351, 0.262733)),
        ((0.9, 0.8, 0.95, 500, 30, 70), 0.933333, (0.864231, 1.0)),
    ],
)
def test_point_and_interval_have_the_published_values(
    given: tuple[float, ...], point: float, interval: tuple[float, float]
) -> None:
    found = corrected_share(*given)
    assert found is not None
    assert found.value == pytest.approx(point, abs=1e-6)
    assert (found.ci_low, found.ci_high) == pytest.approx(interval, abs=1e-6)


def test_the_point_is_not_cut_to_the_scale() -> None:
    found = corrected_share(0.1, 0.7, 0.9, 100, 50, 50)
    assert found is not None
    assert found.value == pytest.approx((0.1 + 0.7 - 1) / 0.6)
    assert found.ci_low == 0.0


def test_a_judge_that_is_no_better_than_chance_corrects_nothing() -> None:
    assert corrected_share(0.5, 0.4, 0.6, 100, 50, 50) is None


def _coverage(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Share of 2,000 intervals that hold .8; labels from answers of which .6 are good."""
    rng, runs, n, m = np.random.default_rng(11), 2000, 500, 200
    y = rng.random((runs, n)) < 0.8
    said = rng.random((runs, n)) < np.where(y, here[0], 1 - here[1])
    n_good = rng.binomial(m, 0.6, runs)
    q1 = rng.binomial(n_good, there[0]) / n_good
    q0 = rng.binomial(m - n_good, there[1]) / (m - n_good)
    held = 0
    for share, bad_right, good_right, good in zip(said.mean(axis=1), q0, q1, n_good, strict=True):
        found = corrected_share(share, bad_right, good_right, n, m - good, good)
        held += found is not None and found.ci_low <= 0.8 <= found.ci_high
    return held / runs


def test_the_interval_holds_the_truth_where_the_judge_errs_alike() -> None:
    # Three standard errors of 2,000 runs.
    assert _coverage((0.95, 0.7), (0.95, 0.7)) >= 0.95 - 0.015


def test_and_does_not_where_it_errs_otherwise_so_the_mark_is_needed() -> None:
    assert _coverage((0.95, 0.7), (0.9, 0.85)) < 0.6


def test_labels_of_the_model_itself_can_speak_against_errors_carried_over() -> None:
    elsewhere = Counts(90, 10, 45, 15)
    assert transport_check(elsewhere, Counts(4, 0, 2, 0)).verdict == "too_few"
    same = transport_check(elsewhere, Counts(18, 2, 9, 3))
    assert (same.verdict, same.n_labels) == ("no_difference", 32)
    other = transport_check(elsewhere, Counts(5, 15, 3, 9))
    assert other.verdict == "differs"
    assert other.p_value is not None
    assert other.p_value < 0.001


def test_the_check_raises_no_more_false_alarms_than_one_in_twenty() -> None:
    rng, alarms, runs = np.random.default_rng(2), 0, 400
    for _ in range(runs):
        a, b = rng.binomial(100, 0.9), rng.binomial(60, 0.75)
        c, d = rng.binomial(25, 0.9), rng.binomial(15, 0.75)
        elsewhere, here = Counts(a, 100 - a, b, 60 - b), Counts(c, 25 - c, d, 15 - d)
        alarms += transport_check(elsewhere, here).verdict == "differs"
    assert alarms / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
