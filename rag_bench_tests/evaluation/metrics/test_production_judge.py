"""The production judge's measures: hand-worked, against scikit-learn, and at the edges."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.metrics.judges.production_judge import show_metrics
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.statistics import wilson_interval

RATIOS = ("accuracy", "precision", "recall", "specificity", "f1_score")


def pairs(
    tp: int, fp: int, fn: int, tn: int, good: int = 0, bad: int = 0
) -> tuple[list[bool | None], list[bool]]:
    """Verdicts and labels with these counts; good and bad are unreadable replies."""
    predicted = [True] * (tp + fp) + [False] * (fn + tn) + [None] * (good + bad)
    truth = [True] * tp + [False] * fp + [True] * fn + [False] * tn + [True] * good + [False] * bad
    return predicted, truth


def test_hand_worked() -> None:
    # TP 6, FP 2, FN 1, TN 3; two unreadable, one of them a good answer. 12 read of 14.
    metrics = show_metrics(*pairs(6, 2, 1, 3, good=1, bad=1))
    expected = {
        "accuracy": (9 / 12, 9 / 14, 11 / 14),
        "precision": (6 / 8, 6 / 9, 7 / 9),  # the bad one shown; the good one shown
        "recall": (6 / 7, 6 / 8, 7 / 8),
        "specificity": (3 / 5, 3 / 6, 4 / 6),
        "f1_score": (12 / 15, 12 / 17, 14 / 17),
    }
    for name, values in expected.items():
        metric = metrics[name]
        assert (metric.value, metric.low_if_missing, metric.high_if_missing) == pytest.approx(
            values
        ), name
        assert (metric.n_scored, metric.n_expected) == (12, 14)
        assert metric.ci_low < metric.value < metric.ci_high
    counts = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    assert [metrics[name].value for name in counts] == [6, 2, 1, 3]
    assert metrics["unreadable"].value == 2
    assert (metrics["precision"].ci_low, metrics["precision"].ci_high) == wilson_interval(6, 8)
    assert (metrics["accuracy"].ci_low, metrics["accuracy"].ci_high) == wilson_interval(9, 12)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_same_as_scikit_learn(drawn: list[tuple[bool, bool]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    predicted, truth = [p for p, _ in drawn], [t for _, t in drawn]
    metrics = show_metrics(predicted, truth, resamples=200)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
        truth, predicted, average="binary", zero_division=np.nan
    )
    for name, other in (("precision", precision), ("recall", recall), ("f1_score", f1)):
        value = metrics[name].value
        assert (value is None) == bool(np.isnan(other))
        assert value is None or value == pytest.approx(other)
    assert metrics["accuracy"].value == pytest.approx(sklearn.accuracy_score(truth, predicted))
    for name in RATIOS:
        metric = metrics[name]
        if metric.ci_low is not None:
            assert 0 <= metric.ci_low <= metric.value <= metric.ci_high <= 1
    assert show_metrics(predicted[::-1], truth[::-1], resamples=200) == metrics


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.booleans()), max_size=30))
@settings(deadline=None, max_examples=60)
def test_bounds_hold_whatever_the_unreadable_would_have_been(drawn: list) -> None:
    predicted, truth = [p for p, _ in drawn], [t for _, t in drawn]
    metrics = show_metrics(predicted, truth, resamples=50)
    rng = np.random.default_rng(0)
    for guess in (True, False, None):
        filled = [
            p if p is not None else (bool(rng.random() < 0.5) if guess is None else guess)
            for p in predicted
        ]
        complete = show_metrics(filled, truth, resamples=50)
        for name in RATIOS:
            value, metric = complete[name].value, metrics[name]
            if value is None or metric.low_if_missing is None or metric.high_if_missing is None:
                continue
            assert metric.low_if_missing - 1e-12 <= value <= metric.high_if_missing + 1e-12, name


def test_undefined_ratios_are_none_and_not_zero() -> None:
    nothing_shown = show_metrics(*pairs(0, 0, 3, 4))
    assert nothing_shown["precision"].value is None
    assert nothing_shown["recall"].value == 0 == nothing_shown["f1_score"].value
    all_hidden_rightly = show_metrics(*pairs(0, 0, 0, 4))
    assert all_hidden_rightly["recall"].value is None
    assert all_hidden_rightly["f1_score"].value is None
    assert all_hidden_rightly["accuracy"].value == 1
    unreadable = show_metrics([None, None], [True, False])
    assert {unreadable[name].value for name in RATIOS} == {None}
    assert (unreadable["accuracy"].low_if_missing, unreadable["accuracy"].high_if_missing) == (0, 1)
    assert unreadable["unreadable"].value == 2
    empty = show_metrics([], [])
    assert {metric.value for metric in empty.values()} == {None}
    for metrics in (nothing_shown, all_hidden_rightly, unreadable, empty):
        json.dumps({k: m.to_json() for k, m in metrics.items()}, allow_nan=False)


def test_a_perfect_judge_is_not_certain() -> None:
    f1 = show_metrics(*pairs(14, 0, 0, 6))["f1_score"]
    low = wilson_interval(14, 14)[0]
    assert (f1.value, f1.ci_high) == (1, 1)
    assert f1.ci_low == pytest.approx(2 * low / (1 + low))
    assert f1.ci_low < 0.9


def test_f1_of_twenty_pairs_is_wide() -> None:
    # The published judge set had 14 show and 6 hide: nothing within 0.1 can be told apart.
    f1 = show_metrics(*pairs(12, 2, 2, 4))["f1_score"]
    assert f1.ci_high - f1.ci_low > 0.2


def test_cell_bootstrap_is_the_case_bootstrap() -> None:
    predicted, truth = pairs(30, 6, 9, 25)
    p, t = np.array(predicted, bool), np.array(truth, bool)
    rows = np.random.default_rng(8).integers(0, len(p), size=(4000, len(p)))
    p, t = p[rows], t[rows]
    f1 = 2 * (p & t).sum(1) / (p.sum(1) + t.sum(1))
    metric = show_metrics(predicted, truth, resamples=4000)["f1_score"]
    assert (metric.ci_low, metric.ci_high) == pytest.approx(
        np.quantile(f1, [0.025, 0.975]), abs=0.01
    )


def test_pairs_of_one_page_are_not_independent() -> None:
    # Ten pages of six pairs; on a page the judge is right about all, or leaks and blocks alike.
    predicted, truth, pages = [], [], []
    for page in range(10):
        wrong = page in (2, 5, 7)
        truth += [True, True, True, True, False, False]
        predicted += [not wrong] * 4 + [wrong] * 2
        pages += [page] * 6
    plain, clustered = (
        show_metrics(predicted, truth),
        show_metrics(predicted, truth, clusters=pages),
    )
    for name in RATIOS:
        metric, naive = clustered[name], plain[name]
        assert metric.value == naive.value
        assert metric.n_clusters == 10
        assert metric.ci_high - metric.ci_low > 1.3 * (naive.ci_high - naive.ci_low), name
    # Accuracy by hand: three pages of ten wrong throughout, so the ten pages are the evidence.
    # Totals' residuals are 6*0.3 (7 times) and -6*0.7 (3): variance 10/9 * (7*3.24 + 3*17.64) /
    # 60^2 = 0.023333; independent 0.21/60; deff 6.6667; n = 9.
    assert (clustered["accuracy"].ci_low, clustered["accuracy"].ci_high) == pytest.approx(
        closed_wilson(0.7, 9)
    )
    again = show_metrics(predicted[::-1], truth[::-1], clusters=pages[::-1])
    assert again == clustered
    one = show_metrics(predicted[:6], truth[:6], clusters=pages[:6])
    assert all(one[name].ci_low is None for name in RATIOS)
    assert "too few pages or users (1)" in one["f1_score"].to_json()["note"]
    with pytest.raises(ValueError, match="cluster labels"):
        show_metrics([True], [True], clusters=[])


def closed_wilson(p: float, n: float) -> tuple[float, float]:
    z2 = 1.959963984540054**2
    half = (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5
    return tuple((p + z2 / (2 * n) + sign * half) / (1 + z2 / n) for sign in (-1, 1))


def test_coverage_of_f1_over_pages() -> None:
    # Errors come by page (correlation 0.2), 30 pages of 8 pairs, 300 samples of a known truth:
    # P(right) = 0.8 for both kinds of label, so in the limit F1 = 0.8 with half of them good.
    rng = np.random.default_rng(3)
    held = naive_held = 0
    truth = [True, False] * 4 * 30
    pages = np.repeat(np.arange(30), 8).tolist()
    for _ in range(300):
        of_page = np.repeat(rng.beta(0.8 * 4, 0.2 * 4, size=30), 8)
        right = rng.random(240) < of_page
        predicted = [bool(t == r) for t, r in zip(truth, right, strict=True)]
        metric = show_metrics(predicted, truth, clusters=pages, resamples=500)["f1_score"]
        naive = show_metrics(predicted, truth, resamples=500)["f1_score"]
        held += metric.ci_low <= 0.8 <= metric.ci_high
        naive_held += naive.ci_low <= 0.8 <= naive.ci_high
    assert 0.90 <= held / 300 <= 0.99
    assert naive_held / 300 < 0.92


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="verdicts"):
        show_metrics([True], [])
    with pytest.raises(ValueError, match="label"):
        show_metrics([True], [None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="negative"):
        latency_metrics([-1.0])


def test_latencies() -> None:
    metrics = latency_metrics([100.0, None, 300.0, 200.0, 400.0, None])
    assert metrics["avg_latency_ms"].value == 250
    assert metrics["p50_latency_ms"].value == 250
    assert metrics["p95_latency_ms"].value == pytest.approx(385)  # 300 + 0.85 * 100
    assert (metrics["avg_latency_ms"].n_scored, metrics["avg_latency_ms"].n_expected) == (4, 6)
    assert metrics["p95_latency_ms"].ci_low is None
    assert latency_metrics([])["avg_latency_ms"].value is None
