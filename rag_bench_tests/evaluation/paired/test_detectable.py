"""Power and sizes of samples: published values, hand-worked ones, seeded simulation."""

import numpy as np
import pytest

from rag_bench.evaluation.paired.detectable import (
    clustered_standard_error,
    clusters_if_alike,
    detectable,
    needed,
    paired_rate_interval,
    pairs_needed,
    spread_of,
)
from rag_bench.evaluation.paired.p_values import sign_flips


def test_clustered_standard_error() -> None:
    # One case per cluster: the textbook s / sqrt(n).
    values = [1.0, 4.0, 2.0, 7.0]
    assert clustered_standard_error(values, "abcd") == pytest.approx(np.std(values, ddof=1) / 2)
    # Every case twice on its page: twice the cases and not a bit more evidence.
    doubled = clustered_standard_error([v for v in values for _ in "xy"], "aabbccdd")
    assert doubled == pytest.approx(np.std(values, ddof=1) / 2)
    assert clustered_standard_error([1.0, 2.0], "aa") is None


def test_what_can_be_seen_of_independent_scores() -> None:
    # 50 independent pairs of deviation 1: a bit more than (2.0096 + 0.8489) / sqrt(50) = 0.404, as
    # a true difference spreads them itself.
    d = np.random.default_rng(6).normal(size=50)
    d = (d - d.mean()) / d.std(ddof=1)
    found = spread_of(d.tolist(), range(50))
    assert found is not None
    assert 0.404 < detectable(found) < 0.44
    assert spread_of([1.0], ["a"]) is None
    assert spread_of([0.0, 0.0], ["a", "b"]) is None
    with pytest.raises(ValueError, match="cluster labels"):
        spread_of([1.0], [])


def _yes_no(
    rng: np.random.Generator, runs: int, pages: int, each: int, differ: float, drop: float
) -> np.ndarray:
    """Return differences, -1, 0 or 1, of questions whose pages move together (correlation .2)."""
    from scipy.special import ndtri

    lost, gained = differ / 2 + 0.75 * drop, differ / 2 - 0.25 * drop
    tendency = np.sqrt(0.2) * rng.normal(size=(runs, pages, 1))
    z = tendency + np.sqrt(0.8) * rng.normal(size=(runs, pages, each))
    table = np.where(z < ndtri(lost), -1.0, np.where(z > -ndtri(gained), 1.0, 0.0))
    return table.reshape(runs, pages * each)


@pytest.mark.parametrize(
    ("pages", "each", "differ"), [(200, 1, 0.15), (40, 5, 0.15), (40, 5, 0.3), (100, 5, 0.15)]
)
def test_the_detectable_difference_of_yes_and_no_has_its_power(
    pages: int, each: int, differ: float
) -> None:
    """Where the textbook's, of the spread that was seen without a difference, has .69 to .75."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(pages), each).tolist()
    spreads = [spread_of(d.tolist(), labels) for d in _yes_no(rng, 60, pages, each, differ, 0.0)]
    stated = float(np.mean([detectable(spread) for spread in spreads if spread is not None]))
    runs = 500
    found = sum(
        sign_flips(d.tolist(), labels, permutations=400).mid <= 0.05
        for d in _yes_no(rng, runs, pages, each, differ, stated)
    )
    error = (0.8 * 0.2 / runs) ** 0.5
    assert 0.77 - 2.5 * error <= found / runs <= 0.82 + 2.5 * error


def test_so_many_as_are_needed_show_it() -> None:
    labels = np.repeat(np.arange(40), 5).tolist()
    d = _yes_no(np.random.default_rng(2), 1, 40, 5, 0.15, 0.0)[0].tolist()
    spread = spread_of(d, labels)
    assert spread is not None
    seen = detectable(spread)
    same = needed(spread, seen + 1e-9)
    assert same is not None
    assert (same.questions, same.pages) == (200, 40)
    more = needed(spread, seen / 2)
    assert more is not None
    assert more.pages > 3 * 40
    assert more.questions == 5 * more.pages
    assert needed(spread, 1e-6) is None
    with pytest.raises(ValueError, match="positive"):
        needed(spread, 0.0)


def test_sizes_of_samples_as_published() -> None:
    # Miller 2024: 1/9 between questions, no noise of answers, 3 points: 969 questions.
    assert pairs_needed(1 / 9, 0.03) == pytest.approx(968.997, abs=5e-4)
    # One answer to each by either run, of variance 1/6: 3,876.
    assert pairs_needed(1 / 9 + 1 / 6 + 1 / 6, 0.03) == pytest.approx(3876, abs=0.05)


@pytest.mark.parametrize(("differ", "pairs"), [(0.10, 312), (0.15, 469), (0.20, 626), (0.30, 940)])
def test_many_pages_of_one_question_need_what_connor_says(differ: float, pairs: int) -> None:
    """Connor 1987: ``differ`` is the share of pairs that differ where the drop is 5 points."""
    n = 20_000
    lost = round(n * (differ - 0.025) / 2)
    d = [-1.0] * lost + [1.0] * lost + [0.0] * (n - 2 * lost)
    spread = spread_of(d, range(n))
    assert spread is not None
    found = needed(spread, 0.05)
    assert found is not None
    # Connor's has no step of a whole case, no t: about 40 pairs fewer.
    assert pairs < found.questions < pairs * 1.05 + 45


def test_alike_on_every_page_is_no_certainty() -> None:
    # 1 - 0.025^(1/G) <= 0.05 from 72 pages on.
    assert clusters_if_alike(0.05, 1.0) == 72
    assert 1 - 0.025 ** (1 / 72) <= 0.05 < 1 - 0.025 ** (1 / 71)
    assert clusters_if_alike(0.2, 4.0) == 72


def test_the_interval_of_paired_rates_holds_the_truth() -> None:
    """Also where hardly any pair differs, which Wald's own interval takes for certainty."""
    rng = np.random.default_rng(4)
    for n, lost, gained in ((60, 0.02, 0.02), (200, 0.1, 0.05), (500, 0.15, 0.15)):
        table = rng.multinomial(n, [lost, gained, 1 - lost - gained], size=1_000)
        covered = sum(
            low <= gained - lost <= high
            for low, high in (paired_rate_interval(int(b), int(c), n) for b, c, _ in table)
        )
        assert covered / 1_000 >= 0.95 - 3 * 0.0069
