"""The sensor that keeps the leaderboard at what was measured. Asks no model.

Dagster does not make the leaderboard of a backfill in which one cell failed, and from 100
partitions up it does not see that a cell is newer. So this looks at the results themselves.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster import DagsterRunStatus as Status

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )
    from sqlalchemy import Engine

NAME = "report_what_was_measured"
_SHOWN = dg.AssetKey("model_runs")
_UNDER_WAY = [
    *(Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING)
]


def report_sensor(job: "UnresolvedAssetJobDefinition") -> dg.SensorDefinition:
    """Return the sensor; ``job`` makes the leaderboard and the report."""

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Makes leaderboard and report anew when there are results under the default settings "
            "that they do not show, once no run is under way: also after a sweep in which cells "
            "failed. Calls no model."
        ),
    )
    def report_what_was_measured(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        from rag_bench.store.database import make_engine

        if busy(context.instance):
            yield dg.SkipReason("Runs are under way: what they measure is reported when they end.")
            return
        engine = make_engine(application_name="rag_bench sensor")
        try:
            yield _look(context, engine)
        finally:
            engine.dispose()

    return report_what_was_measured


def busy(instance: dg.DagsterInstance) -> bool:
    """Whether a run or a backfill is under way or waits."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    open_ones = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
    return bool(
        instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY))
        or instance.get_backfills(filters=BulkActionsFilter(statuses=open_ones), limit=1)
    )


def _look(context: dg.SensorEvaluationContext, engine: "Engine") -> dg.RunRequest | dg.SkipReason:
    from sqlalchemy.exc import ProgrammingError

    from rag_bench.errors import RagBenchError
    from rag_bench.resources import BenchmarkResource
    from rag_bench.store import evaluations

    try:
        newest = str(evaluations.newest_id(engine))
        if newest == context.cursor:
            return dg.SkipReason("Nothing was measured since the last look.")
        bench = BenchmarkResource().open(engine, None)
    except ProgrammingError:
        return dg.SkipReason("There are no tables yet: nothing was measured.")
    except RagBenchError as error:
        return dg.SkipReason(str(error))
    context.update_cursor(newest)
    if not evaluations.measured_triples(engine, bench.run.hash):
        return dg.SkipReason("No generation model was measured under the default settings.")
    version = evaluations.version_of_all(engine, bench.run.hash)
    records = context.instance.fetch_materializations(_SHOWN, limit=1).records
    event = records[0].asset_materialization if records else None
    if event is not None:
        shown = _settings(event.metadata)
        if shown != bench.run.as_json() and not bench.run.only_corpus_differs(shown):
            return dg.SkipReason("The leaderboard is of other settings than the default ones.")
        if (event.tags or {}).get("dagster/data_version") == version:
            return dg.SkipReason("The leaderboard shows all that was measured.")
    # With the record's place: results that come back to an earlier state are a change, too.
    return dg.RunRequest(run_key=f"{records[0].storage_id if records else 0}:{version}")


def _settings(metadata: Any) -> dict[str, Any]:
    entry = metadata.get("settings")
    return entry.value if entry is not None and isinstance(entry.value, dict) else {}
