"""The sensor that gives the service's long runs to Dagster, and tells it of the short ones.

It reads the outbox in our database. What it asks for is asked again until Dagster has it, always
under the same run key, so that a crash between loses nothing and starts nothing twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.service.eval_run import ATTEMPT_TAG, IN_DAGSTER, RUN_TAG
from rag_bench.assets.service.record import NAME, NO_RUN, PARTITIONS, event_of, input_tags
from rag_bench.observing.trace import TRACE_TAG
from rag_bench.sensors.dead_runs import end_if_dead
from rag_bench.sensors.old_events import wipe_old_events

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )
    from sqlalchemy import Connection, Engine

    from rag_bench.settings import Settings
    from rag_bench.store.eval_runs.outbox import Silent

_log = logging.getLogger("rag_bench.sensors")
SENSOR, JOB = "eval_run_outbox", "eval_runs"
#: Dagster's tag with a run request's key.
_KEY_TAG = "dagster/run_key"
#: Seconds of silence after which a run is given to another process whatever Dagster says of the
#: one before: that one may hang, or be of a machine that is gone.
_GIVEN_UP = 120.0


def eval_run_job() -> UnresolvedAssetJobDefinition:
    """Return the job of which each long run is one run."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(NAME),
        description="A long run of the evaluation service. Launched by the sensor "
        f"{SENSOR}; by hand it completes a run. Calls models.",
    )


