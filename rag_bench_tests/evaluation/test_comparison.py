"""Paired comparisons: hand-worked cases."""

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
