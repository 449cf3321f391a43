"""Parts of a change: by hand for two and three causes, and that they add up."""

from __future__ import annotations

import numpy as np
import pytest

from rag_bench.evaluation.paired.asked_again import cases_that_decide, with_fresh, word_after
from rag_bench.evaluation.paired.causes import corners, shares
from rag_bench.evaluation.paired.false_alarms import World, simulate
from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE, NO_WORSE


def test_two_causes_are_the_mean_of_the_two_orders() -> None:
    scores = {
        frozenset(): {"x": 0.0, "y": 1.0},
        frozenset({"p"}): {"x": 0.4, "y": 1.0},
        frozenset({"d"}): {"x": 0.1, "y": 0.5},
        frozenset({"p", "d"}): {"x": 1.0, "y": 0.0},
    }
    found = {one.cause: one for one in shares(scores, ["p", "d"], {"x": 1, "y": 2})}
    # x: p first 0.4, then d 0.6; d first 0.1, then p 0.9. y: p 0, d -1; d -0.5, p -0.5.
    assert found["p"].metric.value == pytest.approx(((0.4 + 0.9) / 2 + (0 - 0.5) / 2) / 2)
    assert found["d"].metric.value == pytest.approx(((0.6 + 0.1) / 2 + (-1 - 0.5) / 2) / 2)


def test_the_parts_of_three_causes_add_up_and_idle_ones_have_none() -> None:
    rng = np.random.default_rng(3)
    causes = ["a", "b", "idle"]
    cases = [f"c{n}" for n in range(60)]
    base = dict(zip(cases, rng.random(60), strict=True))
    scores = {
        corner: {
            case: base[case]
            + 0.2 * ("a" in corner)
            - 0.1 * ("b" in corner)
            + 0.05 * ({"a", "b"} <= corner)
            for case in cases
        }
        for corner in corners(causes)
    }
    found = {
        one.cause: one
        for one in shares(scores, causes, {case: int(case[1:]) // 3 for case in cases})
    }
    assert found["a"].metric.value == pytest.approx(0.225)  # what only both do is halved
    assert found["b"].metric.value == pytest.approx(-0.075)
    assert found["idle"].metric.value == pytest.approx(0.0)
    assert found["idle"].p_adjusted == pytest.approx(1.0)
    assert (found["a"].p_adjusted or 1) < 0.001
    with pytest.raises(ValueError, match="32 combinations"):
        corners("abcde")


def test_a_case_that_lacks_a_corner_has_no_part() -> None:
    scores = {
        frozenset(): {"x": 0.0, "y": 0.0},
        frozenset({"p"}): {"x": 1.0, "y": 1.0},
        frozenset({"d"}): {"x": 0.0},
        frozenset({"p", "d"}): {"x": 1.0, "y": 9.0},
    }
    found = {one.cause: one.metric for one in shares(scores, ["p", "d"], {"x": 1, "y": 2})}
    assert (found["p"].value, found["p"].n_scored) == (1.0, 1)


def test_what_is_said_after_asking_again() -> None:
    first = {"a": {"m": 1.0}, "b": {"m": 1.0}, "c": {"m": 0.0}, "d": {"n": 1.0}}
    second = {"a": {"m": 0.0}, "b": {"m": 1.0}, "c": {"m": 1.0}, "d": {"n": 0.0}, "e": {"m": 1.0}}
    assert cases_that_decide(first, second, frozenset({"m"})) == ["a", "c"]
    assert with_fresh({"m": 1.0, "n": 0.5}, {"m": 0.0}, frozenset({"m"}), pool=False) == {
        "m": 0.0,
        "n": 0.5,
    }
    assert with_fresh({"m": 1.0}, {"m": 0.0}, frozenset({"m"}), pool=True) == {"m": 0.5}
    # A failed call leaves what was there.
    assert with_fresh({"m": 1.0}, {}, frozenset({"m"}), pool=True) == {"m": 1.0}
    assert word_after(GOT_WORSE, GOT_WORSE) == GOT_WORSE
    assert word_after(CANNOT_TELL, GOT_WORSE) == CANNOT_TELL
    assert word_after(NO_WORSE, CANNOT_TELL) == CANNOT_TELL  # the fresh one lets nothing pass
    assert word_after(CANNOT_TELL, NO_WORSE) == NO_WORSE


def test_asking_again_takes_false_alarms_away_and_leaves_true_ones() -> None:
    quiet = simulate(World(80, 1, discordant=0.2), quarters=8, seed=1)
    assert quiet.runs == 104
    assert quiet.alarm_again <= quiet.alarm <= 0.12
    assert quiet.passed_again >= quiet.passed
    lost = simulate(World(80, 1, discordant=0.1, loss=0.2), quarters=2, seed=1)
    assert lost.alarm_again > 0.85
    assert lost.passed_again == 0.0
    # What always differs differs again: asking again cannot undo a sample of questions.
    stays = simulate(World(80, 1, discordant=0.2, stays=1.0), quarters=4, seed=2)
    assert stays.alarm_again == stays.alarm
