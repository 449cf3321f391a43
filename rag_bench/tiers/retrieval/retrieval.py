"""Tier 0 (geometry of the embedding space) and tier 1 (retrieval): no language model is asked.

Tier 1 asks a service where the retriever has a reranker that is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.evaluation.catalogue import spec
from rag_bench.evaluation.metrics.context_ids import NAMES, id_based_context
from rag_bench.evaluation.metrics.geometry import geometry_metrics
from rag_bench.evaluation.metrics.retrieval import (
    RetrievalCase,
    aggregate_retrieval,
    score_retrieval,
)
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric
from rag_bench.retrievers import HttpReranker
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import (
    Declared,
    Measured,
    Task,
    Work,
    n_retryable,
)
from rag_bench.tiers.retrieval import reranking
from rag_bench.tiers.retrieval.searchers import (
    SEARCHERS,
    search_as_production,
    search_here,
)

if TYPE_CHECKING:
    from rag_bench.retrieval.search import TopK
    from rag_bench.tiers.base.models import Models

SCORE_TOLERANCE = 1e-4
#: A twin of the relevant chunk was found before it, and counted as it.
TWIN_COUNTED = "twin_counted"

Ranking = list[tuple[str, float]]
"""Chunk hashes with their scores, best first: cosine similarities, unless the retriever has
scores of another kind."""


class NotRetrievedError(RagBenchError):
    """Tier 1 was not run under these settings; the message says what to materialize."""


@dataclass(frozen=True)
class Retrieved:
    """What tier 1 found for each item; ``evaluation`` is the id of its record, None in a plan.

    ``failed``: items that have no ranking, as their candidates could not be reranked.
    """

    rankings: Mapping[str, Ranking]
    evaluation: int | None = None
    failed: Mapping[str, CaseError] = field(default_factory=dict)


def geometry_tasks(
    bench: Bench, models: Models | None, step: Declared, keys: Sequence[None]
) -> Sequence[Task[None]]:
    """Return the task of tier 0: how the dataset's questions lie in the embedding space."""
    return [_task(step, partial(_geometry, bench))]


def retrieval_tasks(
    bench: Bench, models: Models | None, step: Declared, keys: Sequence[None]
) -> Sequence[Task[None]]:
    """Return the task of tier 1: all questions searched in one pass, and measured.

    The result keeps each question's ranked chunks; tier 3 answers from them.
    """
    spec = bench.retriever.reranks
    if not isinstance(spec, HttpReranker):
        return [_task(step, partial(_retrieval, bench), _columns(bench))]
    assert models is not None, "a service is asked"
    service = reranking.open_service(spec, models)
    return [
        Task(
            None,
            step.tier,
            step.kind,
            # What its provider's variables change in requests is in no setting.
            (
                *(step.kind, step.tier, step.version, service.content()),
                *models.revised(service.model_key),
            ),
            step.version,
            lambda: replace(
                reranking.service_work(bench, models, service, partial(_measured, bench)),
                rehearse=_rehearse,
            ),
            asked=service.model_key,
            inputs=models.revision_inputs(service.model_key),
            columns=_columns(bench),
        )
    ]


def _rehearse() -> None:
    """Measure one ranking, so that what does it is imported before jobs run."""
    case = RetrievalCase("", [("chunk", "page")], ["chunk"], ["page"])
    aggregate_retrieval([case], score_retrieval([case]))
    id_based_context(["chunk"], ["chunk"])


def _columns(bench: Bench) -> Mapping[str, Any]:
    """Return what the record of a retrieval has otherwise than those of the run's other steps."""
    return {"embedding_model": bench.searched.identity.name}


def _task(
    step: Declared, measure: Callable[[], Measured], columns: Mapping[str, Any] | None = None
) -> Task[None]:
    return Task(
        None,
        step.tier,
        step.kind,
        (step.kind, step.tier, step.version),
        step.version,
        lambda: Work([], lambda _: measure()),
        columns=columns or {},
    )


def _geometry(bench: Bench) -> Measured:
    bench.embed(_question_texts(bench), "encoding questions")
    vectors = bench.vectors(_question_texts(bench))
    n = len(bench.items)
    return Measured(geometry_metrics(vectors, n_expected=n), [], n_scored=n)


def _retrieval(bench: Bench) -> Measured:
    return _measured(bench, *reranking.found_here(bench))


