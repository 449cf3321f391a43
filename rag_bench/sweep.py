"""A sweep from the command line: the same assets, materialized stage by stage in this process.

Each stage is one run over a rectangle of partitions, so that all its cells share one event loop;
the partitions of the run's definitions are exactly the chosen models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.partitions import ModelLists, Partitions

if TYPE_CHECKING:
    import dagster as dg

TIERS = ("0", "1", "2", "3", "judge_pipeline")
SOURCE = ("dump", "chunk", "question_answer")


@dataclass(frozen=True)
class SweepRequest:
    """What to run. ``benchmark`` is the run config of the resource of that name."""

    models: ModelLists
    tiers: frozenset[str] = frozenset(TIERS)
    benchmark: Mapping[str, Any] = field(default_factory=dict)
    report: bool = True


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: seconds, and what went wrong in the words of the failed steps."""

    name: str
    seconds: float
    errors: tuple[str, ...] = ()


Announce = Callable[[str], None]


def parse_tiers(text: str) -> frozenset[str]:
    """Return the tiers of a comma-separated list; ``all`` is every tier there is.

    Raises:
        ConfigurationError: an unknown tier.
    """
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = wanted - {*TIERS, "all"}
    if unknown or not wanted:
        raise ConfigurationError(
            f"No such tier: {', '.join(sorted(unknown)) or '(none given)'}. "
            f"There are: {', '.join(TIERS)}, all."
        )
    return frozenset(TIERS) if "all" in wanted else frozenset(wanted)


class Sweep:
    """Materializes assets in this process, on the project's Dagster instance."""

    def __init__(self, instance: dg.DagsterInstance, models: ModelLists) -> None:
        from rag_bench.definitions import build_defs

        self._instance = instance
        self._partitions = Partitions.of(models)
        self._job = build_defs(models).resolve_implicit_global_asset_job_def()

    def materialize(
        self,
        name: str,
        assets: Iterable[str],
        *,
        partitions: dg.PartitionsDefinition[str] | None = None,
        benchmark: Mapping[str, Any] | None = None,
        ops: Mapping[str, Any] | None = None,
    ) -> StageResult:
        """Materialize assets in one run: all partitions, or none if they have none."""
        import dagster as dg

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
        result = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            run_config=run_config,
            tags=tags,
            raise_on_error=False,
        )
        errors = tuple(_failures(result))
        if not result.success and not errors:
            errors = (f"the run {result.run_id} failed; see it in the UI",)
        return StageResult(name, time.monotonic() - started, errors)

    def run(self, request: SweepRequest, announce: Announce) -> list[StageResult]:
        """Run the stages that the tiers need, in order. A stage whose cells partly failed does
        not stop the next, which goes on with what there is; a stage without partitions does.
        """
        parts, tiers = self._partitions, request.tiers
        asks = bool(tiers & {"2", "3", "judge_pipeline"})
        base = ["chunk_embeddings", "manual_dataset"]
        base += ["tier0_embedding_geometry"] if "0" in tiers else []
        base += ["tier1_retrieval"] if tiers & {"1", "3"} else []
        base += ["show_hide_dataset"] if "judge_pipeline" in tiers else []
        model_tiers = [tier for tier in ("2", "3") if tier in tiers]
        plan: list[tuple[str, Sequence[str], dg.PartitionsDefinition[str] | None]] = [
            ("embeddings, datasets, retrieval", base, None)
        ]
        if model_tiers:
            plan += [
                ("answers", [f"tier{tier}_answers" for tier in model_tiers], parts.generation),
                ("scores", [f"tier{tier}_scores" for tier in model_tiers], parts.grid),
            ]
        if "judge_pipeline" in tiers:
            plan.append(("production judges", ["production_judge_scores"], parts.production_judges))
        if asks and request.report and model_tiers:
            plan.append(
                ("leaderboard and report", ["model_runs", "leaderboard", "benchmark_report"], None)
            )
        results = []
        for name, assets, partitions in plan:
            announce(name)
            result = self.materialize(
                name, assets, partitions=partitions, benchmark=request.benchmark
            )
            results.append(result)
            if result.errors and partitions is None:
                break
        return results


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
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
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                said = f": {check.description}" if check.description else ""
                messages.append(f"The check {check.check_name} of {asset} failed{said}.")
    return messages


def _root_message(error: Any) -> str:
    """Return the message of the innermost cause: Dagster wraps what a step raises."""
    while error.cause is not None:
        error = error.cause
    text = error.message.strip()
    known = (RagBenchError.__name__, "DumpError", "ConfigurationError", "EmbeddedServerError")
    for name in known:
        for prefix in (f"rag_bench.errors.{name}: ", f"{name}: "):
            text = text.removeprefix(prefix)
    return text
