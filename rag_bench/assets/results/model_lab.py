"""Group model_lab: every combination of models, joined from what was measured. Asks no model."""

import dagster as dg

from rag_bench.assets.factories.calls import ledger_metadata
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.joined import ids_of, input_versions, joined_by_asset
from rag_bench.assets.factories.tables import column_schema
from rag_bench.assets.factories.trials import apart
from rag_bench.assets.results.board_metadata import board_metadata
from rag_bench.errors import RagBenchError
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.tiers import registry

GROUP = "model_lab"


def build() -> list[dg.AssetsDefinition]:
    """Return the group's assets; they join the results of all tiers."""
    scored = [step.asset for step in registry.joined()]

    @asset(group_name=GROUP, kinds={"postgres", "view"}, deps=scored, code_version="1")
    def model_runs(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        """Every triple (generation model, benchmark judge, production judge) with its metrics:
        the view `rag_bench.model_runs`, a join of what was measured once. 0 calls.
        """
        from rag_bench.store import evaluations
        from rag_bench.tiers.base.missing import nothing_measured

        bench = benchmark.open(database.engine, context.run.run_id)
        rows = evaluations.measured_triples(database.engine, bench.run.hash)
        if not rows:
            raise RagBenchError(nothing_measured(bench))
        joined = joined_by_asset(evaluations.joined(database.engine, bench.run.hash))
        result: dg.MaterializeResult[None] = dg.MaterializeResult(
            data_version=dg.DataVersion(
                evaluations.version_of_all(database.engine, bench.run.hash)
            ),
            metadata={
                "dagster/row_count": len(rows),
                "settings_hash": bench.run.hash,
                "settings": dg.MetadataValue.json(bench.run.as_json()),
                "retriever": bench.retriever.name,
                "dataset": str(bench.public_dataset),
                "n_generation_models": len({row.generation_model for row in rows}),
                "n_benchmark_judges": len({row.benchmark_judge_model for row in rows} - {None}),
                "n_production_judges": len({row.production_judge_model for row in rows} - {None}),
                "evaluation_ids": dg.MetadataValue.json(ids_of(joined)),
                **column_schema("model_runs"),
                **ledger_metadata(database.engine),
            },
            tags=input_versions(joined),
        )
        return apart(context, bench, result)

    @asset(
        group_name=GROUP,
        kinds={"postgres", "matplotlib"},
        # Scores by topic stand on it where questions are in topics.
        deps=[model_runs, dg.AssetKey("benchmark_topics")],
        code_version="3",
    )
    def leaderboard(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        """Which models to run: one row per model, best first, with intervals. 0 calls."""
        from rag_bench.reporting.leaderboard import build as read
        from rag_bench.store.evaluations import version_of_all

        bench = benchmark.open(database.engine, context.run.run_id)
        board = read(database.engine, bench.run.hash)
        result: dg.MaterializeResult[None] = dg.MaterializeResult(
            data_version=dg.DataVersion(version_of_all(database.engine, bench.run.hash)),
            metadata={**board_metadata(board), **ledger_metadata(database.engine)},
        )
        return apart(context, bench, result)

    return [model_runs, leaderboard]
