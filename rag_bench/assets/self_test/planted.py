"""Which planted faults are found, by what, at which size? Asks no provider."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset, asset_check
from rag_bench.assets.factories.describe import table
from rag_bench.resources import DatabaseResource


class PlantedRunConfig(dg.Config):
    """What is planted."""

    faults: str = Field(
        default="",
        description="all, none, or names separated by commas (docs/self_test.md); empty: "
        "RAG_BENCH_SELF_TEST_FAULTS, all by default.",
    )


@asset(group_name="self_test", kinds={"postgres"}, code_version="1")
def self_test_planted_faults(
    context: dg.AssetExecutionContext, config: PlantedRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Faults of the dump, retrieval, prompts, judges and providers, planted one by one through the
    whole path on databases of its own: which check found which, at which size.
    """
    from rag_bench.reporting.self_test.planted import NOT_FOUND, planted_table, read_planted
    from rag_bench.settings import get_settings
    from rag_bench.tiers.self_test.planted import faults_meant, try_faults

    faults = faults_meant(config.faults or get_settings().self_test_faults)
    if faults is None:
        return dg.MaterializeResult(metadata={"note": "Nothing is planted, as was asked for."})
    with log_progress(context):
        found = try_faults(database.engine, faults, run_id=context.run.run_id)
    tried = read_planted(database.engine, found)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(found)),
        metadata={
            "found": tried.in_words,
            "faults": table(*planted_table(tried)),
            NOT_FOUND.replace(" ", "_"): _names(tried.not_found),
            "false_alarms": _names(tried.false_alarms),
            "evaluation_id": str(found.id),
            "reused": found.reused,
        },
    )


@asset_check(asset=self_test_planted_faults, name="planted_faults_are_found")
def planted_faults_are_found(database: DatabaseResource) -> dg.AssetCheckResult:
    """Every planted fault is found by some check, and nothing cries where nothing was planted."""
    from rag_bench.reporting.self_test.planted import newest_planted

    tried = newest_planted(database.engine)
    if tried is None:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="Nothing was planted yet; materialize self_test_planted_faults.",
        )
    return dg.AssetCheckResult(
        passed=not tried.not_found and not tried.false_alarms,
        severity=dg.AssetCheckSeverity.WARN,
        description=tried.in_words,
        metadata={
            "not_found": _names(tried.not_found),
            "false_alarms": _names(tried.false_alarms),
        },
    )


def _names(rows: Sequence[object]) -> dg.MetadataValue:
    from rag_bench.reporting.self_test.planted import name_of

    return dg.MetadataValue.json([name_of(row) for row in rows])  # type: ignore[arg-type]


ASSETS = [self_test_planted_faults]
CHECKS = [planted_faults_are_found]
