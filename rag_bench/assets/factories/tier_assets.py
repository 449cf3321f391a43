"""The asset of every step of every tier, made from its description in `rag_bench.tiers.registry`.

A step's cells are partitions; each is recorded as it ends. A step without partitions has one
result. Nothing is told here of any one tier.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.cells import (
    Recorder,
    keys_of,
    log_progress,
    recorded,
    result_version,
    sweep_asset,
)
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import evaluation_metadata
from rag_bench.assets.factories.grid import pairs_of_run
from rag_bench.assets.factories.step_checks import StepCheck, StepEvent, end_step, specs
from rag_bench.assets.factories.trials import apart
from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Axis, Step

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of all tiers over these partitions."""
    return [step_asset(step, partitions) for step in registry.steps()]


def step_asset(step: Step, partitions: Partitions) -> dg.AssetsDefinition:
    """Return the asset of a step: one result, or a cell for each of its models."""
    return _whole(step) if step.by is Axis.NONE else _cells(step, partitions)


def _declaration(step: Step) -> dict[str, Any]:
    """Return what Dagster is told of a step in any case."""
    return {
        "name": step.asset,
        "group_name": step.group,
        "description": step.description,
        "kinds": set(step.kinds),
        "deps": list(step.reads),
        # A changed prompt shows as a new code version: what was made with the old one is stale.
        "code_version": step.code_version(),
    }


def _whole(step: Step) -> dg.AssetsDefinition:
    """Return an asset without partitions, of a step that asks no model, or only under some
    settings.
    """
    declare = asset(**_declaration(step))

    def run(context: dg.AssetExecutionContext, bench: "Bench") -> dg.MaterializeResult:
        from rag_bench.tiers.base.evaluate import Blocked, Nothing, evaluate_one

        with log_progress(context):
            [planned] = registry.resolve(step.work)(bench, None, step, [None])
            if isinstance(planned, Blocked):
                raise RagBenchError(planned.why)
            found = None if isinstance(planned, Nothing) else evaluate_one(bench, planned)
        result: dg.MaterializeResult[None]
        if found is None:
            result = dg.MaterializeResult(
                data_version=dg.DataVersion(content_hash(["nothing", planned.why])),
                metadata={
                    "note": planned.why,
                    "n_metrics": 0,
                    "settings_hash": bench.run.hash,
                },
            )
        else:
            result = dg.MaterializeResult(
                data_version=dg.DataVersion(result_version(found)),
                metadata=_shown(step, bench, found),
            )
        return apart(context, bench, result)

    def asking(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> dg.MaterializeResult:
        bench = benchmark.open(database.engine, context.run.run_id)
        if not step.asks(bench, [None]):
            return run(context, bench)
        return _asked_whole(step, context, bench, models)

    def reading(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        return run(context, benchmark.open(database.engine, context.run.run_id))

    return declare(asking if step.may_ask else reading)


def _asked_whole(
    step: Step, context: dg.AssetExecutionContext, bench: "Bench", models: ModelsResource
) -> dg.MaterializeResult:
    """Make the one result of a step that asks under these settings, recorded as cells are."""
    from rag_bench.assets.factories.evaluating import evaluating

    record = Recorder(context, bench)
    work = registry.resolve(step.work)
    label = f"tier {step.tier}: {step.stage.title}"
    shows = registry.resolve(step.shows) if step.shows else None

    async def ask(opened: "Models") -> None:
        planned = work(bench, opened, step, [None])
        await evaluating(bench, opened, planned, record, label, shows)

    with log_progress(context):
        models.run(bench.engine, ask)
    record.close()
    return recorded()


def _shown(step: Step, bench: "Bench", found: "StoredEvaluation") -> dict[str, Any]:
    shown = registry.resolve(step.shows)(bench, found) if step.shows else {}
    return {**shown, **evaluation_metadata(bench, found)}


def _cells(step: Step, partitions: Partitions) -> dg.AssetsDefinition:
    """Return an asset with a partition for each of a step's models."""
    checks: Sequence[StepCheck] = [registry.resolve(check)(step) for check in step.checks]
    declare = sweep_asset(
        **_declaration(step),
        partitions_def=partitions.by(step.by),
        check_specs=specs(step.asset, checks),
    )

    def run(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource | None,
    ) -> Iterator[StepEvent]:
        from rag_bench.assets.factories.evaluating import evaluating, evaluating_here

        keys = _keys(context, step, partitions)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench, upstream=registry.answers_read_by(step))
        work = registry.resolve(step.work)
        label = f"tier {step.tier}: {step.stage.title}"
        shows = registry.resolve(step.shows) if step.shows else None

        async def ask(opened: "Models") -> None:
            planned = work(bench, opened, step, keys)
            await evaluating(bench, opened, planned, record, label, shows)

        with log_progress(context):
            if models is None or not step.asks(bench, keys):
                planned = work(bench, None, step, keys)
                asyncio.run(evaluating_here(bench, planned, record, label, shows))
            else:
                models.run(database.engine, ask)
        yield from end_step(checks, bench, record)

    def asking(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        yield from run(context, database, benchmark, models)

    def reading(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> Iterator[StepEvent]:
        yield from run(context, database, benchmark, None)

    # Dagster reads a step's resources off its parameters: who may ask has the models.
    return declare(asking if step.may_ask else reading)


def _keys(context: dg.AssetExecutionContext, step: Step, partitions: Partitions) -> Sequence[Any]:
    """Return the run's models, or its pairs of them."""
    if step.by is Axis.PAIR:
        return pairs_of_run(context, partitions)
    return keys_of(context, partitions.by(step.by))
