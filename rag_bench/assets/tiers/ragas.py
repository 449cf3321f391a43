"""RAGAS beside the rubrics: scores of answers per pair of models, of contexts per judge."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import Recorder, keys_of, log_progress, sweep_asset
from rag_bench.assets.factories.grid import pairs_of_run
from rag_bench.assets.factories.step_checks import StepEvent, end_step, replies_are_readable, specs
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.tiers.base.run_settings import Tier

if TYPE_CHECKING:
    from rag_bench.tiers.base.models import Models

KINDS = {"postgres", "openai", "ragas"}
_ANSWERS = "answer relevancy, answer correctness and semantic similarity (RAGAS, 0 to 1)"
GROUPS: Sequence[tuple[Tier, str, str]] = (
    ("2", "generation", f"Tier 2: faithfulness to the relevant chunks, {_ANSWERS}"),
    ("3", "end_to_end", f"Tier 3: faithfulness to the retrieved chunks, {_ANSWERS}"),
)


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the three assets over these partitions; loading them does not import ragas."""
    return [
        *(_answer_scores(partitions, tier, group, words) for tier, group, words in GROUPS),
        _context_scores(partitions),
    ]


def _code_version() -> str:
    from rag_bench.llm.ragas.prompts import prompt_hash

    # The language is a run's own, so a change of any language's prompts counts.
    return f"3-{prompt_hash()[:12]}"


def _answer_scores(
    partitions: Partitions, tier: Tier, group: str, description: str
) -> dg.AssetsDefinition:
    name, answers_name = f"tier{tier}_ragas_scores", f"tier{tier}_answers"
    checks = [replies_are_readable(tier, "ragas")]

    @sweep_asset(
        name=name,
        group_name=group,
        description=f"{description} of each generation model's answers by each benchmark judge. "
        "Verdicts are counted before a ratio is taken. Calls models.",
        kinds=KINDS,
        deps=[answers_name],
        partitions_def=partitions.grid,
        code_version=_code_version(),
        check_specs=specs(name, checks),
    )
    def ragas_scores(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.answers.ragas import STEPS, ragas_answer_tasks

        pairs = pairs_of_run(context, partitions)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench, upstream=answers_name)

        async def work(opened: "Models") -> None:
            planned = ragas_answer_tasks(bench, opened, STEPS[tier], pairs)
            await evaluating(bench, opened, planned, record, f"tier {tier} RAGAS scores")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(checks, bench, record)

    return ragas_scores


def _context_scores(partitions: Partitions) -> dg.AssetsDefinition:
    checks = [replies_are_readable("3", "ragas")]

    @sweep_asset(
        group_name="end_to_end",
        kinds=KINDS,
        deps=["tier1_retrieval"],
        partitions_def=partitions.benchmark_judges,
        code_version=_code_version(),
        check_specs=specs("tier3_context_scores", checks),
    )
    def tier3_context_scores(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        """Tier 3: context precision and recall (RAGAS, 0 to 1) of the retrieved chunks by each
        benchmark judge. They read no answer, so they are not split by generation model. Calls
        models.
        """
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.answers.ragas import STEPS, ragas_context_tasks

        keys = keys_of(context, partitions.benchmark_judges)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench)

        async def work(opened: "Models") -> None:
            planned = ragas_context_tasks(bench, opened, STEPS["3"], keys)
            await evaluating(bench, opened, planned, record, "RAGAS context scores")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(checks, bench, record)

    return tier3_context_scores
