"""Groups generation and end_to_end: the user's own metrics and BERTScore, per generation model."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import (
    Recorder,
    keys_of,
    log_progress,
    sweep_asset,
)
from rag_bench.assets.factories.step_checks import (
    StepCheck,
    StepEvent,
    end_step,
    nothing_to_check,
    specs,
)
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.tiers.base.run_settings import Tier

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench


def build(
    partitions: Partitions,
    tier2_answers: dg.AssetsDefinition,
    tier3_answers: dg.AssetsDefinition,
) -> list[dg.AssetsDefinition]:
    """Return the two assets over these partitions, each beside the answers that it measures."""
    return [
        _asset("2", "generation", tier2_answers, partitions),
        _asset("3", "end_to_end", tier3_answers, partitions),
    ]


def _asset(
    tier: Tier, group: str, answers: dg.AssetsDefinition, partitions: Partitions
) -> dg.AssetsDefinition:
    name, answers_name = f"tier{tier}_custom_metrics", f"tier{tier}_answers"
    checks = [measured_alike(tier)]

    @sweep_asset(
        name=name,
        group_name=group,
        description=f"Tier {tier}: your own metrics (RAG_BENCH_CUSTOM_METRICS) and BERTScore "
        "(RAG_BENCH_BERTSCORE_MODEL) of each generation model's answers. Calls no model of a "
        "provider.",
        kinds={"postgres", "python"},
        deps=[answers],
        partitions_def=partitions.generation,
        code_version="2",
        check_specs=specs(name, checks),
    )
    def custom_metrics(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
    ) -> Iterator[StepEvent]:
        import asyncio

        from rag_bench.assets.factories.evaluating import evaluating_here
        from rag_bench.tiers.users_metrics.custom_metrics import STEPS, custom_metric_tasks

        keys = keys_of(context, partitions.generation)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench, upstream=answers_name)
        planned = custom_metric_tasks(bench, None, STEPS[tier], keys)
        with log_progress(context):
            asyncio.run(evaluating_here(bench, planned, record, f"tier {tier} custom metrics"))
        yield from end_step(checks, bench, record)

    return custom_metrics


def measured_alike(tier: Tier) -> StepCheck:
    """Check that all generation models were measured by the same code."""

    def evaluate(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.hashing import content_hash
        from rag_bench.store import evaluations
        from rag_bench.tiers.users_metrics.custom_metrics import anything_configured

        found = evaluations.latest_of_kind(
            bench.engine, tier=tier, kind="custom", settings_hash=bench.run.hash
        )
        newest = max(found, key=lambda row: row.id, default=None)
        wanted = content_hash(newest.inputs["measures"]) if newest else None
        old = [
            str(row.generation_model)
            for row in found
            if content_hash(row.inputs["measures"]) != wanted
        ]
        configured = anything_configured(bench.settings)
        if configured and not found:
            return nothing_to_check()
        return dg.AssetCheckResult(
            passed=not old,
            description=f"{len(found)} models measured, {len(old)} of them by older metrics"
            if found
            else "nothing is configured, so nothing is compared",
            metadata={
                "to_be_measured_again": dg.MetadataValue.json(old),
                "configured": configured,
            },
        )

    return StepCheck(
        "models_are_measured_alike",
        "Every model's custom metrics come from the same files with the same contents: numbers "
        "of two versions of a metric must not be compared.",
        evaluate,
    )
