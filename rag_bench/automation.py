"""Jobs, schedules and the sensor. Whatever asks a model is off until it is switched on."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.cells import RANGE_END, RANGE_START
from rag_bench.assets.service.changed_models import model_changed_job
from rag_bench.hashing import file_sha256
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, ModelsResource
from rag_bench.sensors.eval_runs import eval_run_job, outbox_sensor
from rag_bench.sensors.hooks import hook_sensor
from rag_bench.sensors.report_sensor import report_sensor
from rag_bench.settings import get_settings
from rag_bench.source.folder import FileState, candidates
from rag_bench.tiers import registry
from rag_bench.tiers.base.changed_models import changeable
from rag_bench.tiers.registry import Axis
from rag_bench.tiers.stages import PLAN

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

TIMEZONE = "Asia/Yekaterinburg"
CANARY, CALIBRATION = "judge_canary", "judge_calibration"
(PLAN_ASSET,) = PLAN.assets


def range_tags(partitions: "dg.PartitionsDefinition[str]") -> dict[str, str]:
    """Return the tags of one run over all partitions: one process, one event loop."""
    keys = [str(key) for key in partitions.get_partition_keys()]
    return {RANGE_START: keys[0], RANGE_END: keys[-1]}


@dataclass(frozen=True)
class Scheduled:
    """A stage with what it materializes here: assets, over which partitions, at whose cost."""

    name: str
    description: str
    assets: Sequence[str]
    cron: str
    pays: bool
    partitions: "dg.PartitionsDefinition[str] | None" = None


def stages(partitions: Partitions) -> list[Scheduled]:
    """Return the stages in their order; each starts when the one before should be done."""
    found = []
    for stage in registry.stages():
        steps = [step for step in registry.steps() if step.stage == stage]
        by = next((step.by for step in steps), Axis.NONE)
        found.append(
            Scheduled(
                stage.name,
                stage.description,
                [*stage.assets, *(step.asset for step in steps)],
                stage.cron,
                stage.asks or any(step.pays for step in steps),
                None if by is Axis.NONE else partitions.by(by),
            )
        )
    return found


#: What people set most, written out with its defaults: an empty Launchpad would hide it.
_SHOWN_SETTINGS = ("dataset", "limit", "retriever", "top_k", "consistency_runs", "retry_failed")
_SHOWN_CAPS = ("max_calls", "max_cost_usd")


def shown_config(uses: Collection[str], assets: Collection[str]) -> dict[str, Any]:
    """Return the run config that a job's Launchpad opens with; ``uses`` are its resources.

    A job's plan is of the stages as they are scheduled, which ask for all there is to ask for.
    """
    resources: dict[str, Any] = {}
    for name, kind, fields in (
        ("benchmark", BenchmarkResource, _SHOWN_SETTINGS),
        ("models", ModelsResource, _SHOWN_CAPS),
    ):
        if name in uses:
            defaults = {field: kind.model_fields[field].default for field in fields}
            resources[name] = {"config": defaults}
    config: dict[str, Any] = {"resources": resources} if resources else {}
    if PLAN_ASSET in assets:
        config["ops"] = {PLAN_ASSET: {"config": {option.name: True for option in registry.flags()}}}
    return config


@dataclass(frozen=True)
class Automation:
    """Everything of this module, for the definitions."""

    jobs: Sequence["UnresolvedAssetJobDefinition | dg.JobDefinition"]
    schedules: Sequence[dg.ScheduleDefinition]
    sensors: Sequence[dg.SensorDefinition]


def build(partitions: Partitions, assets: Iterable[dg.AssetsDefinition]) -> Automation:
    """Return a job and a weekly schedule per stage, and the sensors.

    ``assets``: all that the stages name.
    """
    uses = {key: asset.required_resource_keys for asset in assets for key in asset.keys}
    jobs: dict[str, UnresolvedAssetJobDefinition] = {}
    schedules: list[dg.ScheduleDefinition] = []
    every = stages(partitions)
    for number, stage in enumerate(every, 1):
        # The UI lists jobs by name; the number tells in what order to run them.
        stage = replace(stage, description=f"Stage {number} of {len(every)}. {stage.description}")
        used = {name for asset in stage.assets for name in uses[dg.AssetKey(asset)]}
        job = _job(stage, shown_config(used, stage.assets))
        jobs[stage.name] = job
        schedules.append(_weekly(stage, job))
    of_judges = _of_judges(partitions)
    schedules += [_weekly(stage, job) for stage, job in of_judges]
    asked_for, changed = eval_run_job(), _model_changed(partitions)
    return Automation(
        [*jobs.values(), *(job for _, job in of_judges), asked_for, changed],
        schedules,
        [
            dump_sensor(jobs["refresh"]),
            report_sensor(jobs["report"]),
            hook_sensor(partitions, jobs),
            outbox_sensor(asked_for),
        ],
    )


def _model_changed(partitions: Partitions) -> dg.JobDefinition:
    by_role = (partitions.generation, partitions.benchmark_judges, partitions.production_judges)
    models = [key for role in by_role for key in role.get_partition_keys()]
    return model_changed_job(changeable(models, get_settings()))


def _of_judges(
    partitions: Partitions,
) -> list[tuple[Scheduled, "UnresolvedAssetJobDefinition"]]:
    """Return what tells of the judges beside the stages: the canary, as it asks anew each time,
    before the week's scores; and the calibration, of labels, which come when people have time.
    """
    judges = partitions.by(Axis.JUDGE)
    canary = (
        "Stored calls of every benchmark judge asked again: is it still the same? (calls models)"
    )
    people = "Every benchmark judge against people's labels."
    return [
        (stage, _job(stage, shown_config({"models"}, stage.assets) if stage.pays else None))
        for stage in (
            Scheduled("canary", canary, [CANARY], "15 0 * * 1", True, judges),
            Scheduled("calibration", people, [CALIBRATION], "45 5 * * 1", False, judges),
        )
    ]


def _job(stage: Scheduled, config: Mapping[str, Any] | None) -> "UnresolvedAssetJobDefinition":
    return dg.define_asset_job(
        stage.name,
        selection=dg.AssetSelection.assets(*stage.assets),
        description=stage.description,
        config=config,
    )


def _weekly(stage: Scheduled, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    tags = range_tags(stage.partitions) if stage.partitions else {}

    @dg.schedule(
        name=f"weekly_{stage.name}",
        job=job,
        cron_schedule=stage.cron,
        execution_timezone=TIMEZONE,
        description=stage.description + " Mondays; off until switched on.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=tags)

    return weekly


def dump_sensor(job: "UnresolvedAssetJobDefinition") -> dg.SensorDefinition:
    """Return the sensor that loads a new dump and reruns the free part on it."""

    @dg.sensor(
        name="dump_folder",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Watches the dumps folder. A new or changed file is loaded once it has stopped "
            "growing, and the free part of the graph is rerun. Calls no model."
        ),
    )
    def dump_folder(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        folder = get_settings().dumps
        newest = next(iter(candidates(folder)), None)
        if newest is None:
            yield dg.SkipReason(f"{folder} holds no dump")
            return
        before = read_cursor(context.cursor)
        state = FileState.of(newest)
        if state is None:
            yield dg.SkipReason(f"{newest.name} has just been removed")
            return
        seen = {"path": newest.name, "state": state.to_text()}
        if before.get("handled") == seen:
            yield dg.SkipReason(f"{newest.name} is unchanged")
            return
        if before.get("seen") != seen:
            # Two equal looks in a row: nobody is writing it any more.
            context.update_cursor(json.dumps({**before, "seen": seen}))
            yield dg.SkipReason(f"{newest.name} is new; loaded if it is the same at the next look")
            return
        sha256 = file_sha256(newest)
        if FileState.of(newest) != state:
            context.update_cursor(json.dumps({**before, "seen": {}}))
            yield dg.SkipReason(f"{newest.name} is still being written")
            return
        context.update_cursor(json.dumps({"handled": seen, "seen": seen, "sha256": sha256}))
        if before.get("sha256") == sha256:
            yield dg.SkipReason(f"{newest.name} was touched, its content is the same")
        elif "sha256" not in before and already_loaded(sha256):
            # The first look of all: what was loaded by hand since is not to be undone.
            yield dg.SkipReason(f"{newest.name} was loaded before this sensor was switched on")
        else:
            yield dg.RunRequest(
                # The time, too: content A, then B, then A again are three changes.
                run_key=f"{sha256}:{state.mtime_ns}",
                run_config=_load(newest),
                tags={"rag_bench/dump_sha256": sha256},
            )

    return dump_folder


def _load(path: Path) -> Mapping[str, object]:
    return {"ops": {"dump": {"config": {"path": str(path)}}}}


def read_cursor(cursor: str | None) -> dict[str, object]:
    """Return what the sensor noted at its last look; a damaged note counts as none."""
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def already_loaded(sha256: str) -> bool:
    """Whether a snapshot of this content is stored.

    A database that does not answer is an error: the tick fails and the next one looks again.
    """
    from sqlalchemy.exc import ProgrammingError

    from rag_bench.store.database import make_engine
    from rag_bench.store.snapshots import snapshot_exists

    engine = make_engine(application_name="rag_bench sensor")
    try:
        return snapshot_exists(engine, sha256)
    except ProgrammingError:  # no tables yet: nothing was loaded
        return False
    finally:
        engine.dispose()
