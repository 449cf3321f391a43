"""Paired comparisons: hand-worked cases."""

import random

import pytest

from rag_bench.evaluation.comparison import compare_paired, compare_with_baseline
from rag_bench.evaluation.paired.p_values import sign_flips


def test_runs_are_compared_on_the_cases_that_both_have() -> None:
    first = {"1": 3.0, "2": 4.0, "3": None, "4": 2.0, "only here": 1.0}
    second = {"1": 4.0, "2": 4.0, "3": 5.0, "4": 4.0}
    result = compare_paired(first, second, dict.fromkeys(first, "A") | {"4": "B"})
    # Differences 1, 0 (page A) and 2 (page B): mean 1.
    assert (result.difference.value, result.difference.n_scored) == (1.0, 3)
    assert result.difference.n_expected == 5
    assert (result.n_clusters, result.p_exact, result.p_value) == (2, 0.5, 0.25)
    assert (result.difference.ci_low, result.difference.ci_high) == (0.5, 2.0)
    nothing = compare_paired({"1": None}, {"1": 2.0}, {"1": "A"})
    assert (nothing.p_value, nothing.difference.value) == (None, None)


def test_yes_no_uses_mcnemar_only_when_cases_are_independent() -> None:
    first = {str(i): i < 4 for i in range(12)}
    second = {str(i): i < 3 or i > 6 for i in range(12)}
    alone = compare_paired(first, second, {c: c for c in first}, yes_no=True)
    assert (alone.method, alone.p_exact, alone.p_value) == ("mcnemar", 0.21875, 0.125)
    # Bonett and Price: (6 - 2) / 14, and 1.96 * sqrt((8/14 - (4/14)^2) / 14) either way.
    assert alone.difference.ci_low == pytest.approx(4 / 14 - 0.3666, abs=1e-4)
    assert alone.difference.ci_high == pytest.approx(4 / 14 + 0.3666, abs=1e-4)
    assert alone.difference.value == pytest.approx(4 / 12)
    pages = compare_paired(first, second, {c: int(c) // 4 for c in first}, yes_no=True)
    assert pages.method == "sign_flip_permutation"
    # McNemar is the sign-flip test when every case is its own cluster.
    signs = sign_flips([float(second[c]) - first[c] for c in first], list(first))
    assert signs.mid == pytest.approx(alone.p_value)


@pytest.mark.parametrize("n_pages", [3, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_the_other_way_round_is_the_same_turned_round(n_pages: int, seed: int) -> None:
    draw = random.Random(seed)
    first = {str(i): draw.choice([0.2, 0.5, 0.9]) for i in range(3 * n_pages)}
    second = {case: score + draw.choice([-0.2, -0.1, 0.0, 0.1]) for case, score in first.items()}
    page_of = {case: int(case) % n_pages for case in first}
    there = compare_paired(first, second, page_of, scale=(-1.0, 2.0))
    back = compare_paired(second, first, page_of, scale=(-1.0, 2.0))
    assert (back.p_value, back.p_exact) == (there.p_value, there.p_exact)
    assert back.minimum_detectable == pytest.approx(there.minimum_detectable)
    one, other = there.difference, back.difference
    assert one.ci_low is not None
    assert one.ci_high is not None
    assert (other.value, other.ci_low, other.ci_high) == pytest.approx(
        (-(one.value or 0.0), -one.ci_high, -one.ci_low)
    )
    assert one.low_if_missing == pytest.approx(-(other.high_if_missing or 0.0))
    # In another order of the cases it is the same, too.
    order = sorted(first, key=lambda case: draw.random())
    assert compare_paired({case: first[case] for case in order}, second, page_of,
                          scale=(-1.0, 2.0)) == there  # fmt: skip


def test_an_even_difference_has_an_even_interval() -> None:
    """As many fell as rose by as much: neither order of the runs has the longer end."""
    first = {str(i): 0.5 for i in range(20)}
    second = {case: 0.5 + 0.1 * (-1) ** int(case) for case in first}
    found = compare_paired(first, second, {case: case for case in first}).difference
    assert found.value == pytest.approx(0.0)
    assert found.ci_low is not None
    assert found.ci_low == pytest.approx(-(found.ci_high or 0.0))
    assert found.ci_low < 0


def test_a_mean_of_repeats_that_is_off_by_rounding_is_no_difference() -> None:
    """(0.4 + 0.4 + 0.4) / 3 is not 0.4 to the last bit; what scatters so would need no pages."""
    first = {str(i): (0.2, 0.4, 0.6, 0.8)[i % 4] for i in range(60)}
    second = {case: (score + score + score) / 3 for case, score in first.items()}
    assert first != second
    found = compare_paired(first, second, {case: int(case) // 2 for case in first})
    assert (found.difference.value, found.p_value) == (0.0, 1.0)
    assert (found.spread, found.minimum_detectable) == (None, None)


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
    # good: 8 of 8 changed questions one way, p = 2/2^8, mid-p half of it; bad: one changed, 1/2.
    # Holm over the four: 4/256 and 3/256, which may not fall, then 1.
    assert [one.comparison.p_exact for one in found.values()] == [1 / 128, 1 / 128, 1.0, 1.0]
    assert [one.comparison.p_value for one in found.values()] == [1 / 256, 1 / 256, 0.5, 0.5]
    assert [one.p_adjusted for one in found.values()] == [4 / 256, 4 / 256, 1.0, 1.0]
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
