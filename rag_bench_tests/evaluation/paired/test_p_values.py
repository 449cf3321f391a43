"""P-values: against scipy, hand-worked cases, published values and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.paired.p_values import (
    PValue,
    benjamini_hochberg,
    holm,
    mcnemar,
    mcnemar_counts,
    sign_flips,
)

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_mcnemar_hand_worked() -> None:
    # 1 against 5 of six that differ: 2 * (1 + 6) / 64 = 0.21875.
    first = [True] * 4 + [True] + [False] * 5 + [False] * 2
    second = [True] * 4 + [False] + [True] * 5 + [False] * 2
    result = mcnemar(first, second)
    # Half of both outcomes that are just as extreme, 2 * 6 / 64, is taken off for mid-p.
    assert (result.only_first, result.only_second) == (1, 5)
    assert (result.p.exact, result.p.mid) == (0.21875, 0.125)
    assert mcnemar_counts(0, 0) == mcnemar_counts(3, 3) == PValue(1.0, 1.0)
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True], [])


@pytest.mark.parametrize(
    ("counts", "exact", "mid"),
    [
        ((1, 7), 0.0703125, 0.0390625),
        ((0, 9), 0.00390625, 0.001953125),
        ((10, 20), 0.0987371, 0.0707555),
    ],
)
def test_mcnemar_as_tabled(counts: tuple[int, int], exact: float, mid: float) -> None:
    """Fagerland, Lydersen and Laake 2013 recommend mid-p: less conservative, as safe."""
    for found in (mcnemar_counts(*counts), mcnemar_counts(*reversed(counts))):
        assert found.exact == pytest.approx(exact, abs=5e-8)
        assert found.mid == pytest.approx(mid, abs=5e-8)


@given(st.integers(0, 1200), st.integers(0, 1200))
@settings(deadline=None, max_examples=25)
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_counts(b, c).exact == pytest.approx(expected, rel=1e-6, abs=1e-250)


def test_sign_flips_hand_worked() -> None:
    # Totals 1, 2, 3: of 8 sign patterns only +++ and --- reach 6: 2/8.
    assert sign_flips([1, 2, 3], ["a", "b", "c"]) == PValue(0.25, 0.125)
    # The same cases on one page are one observation: both its signs are as extreme.
    assert sign_flips([1, 2, 3], ["a", "a", "a"]) == PValue(1.0, 0.5)
    assert sign_flips([0.0, 0.0], ["a", "b"]) == PValue(1.0, 1.0)
    # 0.1 + 0.2 against 0.3: a tie, though not in binary.
    assert sign_flips([0.1, 0.2, -0.3], ["a", "b", "c"]).mid == 1.0
    with pytest.raises(ValueError, match="no pair"):
        sign_flips([], [])


def test_exact_sign_flips_are_scipys() -> None:
    from scipy.stats import permutation_test

    rng = np.random.default_rng(0)
    for _ in range(5):
        d = rng.normal(0.4, 1, 9)
        other = permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert sign_flips(d.tolist(), range(9)).exact == pytest.approx(other)


def test_random_sign_flips_are_near_the_exact_ones() -> None:
    d = np.random.default_rng(2).normal(0.35, 1, 16)
    signs = np.array(list(itertools.product([1, -1], repeat=16)))
    exact = float((np.abs(signs @ d) >= abs(d.sum()) - 1e-9).mean())
    found = sign_flips(d.tolist(), range(16), permutations=20_000)
    assert found.exact == pytest.approx(exact, abs=0.01)
    assert found == sign_flips(d[::-1].tolist(), range(16), permutations=20_000)
    assert sign_flips([1.0] * 40, range(40), permutations=999) == PValue(0.001, 0.0005)


def test_false_alarms_are_no_more_than_alpha() -> None:
    # No true effect, 12 pages of 4 questions that move together: at most 5 % (3 standard errors).
    rng = np.random.default_rng(3)
    pages = np.repeat(np.arange(12), 4).tolist()
    clustered = naive = 0
    for _ in range(300):
        d = (np.repeat(rng.normal(size=12), 4) + 0.5 * rng.normal(size=48)).tolist()
        clustered += sign_flips(d, pages).mid <= 0.05
        naive += sign_flips(d, range(48), permutations=400).mid <= 0.05
    assert clustered / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert naive / 300 > 0.2  # what happens when questions pass for independent


def test_half_of_the_ties_is_mcnemars_mid_p() -> None:
    """A case per page and differences of one size: one test by two ways."""
    for lost, gained in ((1, 7), (0, 9), (3, 8)):
        d = [-1.0] * lost + [1.0] * gained + [0.0] * 3
        found, table = sign_flips(d, range(len(d))), mcnemar_counts(lost, gained)
        assert found.mid == pytest.approx(table.mid, abs=0.006)  # random from 15 cases up
        assert found.exact == pytest.approx(table.exact, abs=0.01)


def test_many_clusters_have_the_normal_p() -> None:
    d = np.random.default_rng(5).normal(0.03, 1, 2_001)
    z = abs(d.sum()) / np.sqrt((d**2).sum())
    from scipy.stats import norm

    assert sign_flips(d.tolist(), range(2_001)).mid == pytest.approx(2 * norm.sf(z))
    by_chance = sign_flips(d[:2_000].tolist(), range(2_000)).mid
    z = abs(d[:2_000].sum()) / np.sqrt((d[:2_000] ** 2).sum())
    assert by_chance == pytest.approx(2 * norm.sf(z), abs=0.02)


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
