"""The stage of tier 1 in which a reranker puts a question's candidates in a new order.

A reranker of this machine scores all questions before they are measured. A service is asked by one
job per question, as chat models are: through the ledger, limits, prices, budget and plan. A
question whose scores did not come has no ranking: its first order never takes their place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError
from rag_bench.retrievers import HttpReranker
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Job, Measured, Work, n_retryable
from rag_bench.tiers.retrieval.searchers import candidates

if TYPE_CHECKING:
    from rag_bench.llm.tasks.reranking import RerankService
    from rag_bench.retrieval.rerankers.local import LocalReranker
    from rag_bench.retrieval.rerankers.pairs import Candidates, ScoreCache
    from rag_bench.retrieval.search import TopK
    from rag_bench.tiers.base.models import Models

Measure = Callable[["TopK", Mapping[int, CaseError]], Measured]
"""Measures what was found, and which questions, by their place, have no ranking and why."""


def asks_service(bench: Bench, keys: Sequence[Any]) -> bool:
    """Whether the run's retriever has a reranker that is a service."""
    return isinstance(bench.retriever.reranks, HttpReranker)


def open_service(spec: HttpReranker, models: Models) -> RerankService:
    """Return a reranker that is a service; the models know its provider from then on.

    Raises:
        ConfigurationError: its key is not set, or its address cannot be meant.
    """
    from rag_bench.llm.tasks.reranking import rerank_service

    service = rerank_service(
        models.providers,
        os.environ,
        name=spec.provider,
        url=spec.url,
        model=spec.model,
        api_key_variable=spec.api_key_variable,
        passages_field=spec.passages_field,
    )
    models.add_service(service.provider)
    return service


def open_here(bench: Bench) -> LocalReranker | None:
    """Return the reranker of the bench's retriever; None: it has none, or a service's."""
    spec = bench.retriever.reranks
    if spec is None or isinstance(spec, HttpReranker):
        return None
    from rag_bench.retrieval.rerankers.opening import open_local

    return open_local(spec, bench.engine, bench.settings, bench.loaded_encoder)


def found_here(bench: Bench) -> tuple[TopK, Mapping[int, CaseError]]:
    """Return the run's ``top_k`` chunks of each question, reranked on this machine where the
    retriever says so, and which questions have none for want of scores.
    """
    from rag_bench.retrieval.rerankers.pairs import failures, reordered

    found = candidates(bench)
    reranker = open_here(bench)
    if reranker is None:
        return found, {}
    asked = _candidates(bench, found)
    scores = reranker.rerank(
        asked.questions,
        asked.places,
        asked.passages,
        lambda done, total: bench.progress("reranking", done, total),
    )
    return reordered(asked, scores, bench.run.top_k), failures(scores)


def service_work(bench: Bench, models: Models, service: RerankService, measure: Measure) -> Work:
    """Return a job per question that asks a service for the scores that are not stored yet."""
    from rag_bench.hashing import content_hash
    from rag_bench.retrieval.rerankers.pairs import ScoreCache, Scores, failures, reordered

    spec = bench.retriever.reranks
    assert isinstance(spec, HttpReranker)
    asked = _candidates(bench, candidates(bench))
    # Scores of the model that was behind this name before are no scores of this one.
    revised = models.revised(service.model_key)
    content = {**service.content(), **revised[0]} if revised else service.content()
    cache = ScoreCache(bench.engine, content_hash(content), asked)
    jobs: list[Job] = [
        partial(_ask, bench, models, service, spec.passages_per_call, asked, cache, place)
        for place in range(len(asked.questions))
    ]

    def finish(results: list[Any]) -> Measured:
        for place, result in enumerate(results):
            if not isinstance(result, CaseError):
                cache.add(place, result)
        cache.save()
        scores: list[Scores] = [
            result if isinstance(result, CaseError) else cache.scores(place)
            for place, result in enumerate(results)
        ]
        measured = measure(reordered(asked, scores, bench.run.top_k), failures(scores))
        assert measured.n_retryable == n_retryable(results)
        return measured

    return Work(jobs, finish)


async def _ask(
    bench: Bench,
    models: Models,
    service: RerankService,
    per_call: int,
    asked: Candidates,
    cache: ScoreCache,
    place: int,
) -> list[tuple[int, float]]:
    """Return the missing scores of one question's candidates, by their places."""
    from rag_bench.llm.tasks.reranking import ROLE, ask_scores

    missing = cache.missing(place)
    parts = [missing[start : start + per_call] for start in range(0, len(missing), per_call)]
    question = asked.questions[place]
    found: list[tuple[int, float]] = []
    unsent: CaseError | None = None
    async with models.chat_models.case(
        ROLE,
        bench.items[place].item_id,
        "reranking",
        retry_failed=bench.retry_failed,
        run_id=bench.run_id,
    ):
        for part in parts:
            texts = [asked.passages[n] for n in part]
            try:
                scores = await ask_scores(models.chat_models, service, question, texts)
            except CaseError as error:
                if models.sends:
                    raise
                unsent = error  # a plan goes on: it counts all parts
            else:
                found += zip(part, scores, strict=True)
    if unsent is not None:
        raise unsent
    return found


def _candidates(bench: Bench, found: TopK) -> Candidates:
    from rag_bench.retrieval.rerankers.pairs import Candidates

    questions = [item.question for item in bench.items]
    return Candidates.of(found, questions, [chunk.text for chunk in bench.chunks])
