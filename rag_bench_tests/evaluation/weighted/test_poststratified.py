"""Scores weighted to the topics of traffic: by hand, and whether the intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.weighted.poststratified import poststratify

T_BY_HAND = 4.302652729911275  # t(.975) of 2 degrees of freedom


def test_by_hand_with_a_page_per_case() -> None:
    # A: 3 of 4 right, B: 1 of 2; 60 and 40 of 100 questions of users.
    found = poststratify(
        [5, 1, 5, 5, 1, 5], list("AAAABB"), range(6), {"A": 60, "B": 40}, scale=(1.0, 5.0)
    )
    assert found.weighted.value == pytest.approx(0.6 * 4 + 0.4 * 3)
    assert found.plain.value == pytest.approx(22 / 6)
    # Σ W² s²/n: s² is 4 in A and 8 in B.
    variance = 0.36 * 4 / 4 + 0.16 * 8 / 2
    # Weights .15 (four times) and .2 (twice): 1 / Σ a² pages.
    freedom = 1 / (4 * 0.15**2 + 2 * 0.2**2) - 1
    from scipy.stats import t

    half = t.ppf(0.975, freedom) * math.sqrt(variance)
    assert found.weighted.ci_low == pytest.approx(max(3.6 - half, 1.0))
    assert found.weighted.ci_high == pytest.approx(min(3.6 + half, 5.0))
    population = 0.6 * (0.75 * 1.4**2 + 0.25 * 2.6**2) + 0.4 * (0.5 * 1.4**2 + 0.5 * 2.6**2)
    assert found.n_effective == pytest.approx(population / variance)
    assert found.design_effect == pytest.approx(6 * variance / population)
    assert found.uncovered == 0
    assert found.low_if_uncovered == pytest.approx(3.6)


def test_pages_that_span_topics_are_drawn_whole() -> None:
    # One page has a case in either topic, both above the mean: they add up before squaring.
    values = [4.0, 2.0, 5.0, 1.0]
    apart = poststratify(values, list("AABB"), ["p", "q", "r", "s"], {"A": 1, "B": 1})
    whole = poststratify(values, list("AABB"), ["p", "q", "p", "q"], {"A": 1, "B": 1})
    # √2 · (½/2) · (±1, ±2): squares added, and sums squared.
    factor = 2 * (0.5 / 2) ** 2
    variance_apart, variance_whole = factor * (1 + 1 + 4 + 4), factor * (9 + 9)
    population = np.var(values)
    assert apart.n_effective == pytest.approx(population / variance_apart)
    assert whole.n_effective == pytest.approx(population / variance_whole)
    assert whole.weighted.n_clusters == 2


def test_traffic_without_a_question_is_said_and_bounded() -> None:
    found = poststratify(
        [1, 0, 1, 1],
        list("AAAZ"),
        range(4),
        {"A": 30, "B": 50, "C": 20, "Z": 0},
        scale=(0.0, 1.0),
    )
    assert found.uncovered == pytest.approx(0.7)
    assert found.weighted.value == pytest.approx(2 / 3), "of the covered traffic"
    assert found.weighted.n_expected == 3, "nobody asks about Z"
    assert found.low_if_uncovered == pytest.approx(0.3 * 2 / 3)
    assert found.high_if_uncovered == pytest.approx(0.3 * 2 / 3 + 0.7)
    by_key = {one.key: one for one in found.strata}
    assert [one.key for one in found.strata] == ["B", "A", "C", "Z"]
    assert by_key["B"].score.value is None
    assert by_key["Z"].weight == 0
    assert by_key["Z"].score.value == 1
    assert found.as_json()["uncovered_share"] == 0.7


def test_topics_of_one_page_are_measured_with_the_nearest_and_it_is_said() -> None:
    like = {"B": "C", "D": "A", "A": "D", "C": "B"}
    found = poststratify(
        [1, 0, 1, 1, 0, 0, 1],
        list("AABBCCD"),
        ["a", "b", "c", "c", "d", "e", "f"],
        {"A": 1, "B": 1, "C": 1, "D": 1},
        scale=(0.0, 1.0),
        nearest=lambda key, others: like[key],
    )
    assert found.joined == {"B": "C", "D": "A"}
    # A and D: 2 of 3, half of the traffic; B and C: 2 of 4.
    assert found.weighted.value == pytest.approx(0.5 * 2 / 3 + 0.5 * 2 / 4)
    assert found.uncovered == 0
    by_key = {one.key: one.score for one in found.strata}
    assert by_key["B"].value == 1, "its own score is still its own"
    assert by_key["B"].n_scored == 2


def test_missing_scores_and_nothing_at_all() -> None:
    found = poststratify([None, 3.0, 4.0], list("AAB"), "pqr", {"A": 1, "B": 1})
    assert (found.weighted.n_scored, found.weighted.n_expected) == (2, 3)
    none = poststratify([None], ["A"], ["p"], {"A": 1}, scale=(0.0, 1.0))
    assert none.weighted.value is None
    assert none.uncovered == 1
    assert none.low_if_uncovered is None
    assert none.n_effective is None
    one = poststratify([1.0], ["A"], ["p"], {"A": 1}, scale=(0.0, 1.0))
    assert one.weighted.value == 1
    assert one.weighted.ci_low is None, "one page says nothing of others"
    with pytest.raises(ValueError, match="strata"):
        poststratify([1.0], [], [], {"A": 1})
    with pytest.raises(ValueError, match="need questions"):
        poststratify([1.0], ["A"], ["p"], {"A": 0})


def test_all_alike_is_not_certain() -> None:
    found = poststratify([1.0] * 6, list("AAABBB"), range(6), {"A": 2, "B": 1}, scale=(0.0, 1.0))
    weights = 1 / (3 * (2 / 9) ** 2 + 3 * (1 / 9) ** 2)
    assert found.weighted.ci_low == pytest.approx(0.025 ** (1 / weights))
    assert found.weighted.ci_high == 1


def test_weights_as_the_questions_change_nothing() -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(1, 6, 60).astype(float).tolist()
    strata = [f"t{i % 3}" for i in range(60)]
    found = poststratify(values, strata, range(60), {"t0": 5, "t1": 5, "t2": 5})
    assert found.weighted.value == pytest.approx(np.mean(values))
    # The order of cases is nothing either.
    order = rng.permutation(60)
    again = poststratify(
        [values[i] for i in order],
        [strata[i] for i in order],
        order.tolist(),
        {"t2": 5, "t0": 5, "t1": 5},
    )
    assert again.weighted.ci_low == pytest.approx(found.weighted.ci_low)


TOPICS = 6
TRAFFIC = {f"t{h}": share for h, share in enumerate((40, 25, 15, 10, 6, 4))}
#: Chances of a right answer by topic: what is asked about most goes worst.
LEVELS = np.array([0.55, 0.65, 0.7, 0.8, 0.85, 0.9])


def drawn(
    rng: np.random.Generator, pages: int, per_page: int, correlation: float, graded: bool
) -> tuple[list[float], list[str], list[int]]:
    """A benchmark of pages, each about one or two topics evenly, whatever users ask about."""
    values, strata, clusters = [], [], []
    for page in range(pages):
        luck = rng.normal()
        topics = rng.choice(TOPICS, size=2, replace=False)
        for _ in range(per_page):
            topic = int(rng.choice(topics))
            hidden = math.sqrt(correlation) * luck + math.sqrt(1 - correlation) * rng.normal()
            from scipy.special import ndtr

            place = float(ndtr(hidden))
            right = place < LEVELS[topic]
            values.append(float(1 + round(4 * (1 - place) * LEVELS[topic])) if graded else right)
            strata.append(f"t{topic}")
            clusters.append(page)
    return [float(v) for v in values], strata, clusters


@pytest.mark.once  # a share of many worlds, which no last bit moves
@pytest.mark.parametrize(
    ("pages", "per_page", "correlation", "graded"),
    [(40, 5, 0.1, False), (120, 2, 0.0, False), (60, 4, 0.2, True), (24, 8, 0.1, True)],
)
def test_the_intervals_hold_the_truth(
    pages: int, per_page: int, correlation: float, graded: bool
) -> None:
    rng = np.random.default_rng([pages, per_page])
    shares = np.array(list(TRAFFIC.values())) / 100
    if graded:
        grid = (np.arange(200_000) + 0.5) / 200_000
        truth = float(
            sum(
                w * np.mean(1 + np.round(4 * (1 - grid) * p))
                for w, p in zip(shares, LEVELS, strict=True)
            )
        )
    else:
        truth = float(shares @ LEVELS)
    runs, held, plain_held = 600, 0, 0
    scale = (1.0, 5.0) if graded else (0.0, 1.0)
    for _ in range(runs):
        found = poststratify(
            *drawn(rng, pages, per_page, correlation, graded), TRAFFIC, scale=scale
        )
        low, high = found.weighted.ci_low, found.weighted.ci_high
        assert low is not None
        assert high is not None
        held += low <= truth <= high
        value = found.plain.value
        assert value is not None
        plain_held += abs(value - truth) < abs((found.weighted.value or 0) - truth)
    # Within three standard errors of 600 runs: 2.7 points below, and what is a little wide above.
    error = math.sqrt(0.95 * 0.05 / runs)
    assert 0.95 - 3 * error <= held / runs <= 0.985, held / runs
    assert plain_held / runs < 0.45, "the plain mean is not nearer to what users get"
