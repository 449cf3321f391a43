"""Which topics of users' traffic the benchmark's questions are in."""

import dagster as dg

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import table
from rag_bench.assets.inputs.datasets import manual_dataset, synthetic_dataset
from rag_bench.assets.inputs.traffic import traffic_dataset
from rag_bench.assets.results.analytics import topic_coverage
from rag_bench.hashing import content_hash
from rag_bench.resources import DatabaseResource


@asset(
    group_name="analytics",
    kinds={"postgres", "numpy"},
    deps=[topic_coverage, manual_dataset, synthetic_dataset, traffic_dataset],
    code_version="1",
)
def benchmark_topics(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult:
    """Benchmark questions by topic of users: scores by topic, and weighted to real traffic."""
    from rag_bench.errors import NotInstalledError
    from rag_bench.store import datasets
    from rag_bench.store.public_names import with_name_masked
    from rag_bench.tiers.traffic import benchmark_topics as tier
    from rag_bench.tiers.traffic.analysis import NoQuestionsError, open_analysis

    analysis = open_analysis(database.engine, context.run.run_id, progress.report)
    try:
        with log_progress(context):
            found = tier.benchmark_topics(analysis)
    except (NoQuestionsError, NotInstalledError) as error:
        context.log.warning(str(error))
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"), metadata={"note": f"no data: {error}"}
        )
    rows = []
    for one in found:
        dataset = with_name_masked(
            database.engine, datasets.get_dataset(database.engine, one.dataset_id or "")
        )
        covered = one.metrics["covered_traffic_rate"]["value"]
        missing = one.metrics["n_uncovered_topics"]["value"]
        rows.append([dataset.name, dataset.id[:12], dataset.n_items, covered, missing, str(one.id)])
    columns = [
        "dataset",
        "id",
        "questions",
        "share of traffic covered",
        "topics without a question",
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(content_hash([result_version(one) for one in found])),
        metadata={
            "datasets": table([*columns, "evaluation"], rows),
            "covered_traffic_rate": min(
                float(one.metrics["covered_traffic_rate"]["value"]) for one in found
            ),
            "dump_sha256": analysis.snapshot.sha256,
        },
    )


ASSETS = [benchmark_topics]
