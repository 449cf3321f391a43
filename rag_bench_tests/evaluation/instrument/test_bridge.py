"""One judge after another: agreement by hand, and a link that holds the truth as promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.instrument.bridge import Link, Pair, bridge

SCALE = (1.0, 5.0)


def test_agreement_shift_and_ranks_by_hand() -> None:
    pairs = [
        Pair("a", "1", "p1", 5.0, 4.0),
        Pair("a", "2", "p2", 4.0, 3.0),
        Pair("b", "1", "p1", 3.0, 5.0),
        Pair("b", "2", "p2", 4.0, 4.0),
    ]
    found = bridge(pairs, scale=SCALE)
    assert (found.n_pairs, found.n_pages) == (4, 2)
    assert found.exact.value == 0.25
    assert found.near.value == 0.75
    assert found.shift.value == 0.0
    assert found.link is None, "two pages link nothing"
    assert [(s.model, s.old, s.new, s.rank_old, s.rank_new) for s in found.standings] == [
        ("a", 4.5, 3.5, 1, 2),
        ("b", 3.5, 4.5, 2, 1),
    ]
    assert found.turned == [("a", "b")]
    # Ranks 4, 2.5, 1, 2.5 and 2.5, 1, 4, 2.5: Pearson of these is -2.25 / 4.5.
    assert found.spearman == pytest.approx(-0.5, abs=1e-6)


def test_a_linear_change_of_scale_is_found_exactly() -> None:
    pairs = [
        Pair("m", f"{n}", f"p{n}", float(old), 0.5 + 0.8 * old)
        for n, old in enumerate([1, 2, 3, 4, 5] * 6)
    ]
    link = bridge(pairs, scale=SCALE).link
    assert link is not None
    assert (link.slope, link.intercept) == (pytest.approx(0.8), pytest.approx(0.5))
    value, low, high = link.at(3.0)
    assert (value, low, high) == pytest.approx((2.9, 2.9, 2.9), abs=1e-6)
    _, low, high = link.at(3.0, error=0.1)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.08, abs=1e-3)
    assert Link.from_json(link.as_json()) == link


def test_judges_that_never_differ_between_answers_link_nothing() -> None:
    same = [Pair("m", f"{n}", f"p{n}", 3.0, 4.0) for n in range(30)]
    found = bridge(same, scale=SCALE)
    assert (found.link, found.spearman) == (None, None)
    assert found.shift.value == 1.0
    with pytest.raises(ValueError, match="no common answers"):
        bridge([], scale=SCALE)


@pytest.mark.once  # a share of 200 worlds, which no last bit moves
def test_means_that_cross_the_bridge_lie_within_its_interval_as_often_as_promised() -> None:
    """200 worlds of 40 pages of 5 answers: the new judge is 0.4 lower, and both have noise."""
    rng = np.random.default_rng(5)
    held, worlds = 0, 200
    for _ in range(worlds):
        pages = rng.normal(0, 0.5, size=40).repeat(5)
        truth = 3 + pages + rng.normal(0, 0.7, size=200)
        old = truth + rng.normal(0, 0.4, size=200)
        new = truth - 0.4 + rng.normal(0, 0.4, size=200)
        pairs = [
            Pair("m", str(n), n // 5, float(a), float(b))
            for n, (a, b) in enumerate(zip(old, new, strict=True))
        ]
        link = bridge(pairs, scale=(-9.0, 9.0)).link
        assert link is not None
        # Of both judges' scales: spreads are equal, so a mean of 3.5 becomes 3.1.
        _, low, high = link.at(3.5)
        held += low <= 3.1 <= high
    share, nominal = held / worlds, 0.95
    assert share >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / worlds)
    assert share <= 0.995
