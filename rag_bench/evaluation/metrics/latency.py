"""How long the provider's own calls took, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.evaluation.metric_spec import entries
from rag_bench.evaluation.statistics import mean_metric, quantile_metric
from rag_bench.evaluation.types import Metric

NAMES = ("avg_latency_ms", "p50_latency_ms", "p95_latency_ms")
_FORMULA = (
    "of the provider's own call, without our waits, retries and queueing, in milliseconds; missing "
    "where no call came back"
)
METRICS = (
    *entries(NAMES, ("2", "3", "judge", "judge_pipeline"), "summary", None, False, _FORMULA),
    *entries(
        (f"judge_{name}" for name in NAMES),
        ("2", "3"),
        "summary",
        None,
        False,
        "the same of the benchmark judge's calls",
    ),
)


def latency_metrics(latencies_ms: Sequence[float | None], *, seed: int = 0) -> dict[str, Metric]:
    """Return ``avg_latency_ms``, ``p50_latency_ms`` and ``p95_latency_ms`` of the calls.

    ``latencies_ms``: of the provider's own call, without waits, retries and queueing; None where
    no call came back. Raises ValueError for a negative latency.
    """
    if any(latency is not None and latency < 0 for latency in latencies_ms):
        raise ValueError("a latency cannot be negative")
    return {
        "avg_latency_ms": mean_metric(latencies_ms, range(len(latencies_ms)), seed=seed),
        "p50_latency_ms": quantile_metric(latencies_ms, 0.50),
        "p95_latency_ms": quantile_metric(latencies_ms, 0.95),
    }
