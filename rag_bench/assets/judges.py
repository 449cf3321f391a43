"""Group judges: how well production judges tell answers to show from those to hide."""

from collections.abc import Iterator

import dagster as dg

from rag_bench.assets.cells import Recorder, keys_of, log_progress, sweep_asset
from rag_bench.assets.datasets import show_hide_dataset
from rag_bench.assets.step_checks import evaluate, replies_are_readable, specs
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource

GROUP = "judges"


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the group's assets over these partitions."""
    from rag_bench.llm import prompts
    from rag_bench.llm.pipeline import GATE_PROMPT
    from rag_bench.tiers.measures import PRODUCTION_TIER

    checks = [replies_are_readable(PRODUCTION_TIER)]

    @sweep_asset(
        group_name=GROUP,
        kinds={"postgres", "openai"},
        deps=[show_hide_dataset],
        partitions_def=partitions.production_judges,
        code_version=f"1-{prompts.prompt_hash([GATE_PROMPT])[:12]}",
        check_specs=specs("production_judge_scores", checks),
    )
    def production_judge_scores(
        context: dg.AssetExecutionContext,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
        models: ModelsResource,
    ) -> Iterator[dg.AssetCheckResult]:
        """Tier judge_pipeline: accuracy, precision, recall and F1 for "show", and latency, of
        each production judge on the labelled pairs. Unreadable replies are counted, not guessed.
        Calls models.
        """
        from rag_bench.errors import RagBenchError
        from rag_bench.store.datasets import newest_pairs
        from rag_bench.tiers.production_judge import judge_cells

        keys = keys_of(context, partitions.production_judges)
        bench = benchmark.open(database.engine, context.run.run_id)
        pairs = newest_pairs(database.engine)
        if pairs is None:
            raise RagBenchError("There are no labelled pairs: materialize show_hide_dataset first.")
        record = Recorder(context, bench)
        with log_progress(context):
            models.run(
                database.engine, lambda opened: judge_cells(bench, opened, pairs, keys, record)
            )
        yield from evaluate(checks, bench)
        record.close()

    return [production_judge_scores]
