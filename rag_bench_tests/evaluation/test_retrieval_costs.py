"""Costs of a retriever: quantiles of whole queries and of their parts."""

from __future__ import annotations

import statistics

import pytest

from rag_bench.evaluation.retrievers.retrieval_costs import METRICS, cost_metrics


def test_quantiles_of_queries_and_of_their_parts() -> None:
    # Half a millisecond of each is in none of its parts.
    queries = [{"query": 10.5 + n, "encoding": 10.0, "search": float(n)} for n in range(1, 101)]
    queries[99] |= {"reranking": 500.0, "query": 610.5}
    found = cost_metrics(queries, 1.5, 2048)
    assert found.keys() == {entry.name for entry in METRICS}
    assert found["p50_query_latency_ms"].value == 10.5 + statistics.median(range(1, 101))
    # 95 % of the way between the 95th and the 96th: 0.95 * 99 = 94.05 steps.
    assert found["p95_search_latency_ms"].value == pytest.approx(95.05)
    assert found["p95_query_latency_ms"].value == pytest.approx(105.55)
    assert found["p95_encoding_latency_ms"].value == 10
    # One query in a hundred is slow: no quantile of these tells.
    assert found["p95_reranking_latency_ms"].value == 0
    assert (found["build_seconds"].value, found["index_bytes"].value) == (1.5, 2048)


def test_what_was_not_measured_is_missing_and_not_nought() -> None:
    queries = [{"query": None, "reranking": None, "search": 2.0}] * 5
    found = cost_metrics(queries, 1.5, 2048)
    for part in ("query", "reranking"):
        metric = found[f"p50_{part}_latency_ms"]
        assert (metric.value, metric.n_scored, metric.n_expected) == (None, 0, 5)
    assert found["p50_search_latency_ms"].value == 2
    assert found["p50_encoding_latency_ms"].value == 0


@pytest.mark.parametrize(
    ("queries", "seconds", "size"), [([], 1, 1), ([{"search": -1.0}], 1, 1), ([{}], -1, 1)]
)
def test_impossible_costs_are_refused(
    queries: list[dict[str, float]], seconds: float, size: int
) -> None:
    with pytest.raises(ValueError, match=r"no query|negative"):
        cost_metrics(queries, seconds, size)
