"""A sweep from the command line: the same assets, materialized stage by stage in this process.

Each stage is one run over a rectangle of partitions, so that all its cells share one event loop;
the partitions of the run's definitions are exactly the chosen models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.answer_sources import why_nothing
from rag_bench.errors import RagBenchError
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.settings import PROJECT_ROOT
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Step
from rag_bench.tiers.stages import (
    ANSWERS,
    REFRESH,
    REPORT,
    RETRIEVER_COMPARISON,
    RETRIEVERS,
)

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.execution.job_execution_result import JobExecutionResult
    from dagster._core.remote_origin import RemoteJobOrigin
    from dagster._utils.error import SerializableErrorInfo

SOURCE = ("dump", "chunk", "question_answer")
#: Whatever is measured under settings depends on them; a command that loads a dump tells Dagster
#: nothing of its chunks.
ALWAYS = ("chunk", "chunk_embeddings", "manual_dataset")


@dataclass(frozen=True)
class SweepRequest:
    """What to run.

    Attributes:
        benchmark: the run config of the resource of that name.
        options: names of what is measured if it is asked for, as RAGAS.
        report: leaderboard and report at the end.
        skip_checks: a failed asset check is no failure of the sweep.
    """

    models: ModelLists
    tiers: frozenset[str] = field(default_factory=lambda: frozenset(registry.names()))
    benchmark: Mapping[str, Any] = field(default_factory=dict)
    options: frozenset[str] = frozenset()
    report: bool = True
    skip_checks: bool = False


@dataclass(frozen=True)
class Checked:
    """What an asset check said."""

    asset: str
    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: seconds, what went wrong in the words of the failed steps, and what its
    asset checks said.
    """

    name: str
    seconds: float
    errors: tuple[str, ...] = ()
    checks: tuple[Checked, ...] = ()


Announce = Callable[[str], None]


