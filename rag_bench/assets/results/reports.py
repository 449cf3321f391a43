"""Group reports: the files that people pass on."""

from datetime import UTC, datetime

import dagster as dg

from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.trials import apart
from rag_bench.assets.results.retrievers import board_if_several, retriever_comparison
from rag_bench.hashing import content_hash
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.settings import get_settings

GROUP = "reports"


def build(leaderboard: dg.AssetsDefinition) -> list[dg.AssetsDefinition]:
    """Return the group's assets."""

    @asset(
        group_name=GROUP,
        kinds={"json", "html"},
        deps=[leaderboard, retriever_comparison, "dataset_health"],
        code_version="2",
    )
    def benchmark_report(
        context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.MaterializeResult:
        """The report as JSON, Markdown and a self-contained page, and the registry of reports."""
        from rag_bench.reporting import report
        from rag_bench.reporting.beside_board import beside_board
        from rag_bench.reporting.dataset_health import sentences
        from rag_bench.reporting.leaderboard import build as read
        from rag_bench.reporting.self_test import planted, statistics
        from rag_bench.store.evaluations import version_of_all
        from rag_bench.tiers.datasets.health import health_of

        bench = benchmark.open(database.engine, context.run.run_id)
        board = read(database.engine, bench.run.hash)
        retrievers = board_if_several(bench)
        content = report.content(
            board, bench.run.as_json(), bench.encoder_identity.name, datetime.now(UTC), retrievers
        )
        health = health_of(bench)
        content |= {"dataset_health": health, "dataset_notes": sentences(health)}
        content |= statistics.as_json(statistics.newest_self_test(database.engine))
        content |= planted.as_json(planted.newest_planted(database.engine))
        content |= beside_board(database.engine, get_settings(), board)
        written = report.write(content, board, get_settings().reports_dir, retrievers)
        version = version_of_all(database.engine, bench.run.hash)
        if retrievers is not None:
            version = content_hash([version, retrievers.version])
        result: dg.MaterializeResult[None] = dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata={
                "overall_status": written.overall_status,
                "summary": dg.MetadataValue.md(content["executive_summary"]),
                "page": dg.MetadataValue.path(written.html),
                "json": dg.MetadataValue.path(written.json),
                "markdown": dg.MetadataValue.path(written.markdown),
                "report": dg.MetadataValue.md(written.markdown.read_text(encoding="utf-8")),
            },
        )
        return apart(context, bench, result)

    return [benchmark_report]
