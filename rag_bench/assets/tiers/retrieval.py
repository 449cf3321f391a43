"""Group retrieval: tier 0 and tier 1. No model is asked."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import (
    bars,
    evaluation_metadata,
    picture,
    reading_order,
    table,
)
from rag_bench.assets.factories.trials import apart
from rag_bench.assets.inputs.datasets import manual_dataset, synthetic_dataset
from rag_bench.assets.inputs.embeddings import chunk_embeddings
from rag_bench.resources import BenchmarkResource, DatabaseResource

GROUP = "retrieval"


@asset(
    group_name=GROUP,
    kinds={"postgres", "numpy"},
    deps=[manual_dataset, synthetic_dataset],
    code_version="1",
)
def tier0_embedding_geometry(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """Tier 0: how the questions lie in the embedding space (distances, spread, dimensionality)."""
    from rag_bench.tiers.base.evaluate import evaluate_one
    from rag_bench.tiers.retrieval.retrieval import GEOMETRY, geometry_tasks

    bench = benchmark.open(database.engine, context.run.run_id)
    with log_progress(context):
        [task] = geometry_tasks(bench, None, GEOMETRY, [None])
        evaluation = evaluate_one(bench, task)
    result: dg.MaterializeResult[None] = dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(evaluation)),
        metadata=evaluation_metadata(bench, evaluation),
    )
    return apart(context, bench, result)


@asset(
    group_name=GROUP,
    kinds={"postgres", "numpy"},
    deps=[manual_dataset, synthetic_dataset, chunk_embeddings],
    code_version="4",
)
def tier1_retrieval(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """Tier 1: which chunks are found for each question, exact search, all questions in one pass.

    Chunk level and page level have different names; a page counts once. Tier 3 answers from the
    chunks found here.
    """
    from rag_bench.store.evaluations import cases_of
    from rag_bench.tiers.base.evaluate import evaluate_one
    from rag_bench.tiers.retrieval.retrieval import RETRIEVAL, retrieval_tasks

    bench = benchmark.open(database.engine, context.run.run_id)
    with log_progress(context):
        [task] = retrieval_tasks(bench, None, RETRIEVAL, [None])
        evaluation = evaluate_one(bench, task)
    shown = [name for name in reading_order(evaluation.metrics) if "precision" not in name]
    found = [evaluation.metrics[name] for name in shown]
    plot = picture(
        bars(
            f"Retrieval on {bench.dataset.name}, {len(bench.items)} questions, 95 % intervals",
            shown,
            [metric["value"] for metric in found],
            [(metric["ci_low"], metric["ci_high"]) for metric in found],
            "hit rate: share of questions; others: mean over questions",
            (0.0, 1.0),
        )
    )
    metadata = {"plot": plot, **evaluation_metadata(bench, evaluation)}
    metadata |= _twins(evaluation.inputs.get("twins", {}))
    question_of = {item.item_id: item.question for item in bench.items}
    missed = [
        [question_of[case.case_id], (case.retrieved or [{}])[0].get("page_url")]
        for case in cases_of(database.engine, evaluation.id)
        if case.scores.get("chunk_mrr") == 0
    ]
    metadata["n_not_found"] = len(missed)
    if missed:
        metadata["not_found"] = table(
            [f"question whose chunk is not among the first {bench.run.top_k}", "best page"],
            missed[:10],
        )
    result: dg.MaterializeResult[None] = dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(evaluation)), metadata=metadata
    )
    return apart(context, bench, result)


def _twins(met: Mapping[str, int]) -> dict[str, Any]:
    """Say how many questions are about a text that stands on several pages."""
    if not met.get("chunks"):
        return {}
    return {
        "questions_with_twins": met["questions"],
        "twins": f"{met['chunks']} chunks share {met['texts']} texts. {met['questions']} questions "
        f"have such a chunk as relevant; in {met['counted']} a twin was found first and counted as "
        f"it. {met['contexts_repeated']} questions are given the same text more than once.",
    }


ASSETS = [tier0_embedding_geometry, tier1_retrieval]
