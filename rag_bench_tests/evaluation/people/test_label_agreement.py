"""Agreement of annotators: published values and counts by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from rag_bench.evaluation.people.agreement import (
    agreement_metrics,
    cohen_kappa,
    coincidences_of,
    krippendorff_alpha,
)
from rag_bench.evaluation.people.case_labels import resolved
from rag_bench.evaluation.people.count_tables import alphas, kappas, spearmans, tables_of

NONE = np.nan
#: Krippendorff (2011, "Computing Krippendorff's Alpha-Reliability"), his example of 4 x 12.
EXAMPLE = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)


@pytest.mark.parametrize(
    ("level", "value"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_alpha_has_the_published_values(level, value) -> None:
    assert krippendorff_alpha(EXAMPLE, level) == pytest.approx(value, abs=5e-4)


def test_alpha_is_not_defined_where_nothing_varies_or_nothing_pairs() -> None:
    assert krippendorff_alpha(np.array([[1.0, 1.0], [1.0, 1.0]]), "nominal") is None
    assert krippendorff_alpha(np.array([[1.0, NONE], [NONE, 2.0]]), "nominal") is None


def test_kappa_has_the_published_value() -> None:
    assert cohen_kappa(np.array([[20, 5], [10, 15]]), [0, 1]) == pytest.approx(0.4)


def test_weighted_kappa_equals_a_count_by_hand() -> None:
    # 3 values; of 10 cases 6 equal, 3 one apart, 1 two apart.
    table = np.array([[2, 1, 1], [1, 2, 0], [0, 1, 2]])
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = sum(abs(i - j) * rows[i] * columns[j] / 10 for i in range(3) for j in range(3))
    assert cohen_kappa(table, [1, 2, 3], "linear") == pytest.approx(1 - 5 / expected)
    squared = sum((i - j) ** 2 * rows[i] * columns[j] / 10 for i in range(3) for j in range(3))
    assert cohen_kappa(table, [1, 2, 3], "quadratic") == pytest.approx(1 - 7 / squared)


def test_kappa_is_not_defined_where_both_always_say_the_same() -> None:
    assert cohen_kappa(np.array([[5.0]]), [1]) is None


def test_graded_labels_get_weighted_measures_with_intervals() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(1, 6, 60)
    second = np.clip(first + rng.integers(-1, 2, 60), 1, 5)
    found = agreement_metrics(
        first.tolist(),
        second.tolist(),
        clusters=[n // 3 for n in range(60)],
        graded=True,
        good_from=4,
    )
    assert found["agreement"].value == pytest.approx(np.mean(first == second))
    for name in ("kappa", "kappa_linear", "kappa_quadratic", "kappa_good", "alpha"):
        metric = found[name]
        assert metric.ci_low is not None
        assert metric.ci_low <= metric.value <= metric.ci_high
    assert found["kappa_quadratic"].value > found["kappa_linear"].value > found["kappa"].value


def test_annotators_who_always_agree_get_no_interval_rather_than_a_false_one() -> None:
    found = agreement_metrics([1, 5, 4] * 5, [1, 5, 4] * 5, graded=True, good_from=4)
    assert found["kappa"].value == 1.0
    assert found["kappa"].ci_low is None
    assert found["agreement"].ci_low < 1.0


def test_the_interval_of_kappa_holds_the_truth() -> None:
    rng, runs, held = np.random.default_rng(3), 60, 0
    # Two annotators who each see the true yes or no with .9: kappa (.82 - .5) / .5 = .64.
    for _ in range(runs):
        truth = rng.random(100) < 0.5
        a, b = (np.where(rng.random(100) < 0.9, truth, ~truth).astype(float) for _ in range(2))
        metric = agreement_metrics(a.tolist(), b.tolist(), graded=False)["kappa"]
        held += metric.ci_low <= 0.64 <= metric.ci_high
    assert held / runs >= 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5


def test_what_is_settled_replaces_what_annotators_said() -> None:
    differing = resolved([2.0, 4.0])
    assert differing is not None
    assert (differing.value, differing.good, differing.settled) == (3.0, 0.5, False)
    settled = resolved([2.0, 4.0], 4.0)
    assert settled is not None
    assert (settled.value, settled.good, settled.settled) == (4.0, 1.0, True)
    alike = resolved([5.0, 5.0])
    assert alike is not None
    assert alike.settled
    assert resolved([]) is None


def test_measures_of_tables_are_those_of_labels_in_every_resample() -> None:
    """What is resampled equals krippendorff's, scikit-learn's and SciPy's of the same cases."""
    rng, values = np.random.default_rng(4), np.arange(1.0, 6.0)
    a = rng.integers(1, 6, 36).astype(float)
    b = np.clip(a + rng.integers(-2, 3, 36), 1, 5)
    c = np.where(rng.random(36) < 0.4, NONE, np.clip(a + rng.integers(-1, 2, 36), 1, 5))
    for _ in range(20):
        rows = rng.integers(0, 36, 36)
        x, y, ratings = a[rows], b[rows], np.vstack([a, b, c])[:, rows]
        table = np.array([[((x == v) & (y == w)).sum() for w in values] for v in values])[None]
        for weights in ("none", "linear", "quadratic"):
            theirs = cohen_kappa_score(x, y, weights=None if weights == "none" else weights)
            assert kappas(table, values, weights)[0] == pytest.approx(theirs, abs=1e-12)
        assert spearmans(table)[0] == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
        seen, [pairs] = coincidences_of(ratings, [0] * 36)
        for nominal in (True, False):
            theirs = krippendorff_alpha(ratings, "nominal" if nominal else "interval")
            found = alphas(pairs[None], seen, nominal=nominal)[0]
            assert found == pytest.approx(theirs, abs=1e-12)


def test_tables_of_pages_add_up_to_the_whole() -> None:
    a, b, pages = np.array([1.0, 2, 2, 5]), np.array([1.0, 2, 5, 5]), [7, 7, 8, 8]
    values, tables = tables_of(a, b, pages)
    assert values.tolist() == [1, 2, 5]
    assert tables.sum(axis=0).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert sorted(table.sum() for table in tables) == [2, 2]
    assert np.isnan(kappas(np.array([[[4.0]]]), np.array([1.0]), "none")).all()
    assert np.isnan(spearmans(np.array([[[4.0, 2.0], [0.0, 0.0]]]))).all()
