"""Opening a bench: what a run is to measure, resolved against the store and the settings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from rag_bench import progress
from rag_bench.benchmark_fields import BenchmarkFields
from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.tiers.base import run_retriever
from rag_bench.tiers.base.asked_rubrics import MEASURED_PROMPTS
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.pairs import pairs_of
from rag_bench.tiers.base.run_settings import RunSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings
    from rag_bench.store.datasets import DatasetInfo
    from rag_bench.store.snapshots import SnapshotInfo


def open_bench(
    engine: Engine,
    settings: Settings,
    fields: BenchmarkFields,
    snapshot: SnapshotInfo,
    dataset: DatasetInfo,
    *,
    run_id: str | None = None,
    reopen: Callable[[str], Bench] | None = None,
    encodes: bool = True,
    only: Collection[str] | None = None,
    replicate: int = 0,
    corner: bool = False,
) -> Bench:
    """Return the bench of what a run measures on a dataset and a snapshot.

    ``fields``: what is measured; which dataset they name, and of which kind, is decided before.
    ``run_id``, ``reopen``: as of `Bench`. ``encodes``: False where nothing that is measured is
    made of vectors: then no encoder has to be there. ``only``: ids of the questions that are
    measured; ``replicate``, ``corner``: as of `RunSettings`.

    Raises:
        RagBenchError: no such retriever, an impossible number, or no questions in the dataset.
    """
    from rag_bench.llm.tasks import prompts
    from rag_bench.retrieval.identity import encoder_identity

    if dataset.kind == "show_hide":
        raise RagBenchError(
            f"{dataset} holds labelled pairs for the production judge, not questions."
        )
    for name in ("limit", "top_k", "contexts_per_answer", "consistency_runs"):
        value = getattr(fields, name)
        if value is not None and value < 1:
            raise RagBenchError(f"{name} must be at least 1, not {value}.")
    retriever = run_retriever.chosen(settings, fields.retriever, fields.search or None)
    top_k = run_retriever.resolved_top_k(settings, retriever, fields.top_k)
    contexts = fields.contexts_per_answer or min(settings.contexts_per_answer, top_k)
    if contexts > top_k:
        raise RagBenchError(
            f"contexts_per_answer is {contexts}, but only {top_k} chunks are retrieved (top_k)."
        )
    threshold = (
        settings.cache_threshold if fields.cache_threshold is None else fields.cache_threshold
    )
    if not -1 <= threshold <= 1:
        raise RagBenchError(f"cache_threshold is a cosine, from -1 to 1, not {threshold}.")
    own = pairs_of(engine, snapshot) if snapshot.sha256 else None
    pairs = pairs_of(engine, snapshot, fields.pairs) if fields.pairs else own
    # A limit that leaves nothing out is none.
    most = max(dataset.n_items, pairs.n_items if pairs else 0)
    run = RunSettings(
        dataset_id=dataset.id,
        limit=fields.limit if fields.limit and fields.limit < most else None,
        top_k=top_k,
        search=run_retriever.search_word(retriever),
        contexts_per_answer=contexts,
        retrieval_threshold=run_retriever.resolved_threshold(settings, retriever),
        consistency_runs=fields.consistency_runs,
        judge_eval_mode=fields.judge_eval_mode,
        tier3_all_rubrics=fields.tier3_all_rubrics,
        cached_answers=fields.cached_answers,
        cache_threshold=threshold,
        corpus_hash=snapshot.corpus_hash,
        encoder=encoder_identity(settings).key if encodes else "",
        prompt_hash=prompts.prompt_hash(MEASURED_PROMPTS),
        pairs=pairs.id if pairs and pairs != own else None,
        retriever=run_retriever.hashed_content(settings, retriever),
        retriever_name=retriever.name,
        replicate=replicate,
        only=None if only is None else content_hash(sorted(only)),
        corner=corner,
    )
    made = Bench(
        engine,
        settings,
        run,
        dataset,
        snapshot,
        retriever,
        run_id=run_id,
        retry_failed=fields.retry_failed,
        progress=progress.report,
        reopen=reopen,
    )
    if only is not None:
        chosen = set(only)
        made.__dict__["items"] = [item for item in made.items if item.item_id in chosen]
    return made
