"""The health of a run's dataset, after it was scored."""

from collections.abc import Iterator

import dagster as dg

from rag_bench.assets.factories.cells import log_progress
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.results.health_description import CHECKS, checks_of, metadata_of
from rag_bench.hashing import content_hash
from rag_bench.resources import BenchmarkResource, DatabaseResource

NAME = "dataset_health"


@asset(
    name=NAME,
    group_name="datasets",
    kinds={"postgres", "table"},
    deps=["manual_dataset", "synthetic_dataset", "traffic_dataset", "model_runs"],
    code_version="1",
    check_specs=[
        dg.AssetCheckSpec(name, asset=NAME, description=text) for name, text in CHECKS.items()
    ],
)
def dataset_health(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Can the questions still tell models apart? Coverage of chunks, pages and topics, wording
    that leaked from chunks, questions that all models get right or wrong, gold answers gone stale.
    """
    from rag_bench.tiers.datasets.health import health_of

    bench = benchmark.open(database.engine, context.run.run_id)
    with log_progress(context):
        found = health_of(bench)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(content_hash(found)), metadata=metadata_of(bench, found)
    )
    yield from checks_of(found)


ASSETS = [dataset_health]
