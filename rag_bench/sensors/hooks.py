"""The sensor that starts what follows from hooks: a changed model's cells, changed documents.

A hook's jobs run one after the other, as each reads what the one before has made. How far a hook
is stands in Dagster's own record of runs, so nothing is started twice, whoever restarts when.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.cells import RANGE_END, RANGE_START
from rag_bench.observing.trace import TRACE_TAG
from rag_bench.partitions import Partitions, cell_key
from rag_bench.settings import Settings, get_settings
from rag_bench.tiers import registry
from rag_bench.tiers.base.changed_models import retrievers_of
from rag_bench.tiers.registry import Axis
from rag_bench.tiers.stages import REFRESH, RETRIEVER_COMPARISON, RETRIEVERS

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )
    from sqlalchemy import Engine

    from rag_bench.store.eval_runs.hooks import Received

NAME = "hooks_received"
#: Names the hook and the job that a run was started for.
HOOK_TAG = "rag_bench/hook"


@dataclass(frozen=True)
class Wanted:
    """One run that follows from a hook: a job, over these partitions."""

    job: str
    first: str | None = None
    last: str | None = None

    @property
    def name(self) -> str:
        """What tells it from the other runs of its hook."""
        return self.job if self.first is None else f"{self.job} {self.first}...{self.last}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a run over the partitions."""
        if self.first is None or self.last is None:
            return {}
        return {RANGE_START: self.first, RANGE_END: self.last}


def hook_sensor(
    partitions: Partitions, jobs: Mapping[str, "UnresolvedAssetJobDefinition"]
) -> dg.SensorDefinition:
    """Return the sensor; ``jobs`` are those of the stages, by name."""

    @dg.sensor(
        name=NAME,
        jobs=list(jobs.values()),
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Starts what follows from hooks that the API received, once per hook: the jobs of a "
            "changed model, which ask models, or the job refresh. The job model_changed leaves one "
            "if it is told to. Without RAG_BENCH_HOOK_SECRET the API takes none."
        ),
    )
    def hooks_received(
        context: dg.SensorEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        from sqlalchemy.exc import ProgrammingError

        from rag_bench.store.database import make_engine

        engine = make_engine(application_name="rag_bench sensor")
        try:
            found = list(_look(context.instance, engine, partitions))
        except ProgrammingError:
            yield dg.SkipReason("There are no tables yet: no hook was received.")
            return
        finally:
            engine.dispose()
        yield from found
        if not found:
            yield dg.SkipReason("No hook waits for a run to be started.")

    return hooks_received


def _look(
    instance: dg.DagsterInstance, engine: "Engine", partitions: Partitions
) -> Iterator[dg.RunRequest]:
    from rag_bench.store.eval_runs import hooks

    settings, refreshing = get_settings(), False
    for hook in hooks.waiting(engine):
        if hook.payload["type"] == "model.updated" and refreshing:
            continue  # it reads what an earlier hook is just making
        request, last = _next(instance, hook, wanted(hook.payload, partitions, settings))
        if request is not None:
            yield request
        elif last is None:
            hooks.settle(engine, hook.id, "nothing", None)
        elif last.is_finished:
            hooks.settle(engine, hook.id, "started", last.run_id)
            continue
        refreshing = refreshing or hook.payload["type"] == "documents.updated"


def _next(
    instance: dg.DagsterInstance, hook: "Received", runs: Sequence[Wanted]
) -> tuple[dg.RunRequest | None, dg.DagsterRun | None]:
    """Return the run to be started now, or the newest that was; neither: there is no work."""
    last = None
    for one in runs:
        key = f"{hook.id} {one.name}"
        found = instance.get_runs(filters=dg.RunsFilter(tags={HOOK_TAG: key}), limit=1)
        if not found:
            tags = {**one.tags, HOOK_TAG: key}
            if hook.trace_id:
                tags[TRACE_TAG] = hook.trace_id
            return dg.RunRequest(run_key=key, job_name=one.job, tags=tags), None
        last = found[0]
        if not last.is_finished or last.status is dg.DagsterRunStatus.CANCELED:
            break  # who cancels one wants none of the next
    return None, last


def wanted(
    payload: Mapping[str, Any], partitions: Partitions, settings: Settings
) -> Sequence[Wanted]:
    """Return the runs that follow from a hook, in their order.

    Of a model: every stage in which one of its roles has cells, without what is measured only if
    it is asked for, unless the hook or the settings ask. A model that is in no list any more has
    none. Of a reranker's service: its retrievers, as if they were asked for, and their comparison.
    """
    if payload["type"] == "documents.updated":
        return [Wanted(REFRESH.name)]
    model: str = payload["data"]["model"]
    asked = {*payload["data"].get("options", ()), *registry.asked_by_settings(settings)}
    reranked = retrievers_of(model, settings)
    found = []
    for stage in registry.stages():
        if stage == RETRIEVERS:
            known = partitions.retrievers.get_partition_keys()
            found += [Wanted(stage.name, name, name) for name in reranked if name in known]
        elif stage == RETRIEVER_COMPARISON and reranked:
            found.append(Wanted(stage.name))
        else:
            steps = [step for step in registry.steps(options=asked) if step.stage == stage]
            ranges = _ranges(model, steps[0].by, partitions) if steps else []
            found += [Wanted(stage.name, *ends) for ends in ranges]
    return found


def _ranges(model: str, by: Axis, partitions: Partitions) -> list[tuple[str, str]]:
    """Return the first and last keys of a model's cells; of a grid they span a rectangle."""
    generators = partitions.generation.get_partition_keys()
    judges = partitions.benchmark_judges.get_partition_keys()
    if by is Axis.PAIR:
        found = []
        if model in generators and judges:
            found.append((cell_key(model, judges[0]), cell_key(model, judges[-1])))
        if model in judges and generators:
            found.append((cell_key(generators[0], model), cell_key(generators[-1], model)))
        return [(str(first), str(last)) for first, last in found]
    keys = {
        Axis.GENERATOR: generators,
        Axis.JUDGE: judges,
        Axis.GATE: partitions.production_judges.get_partition_keys(),
    }.get(by, [])
    return [(model, model)] if model in keys else []
