"""Whether a side still gives its stored scores: by hand, and against falling back by mere luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.paired.asked_again import cases_that_decide
from rag_bench.evaluation.paired.reproduced import LEVEL, against_stored, cases_that_count

M = frozenset({"m"})


def of(scores: dict[str, float]) -> dict[str, dict[str, float]]:
    return {case: {"m": value} for case, value in scores.items()}


def test_only_cases_that_new_scores_would_choose_count() -> None:
    stored = of({"fell": 5, "fell to theirs": 5, "stays": 4, "rose": 3, "failed": 5})
    other = of({"fell": 2, "fell to theirs": 3, "stays": 2, "rose": 4, "failed": 1})
    fresh = {**of({"fell": 3, "fell to theirs": 3, "stays": 4, "rose": 5}), "failed": {}}
    assert cases_that_decide(stored, other, M) == sorted(stored)
    assert cases_that_count(other, fresh, M) == {"fell", "stays", "rose"}
    # A case that another metric chose is chosen by that one still.
    two = cases_that_count(
        {"x": {"m": 1.0, "n": 0.0}}, {"x": {"m": 1.0, "n": 1.0}}, frozenset({"m", "n"})
    )
    assert two == {"x"}


@pytest.mark.parametrize(("pages", "p", "lost"), [(8, 2 / 2**8, False), (9, 2 / 2**9, True)])
def test_p_by_hand(pages: int, p: float, lost: bool) -> None:
    """Where all pages fall alike one of 2^G patterns of signs is as extreme, and its mirror."""
    cases = [f"c{n}" for n in range(2 * pages)]
    stored, fresh = of(dict.fromkeys(cases, 5.0)), of(dict.fromkeys(cases, 3.0))
    found = against_stored("m", stored, fresh, cases, {c: int(c[1:]) // 2 for c in cases})
    assert found.p_exact == pytest.approx(p)
    assert (found.p_exact < LEVEL) is lost
    assert (found.difference.value, found.n_clusters) == (-2.0, pages)


def test_by_yes_and_no_only_all_cases_together_tell() -> None:
    stored = of({f"c{n}": float(n % 2) for n in range(40)})
    other = of({f"c{n}": float(1 - n % 2) for n in range(40)})
    fresh = of(dict.fromkeys(stored, 0.0))
    counting = cases_that_count(other, fresh, M)
    none = against_stored("m", stored, fresh, counting, {c: c for c in stored})
    assert none.difference.value == 0.0  # what counts has not changed: it could not have
    every = against_stored("m", stored, fresh, list(stored), {c: c for c in stored})
    assert every.difference.value == -0.5
    assert (every.p_exact or 1.0) < LEVEL


def alarms(seed: int, gates: int, *, broken: bool = False) -> tuple[float, float, float]:
    """Return how often a side that was ahead by luck alone is taken for changed: by all that was
    asked again, by what counts of it, by all its cases. Grades from 1 to 5 of 150 questions.
    """
    rng = np.random.default_rng(seed)
    naive, counted, whole, n = 0, 0, 0, 150
    asked = 0
    while asked < gates:
        a, b, again = (np.clip(np.round(3 + 0.6 * rng.standard_normal(n)), 1, 5) for _ in range(3))
        if broken:
            b, again = np.maximum(b - 1, 1), np.maximum(again - 1, 1)
        difference = b - a
        if difference.mean() / difference.std(ddof=1) * math.sqrt(n) > -1.96:
            continue
        asked += 1
        stored, other, fresh = (
            of({f"c{i}": float(x) for i, x in enumerate(side)}) for side in (a, b, again)
        )
        pages = {case: case for case in stored}
        chosen = cases_that_decide(stored, other, M)
        renewed = {case: fresh[case] for case in chosen}
        of_chosen = compare_paired(
            {c: stored[c]["m"] for c in chosen}, {c: fresh[c]["m"] for c in chosen}, pages
        )
        naive += (of_chosen.p_exact or 1.0) < 0.05
        counting = cases_that_count(other, renewed, M)
        counted += (against_stored("m", stored, renewed, counting, pages).p_exact or 1) < LEVEL
        whole += (against_stored("m", stored, fresh, sorted(stored), pages).p_exact or 1) < LEVEL
    return naive / gates, counted / gates, whole / gates


def test_falling_back_from_luck_is_no_change() -> None:
    naive, counted, whole = alarms(3, 120)
    assert naive > 0.12  # what the chosen cases show by themselves cries wolf
    assert counted <= 0.06
    assert whole <= 0.08


def test_a_side_that_fell_is_found() -> None:
    _, counted, whole = alarms(4, 25, broken=True)
    assert counted > 0.9
    assert whole == 1.0
