"""Worlds have the truth that they state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.self_test.worlds import (
    GRADES,
    Pages,
    TwoGraders,
    before_and_after,
    changes,
    grades,
    judged,
    mean_grade,
    uneven,
    yes_no,
)

MANY = Pages(4000, 5, 0.2)


def correlation(values: np.ndarray) -> float:
    """Return the intraclass correlation by the analysis of variance, shape (pages, questions)."""
    n, m = values.shape
    between = m * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    assert n > 1
    return float((between - within) / (between + (m - 1) * within))


def test_yes_and_no_have_their_rate_and_are_alike_within_a_page() -> None:
    drawn = yes_no(np.random.default_rng(1), MANY, 0.8)
    assert drawn.mean() == pytest.approx(0.8, abs=0.012)
    assert correlation(drawn.astype(float)) == pytest.approx(0.2, abs=0.03)
    alone = yes_no(np.random.default_rng(1), Pages(4000, 5, 0.0), 0.8)
    assert correlation(alone.astype(float)) == pytest.approx(0.0, abs=0.03)


def test_grades_have_their_mean() -> None:
    drawn = grades(np.random.default_rng(1), MANY, 3.6, 1.1)
    assert set(np.unique(drawn)) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert drawn.mean() == pytest.approx(mean_grade(3.6, 1.1), abs=0.03)
    # Symmetric about the middle of the scale, whatever the spread.
    assert mean_grade(3.0, 2.0) == pytest.approx(3.0, abs=1e-12)
    # By hand: all but nothing of the normal value lies between 3.5 and 4.5.
    assert mean_grade(4.0, 0.01) == pytest.approx(4.0, abs=1e-12)


def test_changes_have_their_mean_their_share_and_are_alike_within_a_page() -> None:
    drawn = changes(np.random.default_rng(1), MANY, 0.15, -0.05)
    assert set(np.unique(drawn)) == {-1.0, 0.0, 1.0}
    assert drawn.mean() == pytest.approx(-0.05, abs=0.012)
    assert np.abs(drawn).mean() == pytest.approx(0.15, abs=0.012)
    assert correlation(drawn) == pytest.approx(0.2, abs=0.03)
    one_way = changes(np.random.default_rng(1), MANY, 0.05, -0.05)
    assert set(np.unique(one_way)) == {-1.0, 0.0}
    with pytest.raises(ValueError, match="cannot make a difference"):
        changes(np.random.default_rng(1), MANY, 0.04, -0.05)


def test_two_runs_differ_by_the_change() -> None:
    rng = np.random.default_rng(2)
    change = changes(rng, Pages(50, 4, 0.1), 0.3, 0.1)
    first, second = before_and_after(rng, change, 0.8)
    assert (second.astype(int) - first.astype(int)).tolist() == change.ravel().astype(int).tolist()


def test_a_judge_errs_as_often_as_stated() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(40_000) < 0.6
    said = judged(rng, truth, 0.9, 0.7)
    assert said[truth].mean() == pytest.approx(0.9, abs=0.01)
    assert said[~truth].mean() == pytest.approx(0.3, abs=0.015)


def test_two_graders_have_the_table_that_they_state() -> None:
    world = TwoGraders(noise=(0.3, 0.6), shift=-0.4)
    first, second = world.draw(np.random.default_rng(4), Pages(40_000, 5, 0.1))
    assert world.table.sum() == pytest.approx(1, abs=1e-9)
    seen = np.array([[((first == v) & (second == w)).mean() for w in GRADES] for v in GRADES])
    assert world.table == pytest.approx(seen, abs=0.005)
    assert world.means == pytest.approx((first.mean(), second.mean()), abs=0.01)
    # Worth and error together are normal, so either one's mean is known without the table.
    own = mean_grade(3.7, math.hypot(1, 0.3)), mean_grade(3.3, math.hypot(1, 0.6))
    assert world.means == pytest.approx(own, abs=1e-9)


def test_uneven_pages_have_one_question_often_and_all_sometimes() -> None:
    pages = Pages(3000, 6, 0.2)
    rng = np.random.default_rng(5)
    values, labels = uneven(rng, pages, np.tile(np.arange(3000.0)[:, None], 6))
    assert values == labels
    counts = np.bincount(labels, minlength=3000)
    assert (counts.min(), counts.max()) == (1, 6)
    assert (counts == 1).mean() == pytest.approx(1 / 3 + 2 / 3 / 6, abs=0.03)
