"""Means that were carried over a bridge: widened by hand, and as often right as promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag_bench.evaluation.comparison import Comparison, compare_paired
from rag_bench.evaluation.instrument.bridge import Pair, bridge
from rag_bench.evaluation.paired.across import link_detectable, widened
from rag_bench.evaluation.paired.decision import decide

SCALE = (-50.0, 50.0)  # wide: these worlds have no ends


def compared(a: Sequence[float], b: Sequence[float], a_page: int = 1) -> Comparison:
    first = {f"{n:04}": value for n, value in enumerate(a)}
    second = {f"{n:04}": value for n, value in enumerate(b)}
    return compare_paired(first, second, {case: int(case) // a_page for case in first}, scale=SCALE)


def test_the_links_error_is_added_in_squares() -> None:
    found = compared([3.0, 4.0, 5.0, 2.0] * 10, [3.0, 3.0, 4.0, 2.5] * 10)
    difference = found.difference
    assert (difference.value, difference.ci_low is not None) == (-0.375, True)
    wide = widened(found, 0.2)
    assert wide.difference.value == difference.value
    for end in ("ci_low", "ci_high"):
        by_hand = math.hypot(getattr(difference, end) + 0.375, 1.959964 * 0.2)
        assert abs(getattr(wide.difference, end) + 0.375) == pytest.approx(by_hand, abs=1e-5)
    assert found.minimum_detectable is not None
    assert wide.minimum_detectable == pytest.approx(
        math.hypot(found.minimum_detectable, 2.801585 * 0.2), abs=1e-5
    )
    assert link_detectable(0.2) == pytest.approx(0.560317, abs=1e-5)
    # Proven without the bridge's error; with it it is not.
    assert (found.p_value or 1) < 0.05 < (wide.p_value or 0)
    assert wide.method == f"{found.method}_across_a_bridge"


def test_without_error_nothing_is_wider_and_one_page_says_nothing() -> None:
    found = compared([3.0, 4.0, 5.0, 2.0] * 10, [3.0, 3.0, 4.0, 2.5] * 10)
    same = widened(found, 0.0)
    assert same.difference.ci_low == pytest.approx(found.difference.ci_low)
    assert same.minimum_detectable == pytest.approx(found.minimum_detectable)
    alone = compared([3.0, 4.0], [4.0, 4.0], a_page=2)
    assert widened(alone, 0.2) == replace(alone, link_error=0.2)


def test_a_bridge_that_is_too_wide_is_named_as_what_holds_it_up() -> None:
    found = widened(compared([3.0, 4.0] * 40, [3.0, 4.0, 4.0, 3.0] * 20), 0.2)
    said = decide(found, found.p_value, higher_is_better=True, margin=0.2, scale=(1.0, 5.0))
    assert (said.word, said.needed) == ("cannot tell", None)
    assert said.reason == "the bridge's own error is too wide: let one judge score both sides"
    # With an error that leaves room more questions would do, and more than without a bridge.
    some = compared([3.0, 4.0] * 10, [3.0, 4.0, 4.0, 3.0] * 5)
    narrow = widened(some, 0.05)
    needs = [
        decide(one, one.p_value, higher_is_better=True, margin=0.2, scale=(1.0, 5.0)).needed
        for one in (some, narrow)
    ]
    assert needs[0] is not None
    assert needs[1] is not None
    assert needs[0].questions < needs[1].questions


@pytest.mark.once
@pytest.mark.parametrize("bridged", ["the baseline's own answers", "other answers"])
def test_a_difference_across_a_bridge_is_held_as_often_as_promised(bridged: str) -> None:
    """200 worlds of 40 pages of 5 answers; the new judge is 0.4 lower and stretches by 1.25.

    The release is truly 0.3 better on the new judge's scale. The bridge was built over the very
    answers that cross it, or over others of as many pages.
    """
    rng = np.random.default_rng(11)
    held = alarms = 0
    worlds, true = 200, 0.3

    def answers() -> np.ndarray:
        return 3 + rng.normal(0, 0.5, 40).repeat(5) + rng.normal(0, 0.6, 200)

    def by_old(truth: np.ndarray) -> np.ndarray:
        return truth + rng.normal(0, 0.4, 200)

    def by_new(truth: np.ndarray) -> np.ndarray:
        return 1.25 * truth - 1.15 + rng.normal(0, 0.5, 200)

    for _ in range(worlds):
        truth = answers()
        old = by_old(truth)
        same = bridged == "the baseline's own answers"
        seen = truth if same else answers()
        seen_old = old if same else by_old(seen)
        pairs = [
            Pair("m", str(n), n // 5, float(x), float(y))
            for n, (x, y) in enumerate(zip(seen_old, by_new(seen), strict=True))
        ]
        link = bridge(pairs, scale=SCALE).link
        assert link is not None
        # The answers of the release: the same questions, drawn anew, and 0.3 / 1.25 better.
        new = by_new(truth + rng.normal(0, 0.3, 200) + true / 1.25)
        carried = [link.carried(float(x)) for x in old]
        mean = float(old.mean())
        found = widened(compared(carried, list(map(float, new)), 5), link.error_at(mean))
        low, high = found.difference.ci_low, found.difference.ci_high
        assert low is not None
        assert high is not None
        held += low <= true <= high
        level = widened(compared(carried, [float(x) - true for x in new], 5), link.error_at(mean))
        alarms += (level.p_value or 0) < 0.05
    assert held / worlds >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / worlds)
    assert alarms / worlds <= 0.05 + 3 * math.sqrt(0.95 * 0.05 / worlds)
