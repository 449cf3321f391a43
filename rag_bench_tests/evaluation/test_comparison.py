"""Paired comparisons: against scipy, hand-worked cases and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.comparison import (
    benjamini_hochberg,
    clustered_standard_error,
    compare_paired,
    compare_with_baseline,
    exact_mcnemar,
    exact_mcnemar_counts,
    holm,
    minimum_detectable_difference,
    sign_flip_permutation,
)

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_mcnemar_hand_worked() -> None:
    # 1 against 5 of six that differ: 2 * (1 + 6) / 64 = 0.21875.
    first = [True] * 4 + [True] + [False] * 5 + [False] * 2
    second = [True] * 4 + [False] + [True] * 5 + [False] * 2
    result = exact_mcnemar(first, second)
    assert (result.only_first, result.only_second, result.p_value) == (1, 5, 0.21875)
    assert exact_mcnemar_counts(0, 0) == 1 == exact_mcnemar_counts(3, 3)
    with pytest.raises(ValueError, match="shorter"):
        exact_mcnemar([True], [])


@given(st.integers(0, 1200), st.integers(0, 1200))
@settings(deadline=None, max_examples=25)
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert exact_mcnemar_counts(b, c) == pytest.approx(expected, rel=1e-6, abs=1e-250)


def test_sign_flips_hand_worked() -> None:
    # Totals 1, 2, 3: of 8 sign patterns only +++ and --- reach 6: 2/8.
    assert sign_flip_permutation([1, 2, 3], ["a", "b", "c"]) == 0.25
    # The same cases on one page are one observation: both its signs are as extreme.
    assert sign_flip_permutation([1, 2, 3], ["a", "a", "a"]) == 1.0
    assert sign_flip_permutation([0.0, 0.0], ["a", "b"]) == 1.0
    # 0.1 + 0.2 against 0.3: a tie, though not in binary.
    assert sign_flip_permutation([0.1, 0.2, -0.3], ["a", "b", "c"]) == 1.0
    with pytest.raises(ValueError, match="no pair"):
        sign_flip_permutation([], [])


def test_exact_sign_flips_are_scipys() -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(0)
    for _ in range(5):
        d = rng.normal(0.4, 1, 9)
        other = permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert sign_flip_permutation(d.tolist(), range(9)) == pytest.approx(other)


def test_random_sign_flips_are_near_the_exact_ones() -> None:
    d = np.random.default_rng(2).normal(0.35, 1, 16)
    signs = np.array(list(itertools.product([1, -1], repeat=16)))
    exact = float((np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean())
    found = sign_flip_permutation(d.tolist(), range(16), permutations=20_000)
    assert found == pytest.approx(exact, abs=0.01)
    assert found == sign_flip_permutation(d[::-1].tolist(), range(16), permutations=20_000)
    assert sign_flip_permutation([1.0] * 40, range(40), permutations=999) == 0.001


def test_false_alarms_are_no_more_than_alpha() -> None:
    # No true effect, 12 pages of 4 questions that move together: at most 5 % (3 standard errors).
    rng = np.random.default_rng(3)
    pages = np.repeat(np.arange(12), 4).tolist()
    clustered = naive = 0
    for _ in range(300):
        d = (np.repeat(rng.normal(size=12), 4) + 0.5 * rng.normal(size=48)).tolist()
        clustered += sign_flip_permutation(d, pages) <= 0.05
        naive += sign_flip_permutation(d, range(48), permutations=400) <= 0.05
    assert clustered / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert naive / 300 > 0.2  # what happens when questions pass for independent


def test_holm_hand_worked() -> None:
    # Sorted 0.01, 0.03, 0.04, each times 3, 2, 1, never falling: 0.03, 0.06, 0.06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    with pytest.raises(ValueError, match="p-value"):
        holm([1.5])


def test_benjamini_hochberg_hand_worked() -> None:
    # 0.01*3/1, 0.03*3/2, 0.04*3/3 = 0.03, 0.045, 0.04, never rising downwards: 0.03, 0.04, 0.04.
    assert benjamini_hochberg([0.04, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert benjamini_hochberg([]) == []


@given(p_lists)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    from scipy.stats import false_discovery_control

    assert benjamini_hochberg(p) == pytest.approx(list(false_discovery_control(p)))


@given(p_lists)
def test_corrections_are_ordered(p: list[float]) -> None:
    for raw, fdr, family, all_n in zip(
        p, benjamini_hochberg(p), holm(p), [min(1.0, len(p) * x) for x in p], strict=True
    ):
        assert raw - 1e-12 <= fdr <= family + 1e-12 <= all_n + 2e-12


def test_clustered_standard_error() -> None:
    # One case per cluster: the textbook s / sqrt(n).
    values = [1.0, 4.0, 2.0, 7.0]
    assert clustered_standard_error(values, "abcd") == pytest.approx(np.std(values, ddof=1) / 2)
    # Every case twice on its page: twice the cases and not a bit more evidence.
    doubled = clustered_standard_error([v for v in values for _ in "xy"], "aabbccdd")
    assert doubled == pytest.approx(np.std(values, ddof=1) / 2)
    assert clustered_standard_error([1.0, 2.0], "aa") is None


def test_minimum_detectable_difference_has_its_power() -> None:
    # 50 independent pairs of deviation 1: (2.0096 + 0.8489) / sqrt(50) = 0.404.
    rng = np.random.default_rng(6)
    d = rng.normal(size=50)
    d = (d - d.mean()) / d.std(ddof=1)
    found = minimum_detectable_difference(d.tolist(), range(50))
    assert found == pytest.approx(0.4042, abs=1e-3)
    hits = sum(
        sign_flip_permutation(rng.normal(found, 1, 50).tolist(), range(50), permutations=500)
        <= 0.05
        for _ in range(200)
    )
    assert 0.8 - 3 * 0.0283 <= hits / 200 <= 0.8 + 3 * 0.0283
    assert minimum_detectable_difference([1.0], ["a"]) is None
    assert minimum_detectable_difference([0.0, 0.0], ["a", "b"]) is None


def test_runs_are_compared_on_the_cases_that_both_have() -> None:
    first = {"1": 3.0, "2": 4.0, "3": None, "4": 2.0, "only here": 1.0}
    second = {"1": 4.0, "2": 4.0, "3": 5.0, "4": 4.0}
    result = compare_paired(first, second, dict.fromkeys(first, "A") | {"4": "B"})
    # Differences 1, 0 (page A) and 2 (page B): mean 1.
    assert (result.difference.value, result.difference.n_scored) == (1.0, 3)
    assert result.difference.n_expected == 5
    assert (result.n_clusters, result.p_value) == (2, 0.5)
    assert (result.difference.ci_low, result.difference.ci_high) == (0.5, 2.0)
    nothing = compare_paired({"1": None}, {"1": 2.0}, {"1": "A"})
    assert (nothing.p_value, nothing.difference.value) == (None, None)


def test_yes_no_uses_mcnemar_only_when_cases_are_independent() -> None:
    first = {str(i): i < 4 for i in range(12)}
    second = {str(i): i < 3 or i > 6 for i in range(12)}
    alone = compare_paired(first, second, {c: c for c in first}, yes_no=True)
    assert (alone.method, alone.p_value) == ("mcnemar", 0.21875)
    assert alone.difference.value == pytest.approx(4 / 12)
    pages = compare_paired(first, second, {c: int(c) // 4 for c in first}, yes_no=True)
    assert pages.method == "sign_flip_permutation"
    # McNemar is the sign-flip test when every case is its own cluster.
    signs = sign_flip_permutation([float(second[c]) - first[c] for c in first], list(first))
    assert signs == pytest.approx(alone.p_value)


def _family() -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, str]]:
    """Ten pages of one question; ``good`` finds all, ``bad`` loses one that ``base`` has."""
    cases = [f"q{i}" for i in range(10)]
    base = {case: float(i < 2) for i, case in enumerate(cases)}
    return {
        "base": {"hit": base, "rank": base},
        "good": {"hit": dict.fromkeys(cases, 1.0), "rank": dict.fromkeys(cases, 1.0)},
        "bad": {"hit": {**base, "q0": 0.0}, "rank": {**base, "q0": 0.5}},
    }, {case: case for case in cases}


def test_a_family_is_adjusted_as_a_whole_and_told_in_words() -> None:
    runs, pages = _family()
    found = {
        (one.name, one.measure): one
        for one in compare_with_baseline(runs, "base", pages, yes_no=["hit"])
    }
    assert list(found) == [(n, m) for n in ("good", "bad") for m in ("hit", "rank")]
    # good: 8 of 8 changed questions one way, p = 2/2^8 = 1/128; bad: one changed, p = 1.
    # Holm over the four: 4/128 and 3/128, which may not fall, then 1.
    assert [one.comparison.p_value for one in found.values()] == [1 / 128, 1 / 128, 1.0, 1.0]
    assert [one.p_adjusted for one in found.values()] == [4 / 128, 4 / 128, 1.0, 1.0]
    assert [one.verdict for one in found.values()] == ["better", "better"] + ["cannot tell"] * 2
    good, bad = found["good", "hit"], found["bad", "rank"]
    assert good.gained == tuple(f"q{i}" for i in range(2, 10))
    assert good.lost == bad.gained == ()
    assert bad.lost == ("q0",)
    assert (good.comparison.method, bad.comparison.method) == ("mcnemar", "sign_flip_permutation")
    turned = compare_with_baseline(runs, "good", pages, yes_no=["hit"])
    assert {one.verdict for one in turned} == {"worse"}


def test_a_family_on_one_page_tells_nothing_apart() -> None:
    runs, pages = _family()
    found = compare_with_baseline(runs, "base", dict.fromkeys(pages, "one page"))
    assert {(one.p_adjusted, one.verdict) for one in found} == {(1.0, "cannot tell")}
    with pytest.raises(KeyError):
        compare_with_baseline(runs, "no such run", pages)
