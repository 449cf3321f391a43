"""The map of chunks and questions, for the dashboard."""

import dagster as dg
from pydantic import Field

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.inputs.embeddings import chunk_embeddings, question_embeddings
from rag_bench.resources import DatabaseResource


class MapRunConfig(dg.Config):
    """How many of the users' questions lie on the map."""

    question_limit: int = Field(
        default=1000, ge=1, description="A random sample of so many, if there are more."
    )


@asset(
    group_name="analytics",
    kinds={"postgres", "scikitlearn"},
    deps=[chunk_embeddings, question_embeddings],
    code_version="1",
)
def vector_map(
    context: dg.AssetExecutionContext, config: MapRunConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Chunks and users' questions on a plane by UMAP; the dashboard shows it, in colours."""
    from rag_bench.errors import NotInstalledError
    from rag_bench.tiers.traffic import vector_map as tier
    from rag_bench.tiers.traffic.analysis import NoQuestionsError, open_analysis

    analysis = open_analysis(database.engine, context.run.run_id, progress.report)
    try:
        with log_progress(context):
            found = tier.vector_map(analysis, tier.MapConfig(config.question_limit))
    except (NoQuestionsError, NotInstalledError) as error:
        context.log.warning(str(error))
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"), metadata={"note": f"no data: {error}"}
        )
    result = found.inputs["result"]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(found)),
        metadata={
            "chunks": result["chunks"],
            "questions": result["questions"],
            "evaluation_id": str(found.id),
            "reused": found.reused,
            "settings_hash": found.settings_hash,
            "dump_sha256": analysis.snapshot.sha256,
        },
    )


ASSETS = [vector_map]
