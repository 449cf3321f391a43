"""Means, rates and quantiles: against closed formulas, scipy, hand-worked cases and simulation."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.statistics import (
    expanded_percentiles,
    mean_metric,
    quantile_metric,
    rate_interval,
    rate_metric,
    totals_by_cluster,
    wilson_interval,
)
from rag_bench.evaluation.types import Metric, few_pages

Z = 1.959963984540054

maybe_scores = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=40)


# --- the type ---------------------------------------------------------------------------------


def test_json_has_exactly_the_promised_keys() -> None:
    assert Metric(0.5, 2, 4, 0.1, 0.9).to_json() == {
        "value": 0.5,
        "n_scored": 2,
        "n_expected": 4,
        "ci_low": 0.1,
        "ci_high": 0.9,
    }
    full = Metric(0.5, 2, 4, 0.1, 0.9, 0.25, 0.75, (0.0, 1.0)).to_json()
    assert set(full) == {
        "value",
        "n_scored",
        "n_expected",
        "ci_low",
        "ci_high",
        "low_if_missing",
        "high_if_missing",
        "scale",
    }
    assert full["scale"] == [0.0, 1.0]


def test_json_never_holds_nan_infinity_or_numpy() -> None:
    metric = Metric(np.float64("nan"), np.int64(1), np.int64(2), float("-inf"), float("inf"))
    text = json.dumps(metric.to_json(), allow_nan=False)
    assert json.loads(text) == {
        "value": None,
        "n_scored": 1,
        "n_expected": 2,
        "ci_low": None,
        "ci_high": None,
    }


def test_json_round_trip() -> None:
    metric = Metric(2.5, 2, 4, 1.5, 3.0, 1.75, 3.75, (1.0, 5.0))
    assert Metric.from_json(json.loads(json.dumps(metric.to_json()))) == metric


@pytest.mark.parametrize(("value", "scored", "expected"), [(0.5, 3, 2), (0.5, -1, 2), (0.0, 0, 2)])
def test_contradicting_counts_are_refused(value: float, scored: int, expected: int) -> None:
    with pytest.raises(ValueError, match="scored"):
        Metric(value, scored, expected)


# --- means ------------------------------------------------------------------------------------


def test_mean_counts_missing_and_bounds_it() -> None:
    # Scored 2, 4, 3 -> mean 3. Two of five are missing on a scale of 1 to 5:
    # worst (9 + 2*1) / 5 = 2.2, best (9 + 2*5) / 5 = 3.8.
    metric = mean_metric([2, None, 4, float("nan"), 3], list("abcde"), scale=(1, 5))
    assert (metric.value, metric.n_scored, metric.n_expected) == (3, 3, 5)
    assert metric.low_if_missing == pytest.approx(2.2)
    assert metric.high_if_missing == pytest.approx(3.8)


def test_mean_of_nothing_is_none_and_not_zero() -> None:
    metric = mean_metric([None, float("nan")], ["a", "b"], scale=(0, 1))
    assert metric == Metric(None, 0, 2, None, None, 0.0, 1.0, (0, 1))
    assert mean_metric([], []) == Metric(None, 0, 0)


def test_two_clusters_give_the_range_of_their_means() -> None:
    # Draws of {a, b} with replacement are aa, ab, ba, bb; the expanded levels for two clusters
    # lie beyond 1/4, so the interval is [mean of a, mean of b].
    metric = mean_metric([0.2, 0.4, 0.9], ["a", "a", "b"], scale=(0, 1))
    assert metric.value == pytest.approx(0.5)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((0.3, 0.9))


def test_one_cluster_has_no_interval() -> None:
    metric = mean_metric([0.1, 0.9, 0.5], ["page"] * 3, scale=(0, 1))
    assert metric.value == pytest.approx(0.5)
    assert metric.ci_low is None
    assert metric.ci_high is None


def test_clusters_with_nothing_scored_are_no_evidence() -> None:
    metric = mean_metric([0.1, 0.9, None], ["a", "a", "b"], scale=(0, 1))
    assert metric.ci_low is None


def test_equal_values_do_not_claim_certainty() -> None:
    # Ten pages, all perfect. Clopper-Pearson for 0 events of 10: up to 1 - 0.025**(1/10) = 0.3085
    # of the pages may be otherwise.
    from scipy.stats import binomtest

    metric = mean_metric([5.0] * 10, range(10), scale=(1, 5))
    upper = binomtest(0, 10).proportion_ci(0.95, method="exact").high
    assert (metric.ci_low, metric.ci_high) == pytest.approx((5 - 4 * upper, 5.0))
    assert upper == pytest.approx(0.3085, abs=1e-4)
    unbounded = mean_metric([7.0] * 10, range(10))
    assert unbounded.value == 7.0
    assert unbounded.ci_low is None


def test_large_samples_agree_with_the_normal_interval() -> None:
    values = np.random.default_rng(5).normal(3, 1, 400)
    metric = mean_metric(values.tolist(), range(400))
    half = Z * values.std(ddof=1) / math.sqrt(400)
    assert metric.ci_low == pytest.approx(values.mean() - half, abs=0.02)
    assert metric.ci_high == pytest.approx(values.mean() + half, abs=0.02)


def test_expanded_levels() -> None:
    # G = 5: t(0.975, 4) = 2.7764, times sqrt(5/4) = 3.1042, Phi(-3.1042) = 0.00095.
    assert expanded_percentiles(5)[0] == pytest.approx(0.000954, abs=2e-6)
    low, high = expanded_percentiles(100_000)
    assert (low, high) == pytest.approx((0.025, 0.975), abs=1e-5)


def test_correlated_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    pages = np.repeat(np.arange(30), 10)
    values = np.clip(0.5 + 0.3 * rng.normal(size=30)[pages] * 0.5, 0, 1)
    clustered = mean_metric(values.tolist(), pages.tolist(), scale=(0, 1))
    naive = mean_metric(values.tolist(), range(300), scale=(0, 1))
    assert clustered.ci_high - clustered.ci_low > 2.5 * (naive.ci_high - naive.ci_low)


def test_coverage_of_the_cluster_bootstrap() -> None:
    # 12 pages of 5 questions, half of the variance between pages: the interval should hold the
    # truth in about 95 % of 400 samples (less 3 standard errors: 91.7 %); treating the questions
    # as independent must not.
    rng = np.random.default_rng(11)
    pages = np.repeat(np.arange(12), 5).tolist()
    held = naive_held = 0
    for _ in range(400):
        values = (np.repeat(rng.normal(size=12), 5) + rng.normal(size=60)).tolist()
        metric = mean_metric(values, pages, resamples=1000)
        naive = mean_metric(values, range(60), resamples=200)
        held += metric.ci_low <= 0 <= metric.ci_high
        naive_held += naive.ci_low <= 0 <= naive.ci_high
    assert 0.917 <= held / 400 <= 0.985
    assert naive_held / 400 < 0.85


@given(maybe_scores, st.integers(1, 8), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_mean_properties(values: list[float | None], n_pages: int, random: object) -> None:
    pages = [index % n_pages for index in range(len(values))]
    metric = mean_metric(values, pages, scale=(0, 1), resamples=200)
    there = [v for v in values if v is not None]
    assert (metric.n_scored, metric.n_expected) == (len(there), len(values))
    assert 0 <= metric.low_if_missing <= metric.high_if_missing <= 1
    if there:
        assert metric.value == pytest.approx(np.mean(there))
        assert metric.low_if_missing - 1e-12 <= metric.value <= metric.high_if_missing + 1e-12
    if metric.ci_low is not None:
        assert 0 <= metric.ci_low <= metric.value <= metric.ci_high <= 1
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = mean_metric(
        [values[i] for i in order], [pages[i] for i in order], scale=(0, 1), resamples=200
    )
    assert shuffled == metric  # bit for bit: the order of the cases means nothing


@pytest.mark.parametrize("value", [6.0, 0.5, float("inf")])
def test_values_off_the_scale_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"scale|infinite"):
        mean_metric([value, 3.0], ["a", "b"], scale=(1, 5))


def test_float32_rounding_is_cut_to_the_scale() -> None:
    assert mean_metric([1.0000001], ["a"], scale=(0, 1)).value == 1.0


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        mean_metric([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="labels"):
        rate_metric([True], clusters=["a", "b"])


# --- rates ------------------------------------------------------------------------------------


def closed_wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson 1927, written out on its own."""
    p = k / n
    centre = (k + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * math.sqrt(n * p * (1 - p) + Z * Z / 4)
    return centre - half, centre + half


@pytest.mark.parametrize("n", [1, 2, 7, 30, 202, 1190])
def test_wilson_is_the_closed_formula(n: int) -> None:
    for k in {0, 1, n // 3, n // 2, n - 1, n}:
        assert wilson_interval(k, n) == pytest.approx(closed_wilson(k, n), abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_the_published_one(k: int, n: int, low: float, high: float) -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", method 3.
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_scipys() -> None:
    from scipy.stats import binomtest

    for k, n in ((0, 1), (1, 1), (3, 7), (0, 100), (100, 100), (33, 1000)):
        theirs = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert wilson_interval(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_rate_hand_worked() -> None:
    # 3 yes of 4 readable of 6: value 0.75; worst 3/6, best 5/6.
    metric = rate_metric([True, True, None, False, True, None])
    assert (metric.value, metric.n_scored, metric.n_expected) == (0.75, 4, 6)
    assert (metric.low_if_missing, metric.high_if_missing) == pytest.approx((0.5, 5 / 6))
    assert (metric.ci_low, metric.ci_high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_rate_extremes_keep_a_width() -> None:
    all_yes, none = rate_metric([True] * 20), rate_metric([False] * 20)
    assert all_yes.ci_high == 1.0
    assert 0.8 < all_yes.ci_low < 0.9
    assert none.ci_low == 0.0
    assert 0.1 < none.ci_high < 0.2
    assert rate_metric([]) == Metric(None, 0, 0, scale=(0.0, 1.0))


def test_rate_takes_yes_and_no_only() -> None:
    with pytest.raises(ValueError, match="yes and no"):
        rate_metric([0.5, 1])  # type: ignore[list-item]


def test_clustered_rate_hand_worked() -> None:
    # Ten pages of 5 alike questions, 6 pages yes: the residual totals are 5*0.4 (6 times) and
    # -5*0.6 (4 times); variance 10/9 * (6*4 + 4*9) / 50^2 = 0.026667; independent: 0.24/50 =
    # 0.0048; deff 5.5556; Wilson at n = 9 for 0.6.
    yes = [page < 6 for page in range(10) for _ in range(5)]
    pages = [page for page in range(10) for _ in range(5)]
    metric = rate_metric(yes, clusters=pages)
    z2 = Z * Z
    centre, half = (0.6 + z2 / 18) / (1 + z2 / 9), Z * math.sqrt(0.24 / 9 + z2 / 324) / (1 + z2 / 9)
    assert metric.value == 0.6
    assert (metric.ci_low, metric.ci_high) == pytest.approx((centre - half, centre + half))
    naive = rate_metric(yes)
    assert metric.ci_high - metric.ci_low > 1.9 * (naive.ci_high - naive.ci_low)


def test_clustered_rate_never_narrower_than_plain() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        yes = (rng.random(40) < 0.7).tolist()
        plain, clustered = rate_metric(yes), rate_metric(yes, clusters=[i % 8 for i in range(40)])
        assert clustered.ci_low <= plain.ci_low + 1e-12
        assert clustered.ci_high >= plain.ci_high - 1e-12


def draw(
    rng: np.random.Generator, n_pages: int, per_page: int, rate: float, correlation: float
) -> list[bool]:
    """Yes and no with this rate, and this correlation of two questions of one page."""
    strength = 1 / correlation - 1  # of the beta distribution that the pages' own rates have
    of_page = rng.beta(rate * strength, (1 - rate) * strength, size=n_pages)
    return (rng.random((n_pages, per_page)) < of_page[:, None]).ravel().tolist()


@pytest.mark.parametrize(
    ("n_pages", "per_page", "correlation", "naive_below"),
    [(12, 20, 0.1, 0.80), (12, 20, 0.2, 0.70), (40, 10, 0.2, 0.82), (48, 25, 0.05, 0.92)],
)
def test_coverage_of_the_rate(n_pages, per_page, correlation, naive_below):
    # 95 % is promised. 800 samples of a known truth: three standard errors are 2.3 points.
    rng, rate = np.random.default_rng(42), 0.7
    pages = np.repeat(np.arange(n_pages), per_page).tolist()
    held = naive_held = 0
    for _ in range(800):
        yes = draw(rng, n_pages, per_page, rate, correlation)
        metric, naive = rate_metric(yes, clusters=pages), rate_metric(yes)
        held += metric.ci_low <= rate <= metric.ci_high
        naive_held += naive.ci_low <= rate <= naive.ci_high
    assert 0.90 <= held / 800 <= 0.98
    assert naive_held / 800 < naive_below


def test_a_mean_of_noughts_and_ones_is_a_rate():
    # Where a question has one relevant chunk, hit rate and recall are one number.
    rng = np.random.default_rng(7)
    for n_pages in (1, 3, 12, 60):
        yes = draw(rng, n_pages, 6, 0.8, 0.2)
        pages = np.repeat(np.arange(n_pages), 6).tolist()
        as_rate = rate_metric(yes, clusters=pages)
        as_mean = mean_metric([float(y) for y in yes], pages, scale=(0.0, 1.0))
        assert as_mean == as_rate
    perfect = [True] * 12
    assert mean_metric([1.0] * 12, range(12), scale=(0, 1)) == Metric(
        1.0, 12, 12, *wilson_interval(12, 12), 1.0, 1.0, (0, 1), 12
    )
    assert rate_interval(perfect, range(12)) == pytest.approx(wilson_interval(12, 12))
    assert rate_interval([], []) == (None, None)


def test_few_pages_are_said_on_the_number_itself():
    yes, pages = [True, False, True] * 9, [index // 3 for index in range(27)]
    for metric in (
        rate_metric(yes, clusters=pages),
        mean_metric([3.0 * y for y in yes], pages, scale=(0, 5)),
    ):
        assert metric.n_clusters == 9
        said = metric.to_json()
        assert said["n_clusters"] == 9
        assert "fewer than 10 pages" in said["note"]
        assert few_pages(said) == "(<10 pages: 9)"
        assert Metric.from_json(said).to_json() == said
    enough = rate_metric([*yes, True], clusters=[*pages, 9]).to_json()
    assert enough["n_clusters"] == 10
    assert "note" not in enough
    assert few_pages(enough) == ""
    # A page without a score is no page that the number rests on.
    assert rate_metric([*yes, None], clusters=[*pages, 9]).n_clusters == 9
    assert few_pages(rate_metric(yes).to_json()) == ""  # nothing is known of pages
    assert few_pages(mean_metric([None], ["a"]).to_json()) == ""
    alone = mean_metric([0.2, 0.4], ["a", "a"]).to_json()
    assert alone["ci_low"] is None
    assert alone["note"] == "too few pages or users (1) for an interval"


def test_totals_by_cluster_do_not_know_the_order():
    labels, rows = list("abcab"), [[1, 0], [0, 1], [1, 1], [1, 0], [0, 0]]
    totals = totals_by_cluster(labels, rows)
    assert totals.tolist() == [[0, 1], [1, 1], [2, 0]]
    assert totals_by_cluster(labels[::-1], rows[::-1]).tolist() == totals.tolist()


# --- quantiles --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 20, 71, 72, 73, 100, 999, 5000])
@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95])
def test_order_statistics_are_the_binomials_quantiles(n: int, q: float) -> None:
    from scipy.stats import binom

    metric = quantile_metric([float(v) for v in range(1, n + 1)], q)  # each is its own place
    lower, upper = int(binom.ppf(0.025, n, q)), int(binom.ppf(0.975, n, q)) + 1
    known = lower >= 1 and upper <= n
    assert (metric.ci_low, metric.ci_high) == ((lower, upper) if known else (None, None))


def test_quantiles_and_their_order_statistic_interval() -> None:
    # Median of 1..11; Binomial(11, 1/2): P(X <= 1) = 0.0059, P(X <= 2) = 0.0327, so the interval
    # runs from the 2nd to the 10th value (coverage 98.8 %).
    metric = quantile_metric([float(v) for v in range(11, 0, -1)], 0.5)
    assert (metric.value, metric.ci_low, metric.ci_high) == (6.0, 2.0, 10.0)


def test_a_small_sample_cannot_bound_p95() -> None:
    # Some value must lie above the quantile: 0.95^n <= 0.025 from n = 72 on.
    assert quantile_metric([1.0] * 71, 0.95).ci_low is None
    assert quantile_metric([1.0] * 72, 0.95).ci_low == 1.0
    assert quantile_metric([None, None], 0.5) == Metric(None, 0, 2)
