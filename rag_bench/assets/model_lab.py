"""Group model_lab: every combination of models, joined from what was measured. Asks no model."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from rag_bench.assets.calls import ledger_metadata
from rag_bench.assets.declare import asset
from rag_bench.assets.describe import bars, markdown_table, number, picture, span
from rag_bench.assets.tables import column_schema
from rag_bench.resources import BenchmarkResource, DatabaseResource

GROUP = "model_lab"
_SHOWN = 50


def build(scored: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the group's assets; ``scored`` are the assets whose results they join."""

    @asset(group_name=GROUP, kinds={"postgres", "view"}, deps=scored, code_version="1")
    def model_runs(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        """Every triple (generation model, benchmark judge, production judge) with its metrics:
        the view `rag_bench.model_runs`, a join of what was measured once. 0 calls.
        """
        from rag_bench.store import evaluations

        bench = benchmark.open(database.engine, context.run.run_id)
        rows = evaluations.model_runs(database.engine, bench.run.hash)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(
                evaluations.version_of_all(database.engine, bench.run.hash)
            ),
            metadata={
                "dagster/row_count": len(rows),
                "settings_hash": bench.run.hash,
                "settings": dg.MetadataValue.json(bench.run.as_json()),
                "dataset": str(bench.dataset),
                "n_generation_models": len({row["generation_model"] for row in rows}),
                "n_benchmark_judges": len({row["benchmark_judge_model"] for row in rows} - {None}),
                "n_production_judges": len(
                    {row["production_judge_model"] for row in rows} - {None}
                ),
                **column_schema("model_runs"),
                **ledger_metadata(database.engine),
            },
        )

    @asset(group_name=GROUP, kinds={"postgres", "matplotlib"}, deps=[model_runs], code_version="1")
    def leaderboard(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        """Which models to run: all combinations, best first, with intervals. 0 calls."""
        from rag_bench.reporting.leaderboard import COLUMNS, ORDERED_BY
        from rag_bench.reporting.leaderboard import build as read
        from rag_bench.store.evaluations import version_of_all

        bench = benchmark.open(database.engine, context.run.run_id)
        board = read(database.engine, bench.run.hash)
        lead = COLUMNS[0]
        titles = [
            f"{column.title} ({column.scale[0]:g} to {column.scale[1]:g})"
            if column.scale
            else column.title
            for column in COLUMNS
        ]
        columns = ["#", "generation", "benchmark judge", "production judge", titles[0]]
        columns += ["95 % interval", *titles[1:]]
        table = markdown_table(
            columns,
            [
                [row.rank, row.generation_model, row.benchmark_judge_model]
                + [row.production_judge_model]
                + [number(row.value(lead)), span(row.metric(lead))]
                + [number(row.value(column)) for column in COLUMNS[1:]]
                for row in board.rows[:_SHOWN]
            ],
        )
        notes = [f"Ordered by {'; '.join(ORDERED_BY)}."]
        if len(board.rows) > _SHOWN:
            notes.append(f"The first {_SHOWN} of {len(board.rows)}; the report has all.")
        pairs = dict(
            list(
                {
                    (row.generation_model, row.benchmark_judge_model): row for row in board.rows
                }.items()
            )[:_SHOWN]
        )
        found = [row.metric(lead) for row in pairs.values()]
        figure = bars(
            f"End-to-end quality on {board.dataset.name}, {board.n_questions} questions, "
            "95 % intervals",
            [f"{generator}  by  {judge or '–'}" for generator, judge in pairs],
            [metric["value"] if metric else None for metric in found],
            [(m["ci_low"], m["ci_high"]) if m else (None, None) for m in found],
            "rubric, 1 to 5",
            (1.0, 5.0),
        )
        best = board.rows[0]
        metadata: dict[str, Any] = {
            "table": dg.MetadataValue.md(table + "\n\n" + "\n\n".join(notes)),
            "plot": picture(figure),
            "n_combinations": len(board.rows),
            "best_generation_model": best.generation_model,
            "best_production_judge": best.production_judge_model or "–",
            "settings_hash": board.settings_hash,
            "dataset": str(board.dataset),
            "simulated_models_present": any(row.simulated for row in board.rows),
        }
        value = best.value(lead)
        if value is not None:
            metadata["best_e2e_quality"] = value
            metadata["best_e2e_quality_judged_by"] = best.benchmark_judge_model or "–"
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version_of_all(database.engine, bench.run.hash)),
            metadata=metadata,
        )

    return [model_runs, leaderboard]
