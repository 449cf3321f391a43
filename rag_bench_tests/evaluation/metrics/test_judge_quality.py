"""How good a judge is: worked by hand, and against second implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy, mannwhitneyu, norm
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, recall_score, roc_auc_score

from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.metrics.judges.judge_biases import (
    BothOrders,
    order_metrics,
    preference_accuracy,
    sensitivity_metrics,
)
from rag_bench.evaluation.metrics.judges.judge_labels import (
    Metric,
    auc_interval,
    auc_of,
    kappa_of,
    label_metrics,
)
from rag_bench.evaluation.metrics.judges.judge_scores import (
    distribution_metrics,
    overall,
    repeat_metrics,
)
from rag_bench.evaluation.statistics import wilson_interval


def counts(metric: Metric) -> tuple[int, int]:
    return metric.n_scored, metric.n_expected


def test_an_answer_is_as_good_as_its_worst_rubric_says():
    assert overall([5, 2]) == 2
    assert overall([4]) == 4
    assert overall([5, None]) is None
    assert overall([]) is None


def test_agreement_over_repeats_by_hand():
    first = [(5, 4), (4, 5), (2, 1), (5,)]
    second = [(5, 4), (3, 5), (2, 2), (None,)]
    found = repeat_metrics(first, second, "abcd")
    # Overall 4, 4, 1 and then 4, 3, 2: one of three agrees, one goes from good to bad.
    assert found["consistency_score"].value == pytest.approx(1 / 3)
    assert found["decision_flip_rate"].value == pytest.approx(1 / 3)
    assert counts(found["consistency_score"]) == (3, 4)
    # Single scores: 0 0 | -1 0 | 0 +1 | missing.
    assert found["repeat_exact_agreement"].value == pytest.approx(4 / 6)
    assert found["repeat_mean_abs_difference"].value == pytest.approx(2 / 6)
    assert counts(found["repeat_mean_abs_difference"]) == (6, 7)
    # If the missing pair had disagreed, or agreed.
    assert found["consistency_score"].low_if_missing == pytest.approx(1 / 4)
    assert found["consistency_score"].high_if_missing == pytest.approx(2 / 4)


def test_without_two_scores_there_is_no_agreement():
    found = repeat_metrics([(5, 5)], [(None, 4)], ["a"])
    assert found["consistency_score"].value is None
    assert counts(found["consistency_score"]) == (0, 1)
    assert found["repeat_exact_agreement"].value == 0.0  # one rubric has both: 5 and 4
    assert all(metric.value is None for metric in repeat_metrics([], [], []).values())


def test_the_distribution_of_scores_by_hand():
    found = distribution_metrics([5, 5, 4, 1, None, 5])
    shares = [found[f"score_share_{value}"].value for value in range(1, 6)]
    assert shares == pytest.approx([0.2, 0.0, 0.0, 0.2, 0.6])
    assert found["score_collapse"].value == pytest.approx(0.6)
    assert found["score_distinct"].value == 3
    assert found["score_std"].value == pytest.approx(np.std([5, 5, 4, 1, 5]))
    assert found["score_entropy"].value == pytest.approx(entropy([0.2, 0.2, 0.6]) / math.log(5))
    assert all(counts(metric) == (5, 6) for metric in found.values())
    low, high = wilson_interval(3, 5)
    assert (found["score_collapse"].ci_low, found["score_collapse"].ci_high) == (low, high)


def test_a_judge_of_one_score_and_a_judge_of_all():
    same = distribution_metrics([3] * 40)
    assert (same["score_collapse"].value, same["score_entropy"].value) == (1.0, 0.0)
    assert (same["score_std"].value, same["score_distinct"].value) == (0.0, 1.0)
    even = distribution_metrics([1, 2, 3, 4, 5] * 4)
    assert even["score_entropy"].value == pytest.approx(1.0)
    assert even["score_collapse"].value == pytest.approx(0.2)
    assert all(metric.value is None for metric in distribution_metrics([None, None]).values())
    with pytest.raises(ValueError, match="whole number"):
        distribution_metrics([4.5])


ORDERED = [
    BothOrders("first", "second", "a"),  # the better one, in both orders
    BothOrders("first", "first", "b"),  # the place wins
    BothOrders("tie", "tie", "c"),
    BothOrders("second", "first", "d"),  # the worse one, in both orders
    BothOrders("first", None, "e"),  # one reply could not be read
    BothOrders("tie", "first", "f"),
]


def test_order_by_hand():
    found = order_metrics(ORDERED)
    assert found["position_consistency"].value == pytest.approx(3 / 5)
    assert counts(found["position_consistency"]) == (5, 6)
    # Decided verdicts of complete pairs: yes no | yes yes | no yes | yes.
    assert found["first_position_rate"].value == pytest.approx(5 / 7)
    assert counts(found["first_position_rate"]) == (7, 9)
    assert found["tie_rate"].value == pytest.approx(3 / 11)
    assert counts(found["tie_rate"]) == (11, 12)
    assert preference_accuracy(ORDERED).value == pytest.approx(1 / 5)
    assert counts(preference_accuracy(ORDERED)) == (5, 6)


def test_a_judge_that_knows_only_the_place():
    found = order_metrics([BothOrders("first", "first", n) for n in range(30)])
    assert found["position_consistency"].value == 0
    assert found["first_position_rate"].value == 1
    assert found["first_position_rate"].ci_low > 0.5
    # Two verdicts of one pair are no independent evidence: 30 clusters, not 60 verdicts.
    assert found["first_position_rate"].ci_low == pytest.approx(wilson_interval(30, 30)[0])


def test_a_judge_that_knows_only_the_answer():
    pairs = [BothOrders("first", "second", n) for n in range(30)]
    found = order_metrics(pairs)
    assert found["position_consistency"].value == 1
    assert found["first_position_rate"].value == 0.5
    assert preference_accuracy(pairs).value == 1
    assert all(metric.value is None for metric in order_metrics([]).values())


def test_one_failed_order_does_not_look_like_a_preference_for_a_place():
    # A judge without any bias whose replies fail only where the better answer is second.
    pairs = [BothOrders("first", "second", n) for n in range(10)]
    pairs += [BothOrders("first", None, n) for n in range(10, 40)]
    found = order_metrics(pairs)["first_position_rate"]
    assert found.value == 0.5
    assert counts(found) == (20, 80)


def test_sensitivity_is_paired():
    found = sensitivity_metrics("length", [5, 1, 2, None, 1], [4, 3, 2, 3, None], "abcde")
    assert found["length_sensitivity"].value == pytest.approx((-1 + 2 + 0) / 3)
    assert found["length_sensitivity_abs"].value == pytest.approx((1 + 2 + 0) / 3)
    assert counts(found["length_sensitivity"]) == (3, 5)
    none = sensitivity_metrics("style", [None], [4], "a")
    assert none["style_sensitivity"].value is None
    moved = sensitivity_metrics("length", [1] * 40, [2, 2, 2, 1] * 10, range(40))
    assert moved["length_sensitivity"].ci_low > 0
    still = sensitivity_metrics("length", [3] * 40, [3] * 40, range(40))["length_sensitivity"]
    assert still.ci_low < 0 == still.value < still.ci_high


@pytest.mark.parametrize("seed", range(8))
def test_labels_against_sklearn(seed):
    rng = np.random.default_rng(seed)
    good = rng.random(70) < 0.4
    scores = np.clip(np.round(rng.normal(2.6 + 1.2 * good, 1.3)), 1, 5)
    found = label_metrics("label", [*scores, None], [*good.tolist(), True])
    predicted = scores >= 4
    assert found["label_sensitivity"].value == pytest.approx(recall_score(good, predicted))
    assert found["label_specificity"].value == pytest.approx(recall_score(~good, ~predicted))
    balanced = balanced_accuracy_score(good, predicted)
    assert found["label_balanced_accuracy"].value == pytest.approx(balanced)
    assert found["label_kappa"].value == pytest.approx(cohen_kappa_score(good, predicted))
    assert found["label_auc"].value == pytest.approx(roc_auc_score(good, scores))
    u = mannwhitneyu(scores[good], scores[~good]).statistic
    assert found["label_auc"].value == pytest.approx(u / (good.sum() * (~good).sum()))
    for name, metric in found.items():
        assert metric.ci_low < metric.value < metric.ci_high, name
        assert metric.scale == CATALOGUE[name].scale
    assert counts(found["label_sensitivity"]) == (good.sum(), good.sum() + 1)
    assert counts(found["label_specificity"]) == ((~good).sum(), (~good).sum())
    assert counts(found["label_kappa"]) == (70, 71)


def test_labels_by_hand():
    # Good: 5, 4, 3 (one miss). Bad: 4, 2, 1 (one false alarm).
    found = label_metrics("label", [5, 4, 3, 4, 2, 1], [True] * 3 + [False] * 3)
    assert found["label_sensitivity"].value == pytest.approx(2 / 3)
    assert found["label_specificity"].value == pytest.approx(2 / 3)
    # Agreement 4/6, by chance 1/2.
    assert found["label_kappa"].value == pytest.approx((4 / 6 - 1 / 2) / (1 / 2))
    # Of nine pairs: 5 beats three, 4 beats two and ties one, 3 beats two.
    assert found["label_auc"].value == pytest.approx(7.5 / 9)


def test_one_kind_of_label_leaves_the_rest_undefined():
    found = label_metrics("label", [5, 4], [True, True])
    assert found["label_sensitivity"].value == 1
    assert found["label_specificity"].value is None
    assert found["label_balanced_accuracy"].value is None
    assert found["label_auc"].value is None
    assert found["label_kappa"].value is None
    nothing = label_metrics("label", [], [])
    assert all(metric.value is None and counts(metric) == (0, 0) for metric in nothing.values())
    failed = label_metrics("label", [None, None], [True, False])
    assert all(metric.value is None for metric in failed.values())
    assert [counts(failed[f"label_{n}"]) for n in ("sensitivity", "kappa")] == [(0, 1), (0, 2)]


def test_a_judge_without_any_error_is_not_certain():
    found = label_metrics("label", [5] * 10 + [1] * 10, [True] * 10 + [False] * 10)
    for name in ("sensitivity", "specificity", "balanced_accuracy", "kappa", "auc"):
        metric = found[f"label_{name}"]
        assert metric.value == 1
        assert 0.3 < metric.ci_low < 0.95, name
        assert metric.ci_high == pytest.approx(1)


def test_answers_of_one_page_are_not_independent():
    # 12 pages of a good and three bad answers; on every third page the judge errs throughout.
    scores, good, pages = [], [], []
    for page in range(12):
        right = page % 3 > 0
        scores += [5 if right else 2] + ([1, 2, 3] if right else [4, 5, 5])
        good += [True, False, False, False]
        pages += [page] * 4
    plain = label_metrics("label", scores, good)
    found = label_metrics("label", scores, good, clusters=pages)
    for name in ("specificity", "balanced_accuracy", "kappa", "auc"):
        metric, naive = found[f"label_{name}"], plain[f"label_{name}"]
        assert metric.value == naive.value
        assert metric.n_clusters == 12
        assert metric.ci_high - metric.ci_low > 1.1 * (naive.ci_high - naive.ci_low), name
    one = label_metrics("label", scores[:4], good[:4], clusters=pages[:4])
    assert one["label_auc"].value is not None
    assert all(metric.ci_low is None for metric in one.values())
    spread = distribution_metrics(scores, pages)
    assert spread["score_share_5"].n_clusters == 12
    # Alone on its page, an answer is as independent as without pages.
    alone = label_metrics("label", scores, good, clusters=range(48))
    for name in ("sensitivity", "specificity", "auc"):
        assert alone[f"label_{name}"].ci_low == pytest.approx(
            plain[f"label_{name}"].ci_low, abs=0.02
        )


def test_the_interval_of_the_auc_holds_the_truth_over_pages():
    # 25 pages of two good and two bad answers; a page moves its answers together, which a judge
    # that is harsh to a page's subject does: it does not change the order inside the page.
    rng = np.random.default_rng(12)
    labels = [True, True, False, False] * 25
    pages = np.repeat(np.arange(25), 4)
    signal = np.where(labels, 1.0, 0.0)
    true = norm.cdf(1.0 / math.sqrt(2 * (1 + 0.7)))
    held = 0
    for _ in range(300):
        kind = np.where(labels, 1, -1)  # the page's own effect widens or narrows the gap
        value = signal + rng.normal(size=100) + kind * rng.normal(0, 0.7**0.5, 25)[pages]
        metric = label_metrics("label", value.tolist(), labels, clusters=pages.tolist())[
            "label_auc"
        ]
        held += metric.ci_low <= true <= metric.ci_high
    assert 0.90 <= held / 300 <= 0.99


def test_kappa_where_it_cannot_be_known():
    assert kappa_of(0, 0, 0, 0) is None
    assert kappa_of(7, 0, 0, 0) is None
    assert kappa_of(0, 5, 5, 0) == -1


def test_the_interval_of_the_auc_is_the_score_interval():
    z = norm.ppf(0.975)
    for auc, m, n in ((0.8, 20, 30), (0.55, 7, 5), (1.0, 12, 9), (0.0, 4, 40), (0.97, 100, 100)):
        low, high = auc_interval(auc, m, n)
        grid = np.linspace(0, 1, 200_001)
        inner = 1 + ((m + n) / 2 - 1) * ((1 - grid) / (2 - grid) + grid / (1 + grid))
        inside = grid[(auc - grid) ** 2 <= z**2 * grid * (1 - grid) * inner / (m * n) + 1e-15]
        if auc in (0.0, 1.0):
            inside = np.append(inside, auc)
        assert low == pytest.approx(inside.min() if auc else 0.0, abs=1e-4)
        assert high == pytest.approx(inside.max(), abs=1e-4)
        assert 0 <= low <= auc <= high <= 1


def test_the_interval_of_the_auc_holds_the_truth_about_as_often_as_it_says():
    rng, true = np.random.default_rng(5), norm.cdf(1.5 / math.sqrt(2))
    held = 0
    for _ in range(400):
        good, bad = rng.normal(1.5, 1, 20).tolist(), rng.normal(0, 1, 25).tolist()
        low, high = auc_interval(auc_of(good, bad), 20, 25)
        held += low <= true <= high
    assert 0.92 <= held / 400 <= 0.985


def test_every_metric_of_the_tier_is_in_the_catalogue():
    found = repeat_metrics([(5,)], [(5,)], "a") | distribution_metrics([5])
    found |= order_metrics(ORDERED) | sensitivity_metrics("style", [1], [1], "a")
    found |= sensitivity_metrics("length", [1], [1], "a")
    found |= label_metrics("label", [5], [True]) | label_metrics("constructed", [5], [True])
    for name, metric in found.items():
        assert CATALOGUE[name].scale == metric.scale, name
        assert "judge" in CATALOGUE[name].tiers
