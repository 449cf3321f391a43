"""Quantiles of cases that are alike within a user."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.statistics import quantile_metric


def test_a_quantile_of_users_with_many_alike_values_is_less_sure() -> None:
    values = [float(n // 4) for n in range(200)]
    users = [n // 4 for n in range(200)]
    alone = quantile_metric(values, 0.5)
    found = quantile_metric(values, 0.5, clusters=users)
    assert (found.value, found.n_clusters) == (alone.value, 50)
    # Four of a user are one value: as sure as 50 values, twice as wide as 200.
    fifty = quantile_metric([float(n) for n in range(50)], 0.5)
    assert found.ci_low == pytest.approx(fifty.ci_low, abs=1)
    assert found.ci_high == pytest.approx(fifty.ci_high, abs=1)
    assert found.ci_high - found.ci_low > 1.8 * (alone.ci_high - alone.ci_low)
    one = quantile_metric(values, 0.5, clusters=["a"] * 200)
    assert (one.value, one.ci_low, one.ci_high) == (alone.value, None, None)
    with pytest.raises(ValueError, match="cluster labels"):
        quantile_metric(values, 0.5, clusters=[])
