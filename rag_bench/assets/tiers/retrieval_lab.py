"""What a partition of the retrieval lab shows: tier 1's pictures, and what a query costs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.assets.factories.describe import metrics_table
from rag_bench.assets.tiers.retrieval import shown as shown_of_tier_1

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench


def shown(bench: Bench, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Measure what queries cost on this machine, also where the result was found as it is, and
    return metadata of both.
    """
    from rag_bench.reporting.retriever_board import words_of
    from rag_bench.tiers.retrieval.lab import measure_costs

    costs = measure_costs(bench)
    metadata: dict[str, Any] = {
        "retriever": bench.retriever.name,
        "what": words_of(bench.retriever),
        **shown_of_tier_1(bench, evaluation),
    }
    if costs is None:
        return metadata
    metadata["costs"] = metrics_table(costs.metrics)
    metadata |= {
        name: metric["value"]
        for name, metric in costs.metrics.items()
        if metric["value"] is not None
    }
    return metadata
