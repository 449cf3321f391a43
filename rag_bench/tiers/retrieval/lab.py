"""The retrieval lab: tier 1 by every retriever, and what a query costs. No language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.retrievers.retrieval_costs import WHOLE, cost_metrics
from rag_bench.retrievers import HttpReranker, retrievers
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.store.retrieving.retriever_costs import save_costs
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Blocked, Declared, Planned, Task
from rag_bench.tiers.retrieval.alone import opened
from rag_bench.tiers.retrieval.retrieval import retrieval_tasks
from rag_bench.tiers.retrieval.stopwatch import sample, timed

if TYPE_CHECKING:
    from rag_bench.tiers.base.models import Models

#: How many questions are asked alone, drawn by this seed: p95 has an interval from 72 on.
N_QUERIES, SEED, WARM_UP = 80, 0, 3


def lab_tasks(
    bench: Bench, models: Models | None, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return tier 1's task under each retriever's own settings; ``keys`` are their names.

    Its record is the one that tier 1, run with that retriever, would make or find. A retriever
    that cannot be used here (no such encoder, no key, too few candidates) is blocked, no other.
    """
    return [_planned(bench, models, step, name) for name in keys]


def _planned(bench: Bench, models: Models | None, step: Declared, name: str) -> Planned[str]:
    try:
        return _task(bench.by_retriever(name), models, step, name)
    except RagBenchError as error:
        return Blocked(name, f"{name}: {error}")


def asks_service(bench: Bench, keys: Sequence[str]) -> bool:
    """Whether one of these retrievers has a reranker that is a service."""
    known = retrievers(bench.settings)
    return any(isinstance(known[name].reranks, HttpReranker) for name in keys)


def _task(bench: Bench, models: Models | None, step: Declared, name: str) -> Planned[str]:
    [planned] = retrieval_tasks(bench, models, step, [None])
    # A key is a partition's; tier 1 itself has none.
    given = {field.name: getattr(planned, field.name) for field in fields(planned)}
    return Task[str](**{**given, "key": name, "under": bench})


def measure_costs(bench: Bench, n_queries: int = N_QUERIES) -> StoredEvaluation | None:
    """Ask single queries of the bench's retriever, and keep what they cost on this machine.

    Nothing of it enters a result. None: there is no question, or no chunk, to ask about.
    """
    started = datetime.now(UTC)
    questions = sample([item.question for item in bench.items], n_queries, seed=SEED)
    if not questions or not bench.chunks:
        return None
    with opened(bench) as alone:
        alone.prepare(questions)
        bench.progress(f"queries alone: {bench.retriever.name}", 0, len(questions))
        queries: list[Mapping[str, float | None]] = [
            {**parts} if alone.is_whole else {**parts, WHOLE: None, "reranking": None}
            for parts in timed(alone.ask, questions, warm_up=WARM_UP)
        ]
        metrics = cost_metrics(queries, alone.build_seconds, alone.index_bytes)
    inputs = {
        "retriever": bench.retriever.name,
        "n_queries": len(questions),
        "n_chunks": len(bench.chunks),
        "seed": SEED,
        "warm_up": WARM_UP,
    }
    return save_costs(bench.engine, bench.identity(), metrics, inputs, started)
