"""Chunks that nearly repeat each other, for the dashboard."""

import dagster as dg
from pydantic import Field

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.inputs.embeddings import chunk_embeddings
from rag_bench.resources import DatabaseResource


class NearDuplicatesRunConfig(dg.Config):
    """From where on two chunks are alike; one of the two is enough."""

    cosine: float = Field(default=0.97, gt=0, le=1, description="Of their vectors.")
    containment: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Shared runs of three words / those of the shorter chunk.",
    )


@asset(
    group_name="analytics",
    kinds={"postgres", "numpy"},
    deps=[chunk_embeddings],
    code_version="1",
)
def near_duplicates(
    context: dg.AssetExecutionContext, config: NearDuplicatesRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Pairs of chunks that nearly repeat each other, by vectors and by words."""
    from rag_bench.tiers.traffic import near_duplicates as tier
    from rag_bench.tiers.traffic.analysis import open_analysis

    analysis = open_analysis(database.engine, context.run.run_id, progress.report)
    with log_progress(context):
        given = tier.NearDuplicatesConfig(config.cosine, config.containment)
        found = tier.near_duplicates(analysis, given)
    result = found.inputs["result"]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(found)),
        metadata={
            "pairs": result["pairs"],
            "chunks_in_pairs": result["chunks_in_pairs"],
            "chunks": result["chunks"],
            "evaluation_id": str(found.id),
            "reused": found.reused,
            "settings_hash": found.settings_hash,
            "dump_sha256": analysis.snapshot.sha256,
        },
    )


ASSETS = [near_duplicates]