def _measured(bench: Bench, found: TopK, failed: Mapping[int, CaseError]) -> Measured:
    """Measure what was found; ``failed``: the questions without a ranking, by place, and why."""
    ranked = rankings_of(bench, found)
    errors = {bench.items[place].item_id: error for place, error in failed.items()}
    page_of = {chunk.chunk_hash: chunk.page_url for chunk in bench.chunks}
    as_judged: list[Ranking] = []
    for item, ranking in zip(bench.items, ranked, strict=True):
        chunks = bench.twins.as_judged([h for h, _ in ranking], item.chunk_hashes)
        as_judged.append([(h, score) for h, (_, score) in zip(chunks, ranking, strict=True)])
    cases = [
        RetrievalCase(
            item.item_id,
            None
            if item.item_id in errors
            else [(chunk_hash, page_of[chunk_hash]) for chunk_hash, _ in ranking],
            # A relevant chunk that the corpus lacks stays in: no search can find it.
            item.chunk_hashes,
            item.page_urls,
            cluster=item.cluster,
        )
        for item, ranking in zip(bench.items, as_judged, strict=True)
    ]
    scores = score_retrieval(cases, top_k=bench.run.top_k)
    # No chunk should be found for a question out of scope: it is no miss, and not expected.
    apart = {item.item_id for item in bench.items if item.out_of_scope}
    judged = [case for case in cases if case.case_id not in apart]
    metrics = aggregate_retrieval(judged, scores, top_k=bench.run.top_k)
    for item, ranking in zip(bench.items, as_judged, strict=True):
        given = contexts_given(bench, ranking)
        ids = id_based_context(given, item.chunk_hashes)
        scores[item.item_id] |= dict.fromkeys(ids) if item.item_id in errors else ids
    for name in NAMES:
        values = [scores[case.case_id][name] for case in judged]
        clusters = [case.cluster_label for case in judged]
        metrics[name] = mean_metric(values, clusters, scale=spec(name).scale)
    metrics |= _recall_of_search(bench, found)
    stored = [
        Case(
            item.item_id,
            error_code=errors[item.item_id].code,
            error_detail=errors[item.item_id].detail,
        )
        if item.item_id in errors
        else Case(
            item.item_id,
            retrieved=[{"chunk_hash": h, "page_url": page_of[h], "score": s} for h, s in ranking],
            scores=scores[item.item_id],
            flags=[TWIN_COUNTED] if ranking != judged_as else [],
        )
        for item, ranking, judged_as in zip(bench.items, ranked, as_judged, strict=True)
    ]
    twins = {"twins": _twins_met(bench, ranked, as_judged)}
    return Measured(
        metrics,
        stored,
        n_scored=len(stored) - len(errors),
        n_retryable=n_retryable(errors.values()),
        inputs=twins,
    )


def rankings_of(bench: Bench, found: TopK) -> list[Ranking]:
    """Return each question's ranked chunks of what was found by places among the bench's chunks."""
    return [
        [
            (bench.chunks[int(place)].chunk_hash, float(score))
            for place, score in zip(row, scores, strict=True)
            if place >= 0
        ]
        for row, scores in zip(found.indices, found.scores, strict=True)
    ]


def _recall_of_search(bench: Bench, found: TopK) -> dict[str, Metric]:
    """Return which share a search that may miss chunks found of the exact ones.

    Of a search alone: what a fusion or a reranker makes of it is measured by all other metrics.
    """
    retriever = bench.retriever
    if retriever.reranker or retriever.search == "hybrid" or SEARCHERS[retriever.search].is_exact:
        return {}
    from rag_bench.retrieval.pgvector_search import recall_against_exact

    recall = recall_against_exact(found, search_here(bench, bench.run.top_k))
    n = len(bench.items)
    return {f"{bench.run.search}_recall@{bench.run.top_k}": Metric(recall, n, n, scale=(0.0, 1.0))}


def _twins_met(
    bench: Bench, ranked: Sequence[Ranking], as_judged: Sequence[Ranking]
) -> dict[str, int]:
    """Return how many chunks share their text, and how many questions that touches."""
    twins = bench.twins
    contexts = [[twins.same(h) for h in contexts_given(bench, ranking)] for ranking in ranked]
    return {
        "chunks": twins.n_chunks,
        "texts": twins.n_texts,
        "questions": sum(twins.touch(item.chunk_hashes) for item in bench.items),
        "counted": sum(a != b for a, b in zip(ranked, as_judged, strict=True)),
        "contexts_repeated": sum(len(set(found)) < len(found) for found in contexts),
    }


def contexts_given(bench: Bench, ranking: Ranking) -> list[str]:
    """Return the chunks that tier 3 gives to a generator: the first few, if near enough."""
    least = bench.run.retrieval_threshold
    first = ranking[: bench.run.contexts_per_answer]
    return [h for h, score in first if least is None or score >= least]


def agreement_with_production(bench: Bench, n_questions: int) -> tuple[int, int]:
    """Compare the stored ranking with pgvector's own exact one on the first questions.

    Returns how many questions agree, and how many were compared. Equal scores may be in either
    order, so scores are compared, not ids.
    """
    stored = retrieved(bench).rankings
    found = search_as_production(bench, bench.run.top_k, "exact", n_questions)
    agree = 0
    for item, scores in zip(bench.items, found.scores, strict=False):
        ours = [score for _, score in stored[item.item_id]]
        agree += all(
            abs(a - float(b)) <= SCORE_TOLERANCE for a, b in zip(ours, scores, strict=True)
        )
    return agree, len(found.scores)


def stored_retrieval(bench: Bench) -> StoredEvaluation:
    """Return the evaluation of tier 1 under exactly these settings.

    Raises:
        NotRetrievedError: it was not run.
    """
    found = evaluations.latest(bench.engine, tier="1", kind="metrics", settings_hash=bench.run.hash)
    if found is None:
        other = evaluations.settings_seen(bench.engine, tier="1", kind="metrics")
        hint = f" The newest has {bench.run.differences(other[0][1])}." if other else ""
        raise NotRetrievedError(
            "There is no retrieval under these settings: materialize tier1_retrieval with the "
            f"same run config first.{hint}"
        )
    return found


def retrieved(bench: Bench) -> Retrieved:
    """Return what tier 1 found for each item; raises as `stored_retrieval`."""
    found = stored_retrieval(bench)
    rankings, failed = {}, {}
    for case in evaluations.cases_of(bench.engine, found.id):
        if case.error_code is not None:
            failed[case.case_id] = CaseError(ErrorCode(case.error_code), case.error_detail or "")
        else:
            rows = case.retrieved or []
            rankings[case.case_id] = [(row["chunk_hash"], row["score"]) for row in rows]
    return Retrieved(rankings, found.id, failed)


def _question_texts(bench: Bench) -> list[str]:
    return [bench.encoder_identity.query_text(item.question) for item in bench.items]
