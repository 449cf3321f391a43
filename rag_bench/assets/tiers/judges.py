"""Group judges: how good the judges themselves are, production judges and benchmark judges."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import Recorder, keys_of, log_progress, sweep_asset
from rag_bench.assets.factories.step_checks import (
    StepCheck,
    StepEvent,
    end_step,
    nothing_to_check,
    replies_are_readable,
    specs,
)
from rag_bench.assets.inputs.datasets import manual_dataset, show_hide_dataset, synthetic_dataset
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models

GROUP = "judges"
#: More than this share of one score, on answers of which many are good and many bad, is collapse.
MOST_ALIKE = 0.9


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the group's assets over these partitions."""
    from rag_bench.llm.tasks import prompts
    from rag_bench.llm.tasks.pipeline import GATE_PROMPT
    from rag_bench.tiers.base.measures import JUDGE_PROMPTS, JUDGE_TIER, PRODUCTION_TIER

    checks = [replies_are_readable(PRODUCTION_TIER)]
    quality_checks = [
        replies_are_readable(JUDGE_TIER),
        scores_are_not_all_alike(),
        checked_against_people(),
    ]

    @sweep_asset(
        group_name=GROUP,
        kinds={"postgres", "openai"},
        deps=[show_hide_dataset],
        partitions_def=partitions.production_judges,
        code_version=f"2-{prompts.prompt_hash([GATE_PROMPT])[:12]}",
        check_specs=specs("production_judge_scores", checks),
    )
    def production_judge_scores(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        """Tier judge_pipeline: accuracy, precision, recall and F1 for "show", and latency, of
        each production judge on the labelled pairs. Unreadable replies are counted, not guessed.
        Calls models.
        """
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.judges.production_judge import STEP, production_judge_tasks

        keys = keys_of(context, partitions.production_judges)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench)
        if bench.pairs:
            context.log.info(f"labelled pairs: {bench.pairs}")

        async def work(opened: "Models") -> None:
            planned = production_judge_tasks(bench, opened, STEP, keys)
            await evaluating(bench, opened, planned, record, "production judges")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(checks, bench, record)

    @sweep_asset(
        group_name=GROUP,
        kinds={"postgres", "openai"},
        deps=[show_hide_dataset, manual_dataset, synthetic_dataset],
        partitions_def=partitions.benchmark_judges,
        code_version=f"2-{prompts.prompt_hash(JUDGE_PROMPTS)[:12]}",
        check_specs=specs("benchmark_judge_quality", quality_checks),
    )
    def benchmark_judge_quality(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        """Tier judge: how good each benchmark judge itself is, on labelled answers and on
        constructed ones: agreement with itself and with labels, spread of its scores, errors,
        latency, and what order, length and style of answers do to it. Calls models.
        """
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.judges.benchmark_judge import STEP, benchmark_judge_tasks

        keys = keys_of(context, partitions.benchmark_judges)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench)

        async def work(opened: "Models") -> None:
            planned = benchmark_judge_tasks(bench, opened, STEP, keys)
            await evaluating(bench, opened, planned, record, "benchmark judges")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(quality_checks, bench, record)

    return [production_judge_scores, benchmark_judge_quality]


def scores_are_not_all_alike() -> StepCheck:
    """Check that no judge gives almost always the same score: it would rank nothing."""

    def check(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.store import evaluations
        from rag_bench.tiers.base.measures import JUDGE_TIER

        alike: dict[str, float | None] = {}
        found = evaluations.latest_of_kind(
            bench.engine, tier=JUDGE_TIER, kind="scores", settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        for row in found:
            share = row.metrics.get("score_collapse", {}).get("value")
            if share is None or share > MOST_ALIKE:
                alike[str(row.benchmark_judge_model)] = None if share is None else round(share, 3)
        return dg.AssetCheckResult(
            passed=not alike,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{len(alike)} judges give one score to more than {MOST_ALIKE:.0%}, or none at all"
            ),
            metadata={"share_of_one_score": dg.MetadataValue.json(alike)},
        )

    return StepCheck(
        "scores_are_not_all_alike",
        "No judge gives more than 90 % of good and bad answers one and the same score.",
        check,
    )


def checked_against_people() -> StepCheck:
    """Check that people's labels stand behind what is said of the judges."""

    def check(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.store import evaluations
        from rag_bench.tiers.base.measures import JUDGE_TIER

        found = evaluations.latest_of_kind(
            bench.engine, tier=JUDGE_TIER, kind="scores", settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        unchecked = [
            str(row.benchmark_judge_model)
            for row in found
            if not row.inputs.get("checked_against_people")
        ]
        return dg.AssetCheckResult(
            passed=not unchecked,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(unchecked)} judges were never checked against people",
            metadata={"judges": dg.MetadataValue.json(unchecked)},
        )

    return StepCheck(
        "checked_against_people",
        "Every judge was compared with answers that people labelled.",
        check,
    )
