"""Do the published intervals, tests and corrections keep what they promise? Asks no model."""

import dagster as dg
from pydantic import Field

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset, asset_check
from rag_bench.assets.factories.describe import table
from rag_bench.resources import DatabaseResource


class StatisticsRunConfig(dg.Config):
    """How often every promise is tried."""

    runs: int | None = Field(
        default=None,
        ge=1,
        description="Simulations of each line; empty: RAG_BENCH_SELF_TEST_RUNS, 2,000 by default.",
    )


@asset(group_name="self_test", kinds={"postgres", "numpy"}, code_version="1")
def self_test_statistics(
    context: dg.AssetExecutionContext, config: StatisticsRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Coverage, false alarms and power on made-up worlds whose truth is known."""
    from rag_bench.reporting.self_test.statistics import power_table, promises_table, read_self_test
    from rag_bench.settings import get_settings
    from rag_bench.tiers.self_test.statistics import try_statistics

    with log_progress(context):
        found = try_statistics(
            database.engine,
            config.runs or get_settings().self_test_runs,
            run_id=context.run.run_id,
            report=lambda done, of: progress.report("self-test", done, of),
        )
    tried = read_self_test(database.engine, found)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(found)),
        metadata={
            "kept": f"{tried.n_kept} of {len(tried.promises)} promises",
            "promises": table(*promises_table(tried)),
            "power": table(*power_table(tried)),
            "evaluation_id": str(found.id),
            "reused": found.reused,
        },
    )


@asset_check(asset=self_test_statistics, name="promises_are_kept")
def promises_are_kept(database: DatabaseResource) -> dg.AssetCheckResult:
    """Nothing is claimed that does not hold, but where it is marked beside the number."""
    from rag_bench.reporting.self_test.statistics import newest_self_test

    tried = newest_self_test(database.engine)
    if tried is None:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="Nothing was tried yet; materialize self_test_statistics.",
        )
    broken = [str(one["what"]) + ", " + str(one["world"]) for one in tried.broken]
    return dg.AssetCheckResult(
        passed=not broken,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{tried.n_kept} of {len(tried.promises)} promises are kept",
        metadata={"broken": dg.MetadataValue.json(broken)},
    )


ASSETS = [self_test_statistics]
CHECKS = [promises_are_kept]
