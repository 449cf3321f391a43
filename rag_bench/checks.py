"""Asset checks: what must hold of the numbers, checked where they are made.

Those of the partitioned assets are in `rag_bench.assets.factories.step_checks`.
"""

import dagster as dg

from rag_bench.answer_sources import why_nothing
from rag_bench.assets.factories.declare import asset_check
from rag_bench.assets.factories.step_checks import nothing_to_check
from rag_bench.assets.inputs.datasets import show_hide_dataset
from rag_bench.assets.inputs.embeddings import (
    chunk_embeddings,
    chunk_texts,
    question_embeddings,
    question_texts,
)
from rag_bench.hashing import text_hash
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.settings import get_settings
from rag_bench.tiers import registry

LEAST_PAIRS = 50
_SAMPLE = 20


def _coverage(database: DatabaseResource, which: str) -> dg.AssetCheckResult:
    from rag_bench.retrieval.identity import encoder_identity
    from rag_bench.store.vectors import coverage

    encoder = encoder_identity(get_settings())
    texts = (chunk_texts if which == "chunks" else question_texts)(database.engine, encoder)
    present, wanted = coverage(database.engine, encoder.key, sorted({text_hash(t) for t in texts}))
    return dg.AssetCheckResult(
        # No chunk at all is no corpus; a dump without questions of users is an ordinary one.
        passed=present == wanted and (wanted > 0 or which == "questions"),
        description=f"{present} of {wanted} distinct {which} have a vector",
        metadata={"present": present, "wanted": wanted, "encoder": encoder.name},
    )


@asset_check(asset=chunk_embeddings, name="every_chunk_is_embedded", blocking=True)
def every_chunk_is_embedded(database: DatabaseResource) -> dg.AssetCheckResult:
    """Coverage is 100 %: a chunk without a vector could never be found."""
    return _coverage(database, "chunks")


@asset_check(asset=question_embeddings, name="every_question_is_embedded")
def every_question_is_embedded(database: DatabaseResource) -> dg.AssetCheckResult:
    """Coverage is 100 %: analytics on a chosen few would not be about the users."""
    return _coverage(database, "questions")


@asset_check(asset=show_hide_dataset, name="enough_labelled_pairs")
def enough_labelled_pairs(database: DatabaseResource) -> dg.AssetCheckResult:
    """There are pairs of both kinds, and enough of them for an interval that says something."""
    from rag_bench.store import datasets, snapshots

    current = snapshots.require_current(database.engine)
    found = datasets.pairs_for(database.engine, current.sha256)
    items = datasets.items_of(database.engine, found.id) if found else []
    shown = sum(bool(item.details["ground_truth_show"]) for item in items)
    return dg.AssetCheckResult(
        passed=len(items) >= LEAST_PAIRS and 0 < shown < len(items),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(items)} pairs, {shown} of them to show; at least {LEAST_PAIRS} wanted",
    )


@asset_check(asset="tier1_retrieval", name="relevant_chunks_exist")
def relevant_chunks_exist(
    database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.AssetCheckResult:
    """The dataset's relevant chunks are in the corpus that was searched."""
    bench = benchmark.open(database.engine, None)
    lost = [
        item.item_id
        for item in bench.items
        if not set(item.chunk_hashes) <= bench.chunk_by_hash.keys()
    ]
    return dg.AssetCheckResult(
        passed=bool(bench.items) and not lost,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(lost)} of {len(bench.items)} questions name a chunk that is not there",
        metadata={"examples": dg.MetadataValue.json(lost[:_SAMPLE])},
    )


