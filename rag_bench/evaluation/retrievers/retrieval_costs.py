"""What a retriever costs on this machine: the time of one query, of the index, and its memory.

These are facts of a machine: they name nothing, and are in no hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag_bench.evaluation.metric_spec import entries
from rag_bench.evaluation.statistics import quantile_metric
from rag_bench.evaluation.types import Metric

TIER = "retrieval_costs"
#: The parts of a query, in their order, as its metrics name them.
PARTS = ("encoding", "search", "reranking")
#: The whole of a query: its parts, and what is done between them.
WHOLE = "query"
_QUANTILES = {"p50": 0.5, "p95": 0.95}

METRICS = (
    *entries(
        [f"{quantile}_{WHOLE}_latency_ms" for quantile in _QUANTILES],
        (TIER,),
        "summary",
        None,
        False,
        "of one query asked alone, from its text to the ranked chunks, in milliseconds; warm, the "
        "vectors and the reranker's scores of earlier runs are not used",
    ),
    *entries(
        [f"{quantile}_{part}_latency_ms" for part in PARTS for quantile in _QUANTILES],
        (TIER,),
        "summary",
        None,
        False,
        "the part of it that the encoder, the search, the reranker took; 0 where there is none",
    ),
    *entries(
        ("build_seconds",),
        (TIER,),
        "summary",
        None,
        False,
        "from the chunks' texts and stored vectors to an index that can be asked",
    ),
    *entries(
        ("index_bytes",),
        (TIER,),
        "count",
        None,
        False,
        "what the search holds to be asked: vectors, postings, the index in PostgreSQL; the "
        "weights of models are not counted",
    ),
)


def cost_metrics(
    queries: Sequence[Mapping[str, float | None]], build_seconds: float, index_bytes: int
) -> dict[str, Metric]:
    """Return the costs of a retriever.

    Args:
        queries: of each query the milliseconds of its parts, and of `WHOLE`; a part that is not
            there took 0, one that is None was not measured.
        build_seconds: of the index.
        index_bytes: of the index.

    Raises:
        ValueError: no query, or a negative number.
    """
    if not queries:
        raise ValueError("no query was measured")
    known = [ms for parts in queries for ms in parts.values() if ms is not None]
    if min(build_seconds, index_bytes, *known) < 0:
        raise ValueError("time and memory cannot be negative")
    metrics: dict[str, Metric] = {}
    for quantile, q in _QUANTILES.items():
        for part in (WHOLE, *PARTS):
            values = [parts.get(part, 0.0) for parts in queries]
            metrics[f"{quantile}_{part}_latency_ms"] = quantile_metric(values, q)
    metrics["build_seconds"] = Metric(build_seconds, 1, 1)
    metrics["index_bytes"] = Metric(index_bytes, 1, 1)
    return metrics