class Sweep:
    """Materializes assets in this process, on the project's Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance, models: ModelLists) -> None:
        from rag_bench.automation import stages
        from rag_bench.definitions import build_defs

        self._instance = instance
        self._partitions = Partitions.of(models)
        self._defs = build_defs(models)
        self._jobs = {stage.name: frozenset(stage.assets) for stage in stages(self._partitions)}

    def materialize(
        self,
        name: str,
        assets: Iterable[str],
        *,
        partitions: dg.PartitionsDefinition[str] | None = None,
        benchmark: Mapping[str, Any] | None = None,
        ops: Mapping[str, Any] | None = None,
        skip_checks: bool = False,
    ) -> StageResult:
        """Materialize assets in one run: all partitions, or none if they have none."""
        from rag_bench.automation import range_tags

        run_config: dict[str, Any] = {
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {op: {"config": dict(config)} for op, config in (ops or {}).items()},
        }
        if benchmark:
            run_config["resources"] = {"benchmark": {"config": dict(benchmark)}}
        tags = {"rag_bench/stage": name}
        if partitions:
            tags |= range_tags(partitions)
        started = time.monotonic()
        result = self._execute(frozenset(assets), run_config, tags)
        errors = tuple(_failures(result, with_checks=not skip_checks))
        if not result.success and not errors:
            errors = (f"the run {result.run_id} failed; see it in the UI",)
        checks = tuple(_checked(result))
        return StageResult(name, time.monotonic() - started, errors, checks)

    def _execute(
        self, assets: frozenset[str], run_config: Mapping[str, Any], tags: Mapping[str, str]
    ) -> JobExecutionResult:
        """Execute a run here that the UI shows as one of the code location's.

        ``execute_in_process`` records no location, and Timeline and Jobs leave such runs out. The
        run is one of the smallest job that has all the assets, else of the one of all assets.
        """
        import dagster as dg
        from dagster._core.definitions.job_base import InMemoryJob
        from dagster._core.execution.api import execute_run

        fitting = [(len(has), name) for name, has in self._jobs.items() if assets <= has]
        job = (
            self._defs.resolve_job_def(min(fitting)[1])
            if fitting
            else self._defs.resolve_implicit_global_asset_job_def()
        )
        keys = frozenset(dg.AssetKey(asset) for asset in assets)
        run = self._instance.create_run_for_job(
            job.get_subset(asset_selection=keys),
            run_config=run_config,
            tags={**job.run_tags, **tags},
            asset_selection=keys,
            remote_job_origin=_origin_in_ui(job.name),
        )
        result = execute_run(InMemoryJob(job), run, self._instance)
        if any(_interrupted(event) for event in result.all_events):
            raise KeyboardInterrupt  # Dagster has taken note of it, and no stage may follow
        return result

    def run(self, request: SweepRequest, announce: Announce) -> list[StageResult]:
        """Run the stages that the request needs, in order. A stage whose cells partly failed does
        not stop the next, which goes on with what there is; a stage without partitions does.
        """
        from rag_bench.tiers.answers.ahead import judged_next
        from rag_bench.tiers.base.cells import from_both_ends

        _load_encoder_if_wanted(request)
        results, some_known = [], False
        for stage in self._stages(request):
            announce(stage.name)
            judges = request.models.benchmark_judges if stage.name == ANSWERS.title else ()
            with judged_next(judges) as following, from_both_ends(some_known):
                result = self.materialize(
                    stage.name,
                    stage.assets,
                    partitions=stage.partitions,
                    benchmark=request.benchmark,
                    skip_checks=request.skip_checks,
                )
            some_known = following.asked
            results.append(result)
            if result.errors and stage.partitions is None:
                break
        return results

    def _stages(self, request: SweepRequest) -> Iterator[_Stage]:
        steps = list(registry.steps(request.tiers, request.options))
        free = [step for step in steps if step.stage == REFRESH]
        if request.tiers:
            yield _Stage(REFRESH.title, self._free_assets(steps))
        for stage in registry.stages():
            of_stage = [step for step in steps if step.stage == stage and step not in free]
            if of_stage:
                partitions = self._partitions.by(of_stage[0].by)
                yield _Stage(stage.title, [step.asset for step in of_stage], partitions)
            if stage == RETRIEVERS and of_stage:
                yield _Stage(RETRIEVER_COMPARISON.title, RETRIEVER_COMPARISON.assets)
        if request.report and any(map(registry.is_of_generators, request.tiers)):
            yield _Stage(REPORT.title, REPORT.assets)

    def _free_assets(self, steps: Iterable[Step]) -> list[str]:
        """Return what the steps need that asks no model, and those of them that ask none.

        What is loaded or written by itself is left alone: the dump, synthetic questions.
        """
        steps = list(steps)
        refreshed = {step.asset for step in registry.steps() if step.stage == REFRESH}
        refreshed |= set(REFRESH.assets) - set(SOURCE)
        wanted = [step.asset for step in steps] + [name for step in steps for name in step.reads]
        return list(dict.fromkeys([*ALWAYS, *(name for name in wanted if name in refreshed)]))


@dataclass(frozen=True)
class _Stage:
    """One run: assets over all keys of their partitions, if they have any."""

    name: str
    assets: Sequence[str]
    partitions: dg.PartitionsDefinition[str] | None = None


def _load_encoder_if_wanted(request: SweepRequest) -> None:
    """Have the encoder loaded beside the first stage, if a model seems to have no answers yet: it
    takes as long as hundreds of calls.
    """
    from rag_bench.resources import BenchmarkResource
    from rag_bench.retrieval.encoder_process import encoder_process
    from rag_bench.store import evaluations
    from rag_bench.store.database import make_engine

    engine = make_engine()
    try:
        bench = BenchmarkResource(**request.benchmark).open(engine, None)
        for step in registry.answering():
            if step.tier not in request.tiers:
                continue
            found = evaluations.latest_of_kind(
                engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
            )
            answered = {evaluation.generation_model for evaluation in found}
            kind, models = bench.dataset.kind, request.models.generation
            wanted = {model for model in models if not why_nothing(model, step.tier, kind)}
            if not answered.issuperset(wanted):
                encoder_process(bench.settings)
                return
    except RagBenchError:
        pass  # no dataset yet, no encoder: the stage that needs it says so
    finally:
        engine.dispose()


def _origin_in_ui(job_name: str) -> RemoteJobOrigin:
    """Return where the UI finds a job of ours: the code location of `workspace.yaml`."""
    from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
    from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    [location] = WorkspaceFileTarget([str(PROJECT_ROOT / "workspace.yaml")]).create_origins()
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job_name)


def _failures(result: JobExecutionResult, with_checks: bool) -> list[str]:
    """Return what the failed steps and checks said, without stack traces; warnings are none."""
    import dagster as dg

    messages = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                messages.append(data.user_failure_data.description)
            elif data.error:
                messages.append(_root_message(data.error))
        elif with_checks and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                said = f": {check.description}" if check.description else ""
                messages.append(f"The check {check.check_name} of {asset} failed{said}.")
    return messages


def _checked(result: JobExecutionResult) -> Iterator[Checked]:
    """Yield what each check of a run said."""
    import dagster as dg

    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            asset = check.asset_key.to_user_string()
            yield Checked(asset, check.check_name, check.passed, check.description or "")


def _interrupted(event: dg.DagsterEvent) -> bool:
    from dagster._core.errors import DagsterExecutionInterruptedError

    if event.is_step_failure and event.step_failure_data.error is not None:
        error = event.step_failure_data.error
        names = (error.cls_name, error.cause.cls_name if error.cause else None)
        return DagsterExecutionInterruptedError.__name__ in names
    return False


def _root_message(error: SerializableErrorInfo) -> str:
    """Return the message of the innermost cause: Dagster wraps what a step raises.

    An error that is meant to be read is its sentence alone; of others the class is said, too.
    """
    while error.cause is not None:
        error = error.cause
    text = error.message.strip()
    if error.cls_name in _names_of(RagBenchError):
        return text.partition(f"{error.cls_name}: ")[2] or text
    return text


def _names_of(error: type[Exception]) -> set[str]:
    """Return the names of an error's class and of all classes derived from it."""
    return {error.__name__}.union(*(_names_of(derived) for derived in error.__subclasses__()))