@asset_check(asset="tier1_retrieval", name="measures_are_within_their_scale")
def measures_are_within_their_scale(
    database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.AssetCheckResult:
    """No retrieval measure of any question is below 0 or above 1 (nDCG was, elsewhere)."""
    from rag_bench.store.evaluations import cases_of
    from rag_bench.tiers.retrieval.retrieval import stored_retrieval

    bench = benchmark.open(database.engine, None)
    found = stored_retrieval(bench)
    if not any(item.chunk_hashes or item.page_urls for item in bench.items):
        said = "nobody has said what is relevant to these questions, so nothing is measured"
        return dg.AssetCheckResult(passed=True, description=said)
    values = [
        (case.case_id, name, value)
        for case in cases_of(database.engine, found.id)
        for name, value in case.scores.items()
        if value is not None
    ]
    n_values = len(values)
    wrong = [f"{case}: {name} {value}" for case, name, value in values if not 0 <= value <= 1]
    return dg.AssetCheckResult(
        passed=n_values > 0 and not wrong,
        description=f"{len(wrong)} of {n_values} values outside 0 to 1",
        metadata={"examples": dg.MetadataValue.json(wrong[:_SAMPLE])},
    )


@asset_check(asset="tier1_retrieval", name="search_agrees_with_pgvector")
def search_agrees_with_pgvector(
    database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.AssetCheckResult:
    """Asked as production asks, query by query, PostgreSQL finds the same on a sample."""
    from rag_bench.tiers.retrieval.retrieval import agreement_with_production

    bench = benchmark.open(database.engine, None)
    if bench.retriever.search != "dense_exact" or bench.retriever.reranker:
        return dg.AssetCheckResult(passed=True, description="the search is not the exact one")
    agree, compared = agreement_with_production(bench, _SAMPLE)
    return dg.AssetCheckResult(
        passed=0 < compared == agree, description=f"{agree} of {compared} questions agree"
    )


def build(model_runs: dg.AssetsDefinition, models: ModelLists) -> list[dg.AssetChecksDefinition]:
    """Return all checks that are steps of their own."""

    @asset_check(asset=model_runs, name="every_cell_is_measured")
    def every_cell_is_measured(
        database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.AssetCheckResult:
        """Which configured models have no result under the current settings, and so are missing
        from the leaderboard. The UI's own staleness does not see partitions.
        """
        from rag_bench.store import evaluations

        bench = benchmark.open(database.engine, None)
        rows = evaluations.measured_triples(database.engine, bench.run.hash)
        measured = {(row.generation_model, row.benchmark_judge_model) for row in rows}
        answering = [step.tier for step in registry.answering()]
        missing = [
            f"{generator} by {judge}"
            for generator in models.generation
            if not all(why_nothing(generator, tier, bench.dataset.kind) for tier in answering)
            for judge in models.benchmark_judges
            if (generator, judge) not in measured
        ]
        missing += [
            judge
            for judge in models.production_judges
            if judge not in {row.production_judge_model for row in rows}
        ]
        return dg.AssetCheckResult(
            passed=not missing,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{len(missing)} configured cells are not measured under settings "
                f"{bench.run.hash[:12]} (dataset {bench.public_dataset.name}, "
                f"limit {bench.run.limit})"
            ),
            metadata={"missing": dg.MetadataValue.json(missing[:_SAMPLE])},
        )

    @asset_check(asset=model_runs, name="judges_are_examined_alike")
    def judges_are_examined_alike(
        database: DatabaseResource, benchmark: BenchmarkResource
    ) -> dg.AssetCheckResult:
        """Numbers that stand side by side were made with the same instrument: the same labelled
        pairs, the same sample of triples, the same prompts and language of RAGAS.
        """
        from rag_bench.store import evaluations

        bench = benchmark.open(database.engine, None)
        found = evaluations.joined(database.engine, bench.run.hash)
        instruments = registry.instruments()
        if not any(
            (one.tier, one.kind) in measured for one in found for measured in instruments.values()
        ):
            return nothing_to_check()
        unlike = evaluations.different_instruments(database.engine, bench.run.hash, instruments)
        said = "; ".join(f"{what}: {', '.join(models)}" for what, models in unlike.items())
        return dg.AssetCheckResult(
            passed=not unlike,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"Measured with something older than the newest, so not comparable: {said}. "
                "Materialize them again; what is in the ledger costs nothing."
                if unlike
                else "All were measured with the same instruments."
            ),
        )

    return [
        judges_are_examined_alike,
        every_chunk_is_embedded,
        every_question_is_embedded,
        enough_labelled_pairs,
        relevant_chunks_exist,
        measures_are_within_their_scale,
        search_agrees_with_pgvector,
        every_cell_is_measured,
    ]
