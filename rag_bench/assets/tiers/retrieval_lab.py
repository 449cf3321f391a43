"""What a partition of the retrieval lab shows: tier 1's pictures, and what a query costs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.describe import metrics_table
from rag_bench.assets.factories.step_checks import StepCheck, nothing_to_check
from rag_bench.assets.tiers.retrieval import shown as shown_of_tier_1
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.registry import Step


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


def measured_alike(_step: Step) -> StepCheck:
    """Check how many questions each measured retriever is scored on under the run's settings."""

    def evaluate(bench: Bench) -> dg.AssetCheckResult:
        from rag_bench.retrievers import retrievers
        from rag_bench.store import evaluations

        scored: dict[str, int] = {}
        for name in retrievers(bench.settings):
            try:
                hashed = bench.by_retriever(name).run.hash
            except RagBenchError:
                continue  # it cannot be used here, which its own partition says
            found = evaluations.latest(bench.engine, tier="1", kind="metrics", settings_hash=hashed)
            if found is not None:
                scored[name] = max(
                    found.metrics[f"{level}_mrr"]["n_scored"] for level in ("chunk", "page")
                )
        if not scored:
            return nothing_to_check()
        return dg.AssetCheckResult(
            passed=len(set(scored.values())) == 1,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(scored)} retrievers are measured under these settings",
            metadata={"questions_scored": dg.MetadataValue.json(scored)},
        )

    return StepCheck(
        "retrievers_are_measured_alike",
        "Every measured retriever is scored on as many questions: one whose reranker fails on the "
        "hard ones must not win by it.",
        evaluate,
    )
