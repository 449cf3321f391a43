"""Models against a baseline on the same cases; scores beside ratings."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.against import against
from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.traffic.ratings import scores_by_rating

CASES = [f"c{n}" for n in range(12)]
CLUSTERS = {case: case for case in CASES}
BASE = dict.fromkeys(CASES, 2.0)
BETTER = {case: 4.0 + (n % 2) for n, case in enumerate(CASES)}
ALIKE = {case: 2.0 + (1 if n % 2 else -1) for n, case in enumerate(CASES)}


def test_each_model_is_compared_with_the_baseline_by_each_judge_of_both() -> None:
    scores = {
        ("log", "j"): BASE,
        ("good", "j"): BETTER,
        ("same", "j"): ALIKE,
        ("good", "other"): BETTER,  # a judge that did not score the baseline
    }
    same, good = sorted(
        against("m", scores, "log", CLUSTERS, scale=(1, 5)), key=lambda one: one.model, reverse=True
    )
    assert (good.model, good.judge, good.baseline_mean, good.model_mean) == ("good", "j", 2.0, 4.5)
    assert good.comparison.difference.value == 2.5
    # Of all 2^12 sign patterns the observed one and its mirror, which count half in mid-p. Holm
    # doubles the smaller p.
    assert good.comparison.p_exact == pytest.approx(2 / 2**12)
    assert good.comparison.p_value == pytest.approx(1 / 2**12)
    assert good.p_adjusted == pytest.approx(2 / 2**12)
    assert good.verdict == "better"
    assert same.comparison.difference.value == 0
    assert same.verdict == "cannot be told apart"
    [worse] = against("m", {("log", "j"): BETTER, ("bad", "j"): BASE}, "log", CLUSTERS)
    assert worse.verdict == "worse"


def test_only_cases_of_both_are_compared() -> None:
    """A model that was scored on the easy ones is not ahead by it."""
    easy = {"c0": 5.0, "c1": 5.0}
    base = {"c0": 5.0, "c1": 5.0, "c2": 1.0}
    [found] = against("m", {("log", None): base, ("model", None): easy}, "log", CLUSTERS)
    difference = found.comparison.difference
    assert (difference.value, difference.n_scored, difference.n_expected) == (0.0, 2, 3)
    assert (found.baseline_mean, found.model_mean) == (5.0, 5.0)
    [none] = against("m", {("log", None): {"c0": 1.0}, ("x", None): {"c1": 5.0}}, "log", CLUSTERS)
    assert (none.verdict, none.p_adjusted, none.model_mean) == ("no pair", None, None)
    assert against("m", {("x", None): easy}, "log", CLUSTERS) == []


def test_cases_of_one_page_are_no_independent_evidence() -> None:
    one_page = dict.fromkeys(CASES, "page")
    scores = {("log", "j"): BASE, ("good", "j"): BETTER}
    [found] = against("m", scores, "log", one_page)
    assert found.comparison == compare_paired(BASE, BETTER, one_page)
    assert found.verdict == "cannot be told apart"


def test_scores_stand_beside_ratings_as_counts() -> None:
    rated = [(5, 4), (5, 4), (5, 1), (1, None), (1, 2), (None, 3), (5.0, 5)]
    best, worst = scores_by_rating(rated)
    assert (best.rating, best.counts, best.n_unscored, best.n) == (5, {1: 1, 4: 2, 5: 1}, 0, 4)
    assert (worst.rating, worst.counts, worst.n_unscored, worst.n) == (1, {2: 1}, 1, 2)
    assert scores_by_rating([(None, 3)]) == []
