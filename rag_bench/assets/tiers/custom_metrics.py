"""The check of the user's own metrics."""

from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.step_checks import StepCheck, nothing_to_check
from rag_bench.tiers.registry import Step

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench


def measured_alike(step: Step) -> StepCheck:
    """Check that all generation models were measured by the same code."""

    def evaluate(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.hashing import content_hash
        from rag_bench.store import evaluations
        from rag_bench.tiers.users_metrics.custom_metrics import anything_configured

        found = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
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
