"""A judge asked again: no more false alarms than promised, and changes of the stated size found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.instrument.canary import (
    ALPHA,
    LEAST_CASES,
    POWER,
    detectable,
    examine,
    p_of_worlds,
    permutations,
)

SCALE = (1.0, 5.0)
N, WORLDS = 30, 2_000


def worlds(noise: float, draws: int, seed: int = 7) -> np.ndarray:
    """Scores of a judge that is off by one point with a chance of ``noise``, (worlds, N, draws)."""
    rng = np.random.default_rng(seed)
    base = rng.integers(1, 6, size=(WORLDS, N, 1))
    off = rng.choice([-1, 1], size=(WORLDS, N, draws)) * (rng.random((WORLDS, N, draws)) < noise)
    return np.clip(base + off, *SCALE).astype(np.float64)


def within(share: float, nominal: float, n: int = WORLDS) -> bool:
    """Whether a share of worlds is at most what is promised, three standard errors allowed."""
    return share <= nominal + 3 * math.sqrt(nominal * (1 - nominal) / n)


@pytest.mark.parametrize(("n_reference", "n_new"), [(1, 2), (3, 1), (4, 1)])
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_a_judge_that_stayed_the_same_is_rarely_called_changed(
    noise: float, n_reference: int, n_new: int
) -> None:
    p = p_of_worlds(worlds(noise, n_reference + n_new), permutations(N, n_reference, n_new))
    assert within(float((p < ALPHA).mean()), ALPHA)
    assert within(float((p < 0.05).mean()), 0.05)


def test_changes_of_the_stated_size_are_found_as_often_as_stated() -> None:
    noise, n_reference = 0.1, 4
    rng = np.random.default_rng(11)
    # The judge's noise is known well here, so what is stated is right and not only hoped for.
    pool = np.clip(
        rng.integers(2, 5, size=(N, 1))
        + rng.choice([-1, 1], size=(N, 400)) * (rng.random((N, 400)) < noise),
        *SCALE,
    ).astype(np.float64)
    moved = detectable(pool, n_reference, 1, scale=SCALE)
    assert moved is not None
    picked = rng.integers(400, size=(WORLDS, N, n_reference + 1))
    draws = pool[np.arange(N)[None, :, None], picked]
    order = rng.random((WORLDS, N)).argsort(axis=1).argsort(axis=1) < moved
    low = draws[:, :, -1] - 1
    draws[:, :, -1] = np.where(order, np.where(low < 1, low + 2, low), draws[:, :, -1])
    found = float((p_of_worlds(draws, permutations(N, n_reference, 1, seed=3)) < ALPHA).mean())
    # 400 simulated worlds find the number of cases, so it may be one off.
    assert POWER - 0.08 <= found <= 0.97


def test_a_judge_without_noise_needs_four_verdicts_of_thirty() -> None:
    """By hand: of five draws a moved one is the new one by chance in a fifth; 2 (1/5)^4 < 0.01."""
    base = [[float(1 + i % 5)] * 4 for i in range(N)]
    assert 2 * (1 / 5) ** 3 > ALPHA > 2 * (1 / 5) ** 4
    assert detectable(base, 4, 1, scale=SCALE) == 4


def test_what_is_said_of_a_change_by_hand() -> None:
    reference = [[4.0, 4.0, 4.0] for _ in range(20)] + [[2.0, 3.0, 2.0] for _ in range(10)]
    new = [[3.0] for _ in range(10)] + [[4.0] for _ in range(10)] + [[2.0] for _ in range(10)]
    found = examine(reference, new, scale=SCALE)
    assert found.changed
    assert found.moved == 10
    # Ten lower by 1; ten lower by a third (the reference's mean is 7/3).
    assert found.shift.value == pytest.approx(-(10 + 10 / 3) / 30)
    # Two of three pairs of draws differ by one in a third of the cases.
    assert found.noise == pytest.approx((1 / 3) * (2 / 3))
    assert found.distance == pytest.approx((10 * 1 + 10 * (1 / 3)) / 30)
    assert found.as_json()["shift"]["n_scored"] == 30


def test_verdicts_that_move_both_ways_are_found_without_a_shift() -> None:
    reference = [[3.0, 3.0, 3.0, 3.0] for _ in range(N)]
    new = [[2.0] if i % 2 else [4.0] for i in range(N)]
    found = examine(reference, new, scale=SCALE)
    assert found.shift.value == pytest.approx(0.0)
    assert found.p_shift > 0.5
    assert found.changed


def test_one_draw_before_is_compared_by_the_noise_of_the_new_ones() -> None:
    found = examine([[3.0]] * 10, [[3.0, 4.0]] * 10, scale=SCALE)
    assert found.noise == pytest.approx(1.0)
    assert not found.changed


def test_draws_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        examine([[1.0]] * (LEAST_CASES - 1), [[1.0]] * (LEAST_CASES - 1), scale=SCALE)
    with pytest.raises(ValueError, match="as many"):
        examine([[1.0]] * 6, [[1.0]] * 5, scale=SCALE)