def outbox_sensor(job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Return the sensor; ``job`` executes a run."""

    @dg.sensor(
        name=SENSOR,
        job=job,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Starts the long runs of the evaluation service that somebody asked for, so many at "
            "once and fair among those who asked, again if a process was lost, and records the "
            "short ones. What a run may cost is limited by the service."
        ),
    )
    def eval_run_outbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from sqlalchemy.exc import ProgrammingError

        from rag_bench.settings import get_settings
        from rag_bench.store.database import make_engine

        engine = make_engine(application_name="rag_bench sensor")
        try:
            return look(context.instance, engine, get_settings(), context.cursor)
        except ProgrammingError:
            return dg.SkipReason("There are no tables yet: nobody has asked for a run.")
        finally:
            engine.dispose()

    return eval_run_outbox


@dataclass
class _Cursor:
    """What the last look asked Dagster for: run keys, and runs whose end it was told."""

    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, text: str | None) -> _Cursor:
        """Return what was noted; a damaged note counts as none, as it is only a shortcut."""
        try:
            found = json.loads(text or "{}")
            return cls(
                list(map(str, found.get("asked", []))), list(map(str, found.get("told", [])))
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def __str__(self) -> str:
        return json.dumps({"asked": self.asked, "told": self.told})


def look(
    instance: dg.DagsterInstance, engine: Engine, settings: Settings, cursor: str | None
) -> dg.SensorResult:
    """Compare what Dagster has with what it is to have, and return what it lacks."""
    from rag_bench.store.eval_runs import callbacks, hooks, outbox

    before = _Cursor.read(cursor)
    limits = {"places": settings.eval_runs_in_dagster, "at_once": settings.eval_runs_at_once}
    with engine.begin() as connection:
        # The cursor is kept only after everything that stood beside it was done.
        outbox.mark_recorded(connection, before.told)
        candidates = outbox.to_launch(connection, **limits)
        asked = {*before.asked, *(one.key for one in candidates)}
        there = _dagster_runs(instance, asked)
        outbox.mark_sent(connection, there)
    with engine.begin() as connection:
        _look_after_silent_ones(instance, connection)
        launched = outbox.to_launch(connection, **limits)
        outbox.pass_over_old_ones(connection, settings.eval_partitions)
        told = outbox.unrecorded(connection)
        events = _events(instance, connection, told)
        new = [*(one.run_id for one in launched), *told]
        old = _old_ones(instance, connection, settings, new) if new else []
        newest = outbox.oldest_listed(connection, settings.eval_partitions) if old else None
        callbacks.prune(connection, settings.callback_days)
        hooks.prune(connection, settings.callback_days)
    listed = [run_id for run_id in new if run_id not in old]
    partitions = instance.get_dynamic_partitions(str(PARTITIONS.name))
    added = listed or ([] if partitions else [NO_RUN])
    changes: list[Any] = [PARTITIONS.build_add_request(added)] if added else []
    gone = [run_id for run_id in old if run_id not in new]
    if NO_RUN in partitions and (listed or len(partitions) > 1):
        gone.append(NO_RUN)
    if gone:
        changes.append(PARTITIONS.build_delete_request(gone))
    if newest is not None:
        wipe_old_events(instance, newest, set(partitions) - set(gone))
    requests = [
        dg.RunRequest(
            run_key=one.key,
            partition_key=one.run_id,
            tags={
                RUN_TAG: one.run_id,
                ATTEMPT_TAG: str(one.attempt),
                TRACE_TAG: one.trace_id,
                "rag_bench/user_id": one.user_id,
                "rag_bench/subject": one.subject,
            },
        )
        for one in launched
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else f"Nothing to start; of runs that ended {len(told)} new.",
        dynamic_partitions_requests=changes,
        asset_events=events,
        cursor=str(_Cursor([one.key for one in launched], list(told))),
    )


def _dagster_runs(instance: dg.DagsterInstance, keys: Iterable[str]) -> dict[str, dg.DagsterRun]:
    """Return Dagster's newest run of each key that has one."""
    wanted = sorted(keys)
    if not wanted:
        return {}
    runs = instance.get_runs(dg.RunsFilter(tags={_KEY_TAG: wanted}))
    return {run.tags[_KEY_TAG]: run for run in reversed(runs)}


def _look_after_silent_ones(instance: dg.DagsterInstance, connection: Connection) -> None:
    """Give the runs that lost their process another attempt; end those cancelled in Dagster."""
    from rag_bench.store.eval_runs import outbox, queueing

    lost = outbox.silent(connection)
    by_key = _dagster_runs(instance, [one.key for one in lost])
    for one in lost:
        run = instance.get_run_by_id(one.dagster_run_id) if one.dagster_run_id else None
        run = by_key.get(one.key) if run is None or one.status == "queued" else run
        if run is not None and run.status is dg.DagsterRunStatus.CANCELED:
            with suppress(queueing.EndedError):
                queueing.request_cancel(connection, one.run_id, IN_DAGSTER)
            queueing.end_early(connection, one.run_id, "cancelled")
        elif _is_over(instance, one, run):
            outbox.try_again(connection, one)


def _is_over(instance: dg.DagsterInstance, lost: Silent, run: dg.DagsterRun | None) -> bool:
    """Whether Dagster's run of a silent one will do no more."""
    if run is None or run.is_finished or end_if_dead(instance, run):
        return True
    return lost.status == "running" and lost.seconds > _GIVEN_UP


def _events(
    instance: dg.DagsterInstance, connection: Connection, run_ids: Iterable[str]
) -> list[dg.AssetMaterialization | dg.AssetObservation]:
    from rag_bench.store.eval_runs import reading

    inputs: Mapping[str, str] | None = None
    found: list[dg.AssetMaterialization | dg.AssetObservation] = []
    for run_id in run_ids:
        row = reading.get(connection, run_id)
        if row is not None:
            inputs = input_tags(instance) if inputs is None else inputs
            try:
                found.append(event_of(row, inputs))
            except Exception:  # or one odd row would hold up all others
                _log.exception("Run %s cannot be described.", run_id)
    return found


def _old_ones(
    instance: dg.DagsterInstance, connection: Connection, settings: Settings, new: list[str]
) -> list[str]:
    """Return the partitions that are to go: the table keeps their runs."""
    from rag_bench.store.eval_runs import outbox

    listed = sorted({*instance.get_dynamic_partitions(str(PARTITIONS.name)), *new})
    return outbox.old_ones(connection, listed, settings.eval_partitions)
