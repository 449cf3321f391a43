"""The canary of each benchmark judge: is it still the one that gave the stored scores?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from rag_bench.assets.factories.calls import calls_metadata
from rag_bench.assets.factories.cells import keys_of, log_progress, recorded, sweep_asset
from rag_bench.evaluation.instrument.canary import LEAST_CASES, MOST_CASES, USUAL_CASES
from rag_bench.partitions import Partitions
from rag_bench.resources import DatabaseResource, ModelsResource
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Axis

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.models import Models
    from rag_bench.tiers.judges.canary import CanaryPlan

NAME, CHECK = "judge_canary", "judges_are_unchanged"


class CanaryConfig(dg.Config):
    """How much is asked again."""

    cases: int = Field(
        default=USUAL_CASES,
        ge=LEAST_CASES,
        le=MOST_CASES,
        description="Stored calls of each judge to ask again; its price is said first. More of "
        "them show smaller changes.",
    )


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """Return the asset over the benchmark judges."""

    @sweep_asset(
        name=NAME,
        group_name="judges",
        # What it is about; and a partitioned asset of no input would have the UI's "Materialize
        # all" ask for its partitions alone.
        deps=[step.asset for step in registry.scoring()],
        kinds={"postgres", "openai"},
        partitions_def=partitions.by(Axis.JUDGE),
        code_version="1",
        description="Stored calls of each benchmark judge asked again, beside the ledger, and "
        "compared with what it said then, against its own noise. A judge that has changed is "
        "marked wherever its scores appear. Calls models.",
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=NAME,
                description="No judge gives other scores to the same requests than it gave, and "
                "none is served by another model.",
            )
        ],
    )
    def judge_canary(
        context: dg.AssetExecutionContext,
        config: CanaryConfig,
        database: DatabaseResource,
        models: ModelsResource,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        judges = keys_of(context, partitions.by(Axis.JUDGE))
        with log_progress(context):
            failed = ask_again(context, config, database.engine, models, judges)
        yield check(database.engine, judges)
        if failed:
            raise dg.Failure(
                f"Not all calls of these judges came back: {'; '.join(failed)}. Materialize their "
                "partitions again: a canary asks anew.",
                allow_retries=False,
            )
        yield recorded()

    return judge_canary


def ask_again(
    context: dg.AssetExecutionContext,
    config: CanaryConfig,
    engine: "Engine",
    models: ModelsResource,
    judges: Sequence[str],
) -> list[str]:
    """Ask the judges, record each; return those whose replies did not come."""
    from rag_bench.tiers.base.evaluate import evaluate
    from rag_bench.tiers.judges.canary import (
        NothingToAskAgainError,
        conditions,
        plan_of,
        task_of,
    )

    failed: list[str] = []
    run_id = context.run.run_id

    async def ask(opened: "Models") -> None:
        plans: list[CanaryPlan] = []
        for judge in judges:
            try:
                plans.append(plan_of(engine, opened, judge, config.cases))
            except NothingToAskAgainError as error:
                context.log.info(str(error))
                metadata = {"note": f"nothing to ask again yet: {error}"}
                context.log_event(
                    dg.AssetMaterialization(context.asset_key, partition=judge, metadata=metadata)
                )
        for plan in plans:
            context.log.info(plan.in_words)
        tasks = [task_of(engine, opened, plan, run_id) for plan in plans]
        await evaluate(
            conditions(engine, "", run_id),
            opened,
            tasks,
            lambda task, found: _record(context, found, failed),
            "canaries of judges",
        )

    models.run(engine, ask)
    return failed


def _record(
    context: dg.AssetExecutionContext, found: "StoredEvaluation", failed: list[str]
) -> None:
    judge = str(found.benchmark_judge_model)
    metadata = canary_metadata(found) | _asked(judge)
    if found.status == "failed" or found.needs_retry:
        failed.append(judge)
    event = dg.AssetObservation if found.status == "failed" else dg.AssetMaterialization
    context.log_event(event(context.asset_key, partition=judge, metadata=metadata))


def _asked(judge: str) -> dict[str, Any]:
    from rag_bench.llm.transport.tally import current_tally

    tally = current_tally()
    return {} if tally is None else calls_metadata(tally.of_cell((judge,)))


def canary_metadata(found: "StoredEvaluation") -> dict[str, Any]:
    """Return what the UI shows of a canary, the outcome first."""
    from rag_bench.assets.factories.describe import number

    result = found.inputs["result"]
    shift = result.get("shift")
    metadata: dict[str, Any] = {"outcome": result["outcome"]}
    if shift:
        interval = f"{number(shift['ci_low'])} … {number(shift['ci_high'])}"
        moved = result["detectable"]
        metadata |= {
            "shift": float(shift["value"]),
            "shift_interval": interval,
            "p": float(result["p"]),
            "moved": f"{result['moved']} of {result['n_cases']} verdicts",
            "distance": float(result["distance"]),
            "noise": "unknown" if result["noise"] is None else number(result["noise"]),
            "can_see": f"one point in {moved} of {result['n_cases']} verdicts, with power .80"
            if moved
            else "nothing smaller than every verdict moved: its noise is too large",
            "draws": f"{result['n_reference']} before, {result['n_new']} now",
        }
    named = [" ".join(filter(None, row)) for row in result["served"]]
    metadata |= {
        "served_by": ", ".join(named) or "not said",
        "another_model": result["another_model"],
        "another_build": result["another_build"],
        "since": result["since"],
        "evaluation_id": str(found.id),
        "errors": dg.MetadataValue.json(dict(found.errors)),
    }
    if str(found.benchmark_judge_model).startswith("simulator/"):
        metadata["simulated"] = True
    return metadata


def check(engine: "Engine", judges: Sequence[str]) -> dg.AssetCheckResult:
    """Return whether the newest canary of each judge found it unchanged; one that was never asked
    again is none that has changed.
    """
    from rag_bench.store.evaluations.canaries import CHANGED, canaries_of

    changed, never = [], []
    for judge in judges:
        found = canaries_of(engine, judge)
        if not found:
            never.append(judge)
        elif found[0].inputs["result"]["outcome"] == CHANGED:
            changed.append(judge)
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not changed,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{len(changed)} judges have changed: {', '.join(changed)}. Their scores of before and "
            "after are not comparable; bridge them with `rag-bench judge-bridge`."
            if changed
            else "No judge has changed since it was last asked again."
        ),
        metadata={
            "changed": dg.MetadataValue.json(changed),
            "nothing_to_ask_yet": dg.MetadataValue.json(never),
        },
    )
