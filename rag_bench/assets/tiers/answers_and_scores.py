"""The two tiers that ask models, built alike: answers per generator, scores per pair of models.

Group generation (tier 2) gives the generator the relevant chunks themselves, group end_to_end
(tier 3) what retrieval found. The assets differ in nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import Recorder, keys_of, log_progress, sweep_asset
from rag_bench.assets.factories.grid import pairs_of_run
from rag_bench.assets.factories.step_checks import (
    StepEvent,
    end_step,
    prompts_are_whole,
    reads_russian,
    replies_are_readable,
    specs,
)
from rag_bench.assets.inputs.datasets import manual_dataset, synthetic_dataset
from rag_bench.assets.tiers.retrieval import tier1_retrieval
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.tiers.base.run_settings import Tier

if TYPE_CHECKING:
    from rag_bench.tiers.base.models import Models


@dataclass(frozen=True)
class TierAssets:
    """The words and edges in which the two tiers differ."""

    tier: Tier
    group: str
    upstream: Sequence[dg.AssetsDefinition]
    answers: str
    scores: str


GENERATION = TierAssets(
    "2",
    "generation",
    [manual_dataset, synthetic_dataset],
    "Tier 2: each generation model's answers from the whole relevant chunks, with overlap, "
    "similarity, consistency and citations. Calls models.",
    "Tier 2: faithfulness, answer relevance and answer correctness (rubric, 1 to 5) of each "
    "generation model's answers by each benchmark judge. Calls models.",
)
END_TO_END = TierAssets(
    "3",
    "end_to_end",
    [tier1_retrieval],
    "Tier 3: each generation model's answers from the chunks that retrieval found, before the "
    "show/hide gate. Calls models.",
    "Tier 3: end-to-end quality (rubric, 1 to 5) of each generation model's answers by each "
    "benchmark judge; with tier3_all_rubrics tier 2's three rubrics, on the retrieved chunks, as "
    "well. Calls models.",
)


def build(which: TierAssets, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return a tier's two assets over these partitions."""
    from rag_bench.llm.tasks import prompts
    from rag_bench.llm.tasks.pipeline import ANSWER_PROMPT
    from rag_bench.tiers.base.asked_rubrics import asked_rubrics, rubric_prompts

    tier = which.tier
    answers_name, scores_name = f"tier{tier}_answers", f"tier{tier}_scores"
    checks_of_answers = [reads_russian()]
    checks_of_scores = [
        prompts_are_whole(lambda bench: asked_rubrics(bench.run, tier)),
        replies_are_readable(tier),
    ]

    @sweep_asset(
        name=answers_name,
        group_name=which.group,
        description=which.answers,
        kinds={"postgres", "openai"},
        deps=which.upstream,
        partitions_def=partitions.generation,
        # A changed prompt shows as a new code version: what was made with the old one is stale.
        code_version=f"4-{prompts.prompt_hash([ANSWER_PROMPT])[:12]}",
        check_specs=specs(answers_name, checks_of_answers),
    )
    def answers(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.answers.answers import STEPS, answer_tasks

        keys = keys_of(context, partitions.generation)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench)

        async def work(opened: "Models") -> None:
            planned = answer_tasks(bench, opened, STEPS[tier], keys)
            await evaluating(bench, opened, planned, record, f"tier {tier} answers")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(checks_of_answers, bench, record)

    @sweep_asset(
        name=scores_name,
        group_name=which.group,
        description=which.scores,
        kinds={"postgres", "openai"},
        deps=[answers],
        partitions_def=partitions.grid,
        # Prompts that are asked by flag only, too: the settings are not known when the code loads.
        code_version=f"2-{prompts.prompt_hash(rubric_prompts(tier))[:12]}",
        check_specs=specs(scores_name, checks_of_scores),
    )
    def scores(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[StepEvent]:
        from rag_bench.assets.factories.evaluating import evaluating
        from rag_bench.tiers.answers.scores import STEPS, score_tasks

        pairs = pairs_of_run(context, partitions)
        bench = benchmark.open(database.engine, context.run.run_id)
        record = Recorder(context, bench, upstream=answers_name)

        async def work(opened: "Models") -> None:
            planned = score_tasks(bench, opened, STEPS[tier], pairs)
            await evaluating(bench, opened, planned, record, f"tier {tier} scores")

        with log_progress(context):
            models.run(database.engine, work)
        yield from end_step(checks_of_scores, bench, record)

    return [answers, scores]
