"""The source analytics: chunk utilization, topic coverage, the users' domain. No model is asked.

Each is stored as an evaluation under a settings hash of its own (what was asked, the corpus, the
encoder, its settings), so that it never enters ``model_runs``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.analytics.traffic_sample import MASKING
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.metrics.source_analytics import DOMAIN, TOPICS, UTILIZATION
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.types import Metric
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.store.evaluations.finding import newest_of_tier
from rag_bench.tiers.traffic.analysis import Analysis, Found, Questions
from rag_bench.tiers.traffic.topics import known_topics

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.analytics.clusters import Reduction
    from rag_bench.analytics.topic_changes import TopicChanges


QuestionsSource = Literal["synthetic", "real"]

# Of utilization: it tells of months since.
MONTHS_VERSION = "4"
# Of what keeps words of questions: what was masked by earlier rules is made anew. Domain tells of
# months since, topics take questions into known ones.
DOMAIN_VERSION = TOPICS_VERSION = f"5, masked {MASKING}"
_START_OF_TEXT = 160  # characters


@dataclass(frozen=True)
class UtilizationConfig:
    """``dataset``: of synthetic questions, by id or name; None: the newest about the snapshot."""

    questions_source: QuestionsSource = "real"
    question_limit: int | None = 500
    top_k: int = 10
    dataset: str | None = None


@dataclass(frozen=True)
class TopicsConfig:
    """``show_samples``: keep a few masked questions of each topic. ``refit``: make a new
    generation of topics of these questions, instead of putting them into the known ones.
    """

    question_limit: int | None = 2000
    n_topics: int = 20
    top_k: int = 5
    reduction: Reduction = "pca"
    show_samples: bool = True
    refit: bool = False


@dataclass(frozen=True)
class DomainConfig:
    """``limit``: questions looked at, a random sample of them."""

    limit: int | None = 5000


def chunk_utilization(analysis: Analysis, config: UtilizationConfig) -> StoredEvaluation:
    """Measure which chunks the questions find. One case per chunk holds its counts."""
    _at_least_one(top_k=config.top_k, question_limit=config.question_limit)
    questions = (
        analysis.real_questions(config.question_limit)
        if config.questions_source == "real"
        else analysis.synthetic_questions(config.question_limit, config.dataset)
    )

    def measure() -> Found:
        from rag_bench.analytics.months import by_month
        from rag_bench.analytics.utilization import Source, utilization

        found = analysis.search(analysis.question_vectors(questions.asked), config.top_k)
        use = utilization(
            [Source(chunk.chunk_hash, chunk.page_url) for chunk in analysis.chunks],
            found.indices,
            found.scores[:, 0],
            [question.cluster for question in questions.asked],
            top_k=config.top_k,
        )
        result = {
            **use.as_json(),
            "questions_source": config.questions_source,
            "by_month": by_month(questions.asked, found.indices, found.scores[:, 0]),
        }
        cases = [
            Case(chunk.chunk_hash, scores={"retrieved": chunk.n_retrieved, "first": chunk.n_first})
            for chunk in use.uses
        ]
        return use.metrics, result, cases

    settings = {
        "questions_source": config.questions_source,
        "question_limit": _limit(questions, config.question_limit),
        "top_k": config.top_k,
    }
    return analysis.once(UTILIZATION, questions, settings, measure, version=MONTHS_VERSION)


def topic_coverage(analysis: Analysis, config: TopicsConfig) -> StoredEvaluation:
    """Put users' questions into topics. One case per topic holds it, with the ids of its questions.

    The topics are those that are known (see `tiers.traffic.topics`), so that they can be compared
    with those of other dumps; what became of them is in the result's ``changes`` (since they were
    made) and ``generation_changes`` (by the newest generation).
    """
    _at_least_one(
        top_k=config.top_k, n_topics=config.n_topics, question_limit=config.question_limit
    )
    questions = analysis.real_questions(config.question_limit)
    known = known_topics(
        analysis,
        questions,
        n_topics=config.n_topics,
        reduction=config.reduction,
        refit=config.refit,
    )

    def measure() -> Found:
        from rag_bench.analytics import topic_changes, topic_model
        from rag_bench.analytics.text import content_words
        from rag_bench.analytics.topics import describe_topics

        vectors = analysis.question_vectors(questions.asked)
        texts = [question.text for question in questions.asked]
        whose = [question.cluster for question in questions.asked]
        public_names = analysis.public_names
        found = analysis.search(vectors, config.top_k)
        placed = topic_model.assign(known.model, texts, vectors)
        clusters, topics = topic_model.as_clusters(known.model, placed)
        coverage = describe_topics(
            questions.asked,
            clusters,
            found.indices,
            found.scores[:, 0],
            [chunk.page_url for chunk in analysis.chunks],
            top_k=config.top_k,
            show_samples=config.show_samples,
            scale=questions.scale,
            public_names=public_names,
        )
        words = content_words(texts, public_names)
        since = topic_changes.since_made(known.model, texts, words, whose, placed)
        by_generation = None
        if known.parent is not None:
            before = topic_model.assign(known.parent, texts, vectors)
            by_generation = topic_changes.between_generations(
                known.parent, known.model, before, placed, whose
            )
        result = {
            "n_topics": len(coverage.topics),
            "total_questions": coverage.total_questions,
            "avg_chunks_per_topic": coverage.metrics["avg_chunks_per_topic"].value,
            "silhouette": coverage.metrics["silhouette"].value,
            "top_k": config.top_k,
            "reduction": config.reduction,
            "topic_model": known.model.id,
            "generation": known.model.generation,
            "changes": since.as_json(),
            "generation_changes": by_generation.as_json() if by_generation else None,
        }
        made_of = sum(topic.n_questions for topic in known.model.topics)
        cases = [
            # Padded, so that the store's order is the topics' own.
            Case(
                f"{topic.topic_id:04}",
                retrieved=list(topic.question_ids),
                scores=topic.as_json()
                | {
                    "topic_key": its.key,
                    "born_in_generation": its.born,
                    "share": settled(topic.question_count / coverage.total_questions),
                    "share_when_made": settled(its.n_questions / made_of),
                },
                flags=list(topic.gaps),
            )
            for topic, its in zip(coverage.topics, topics, strict=True)
        ]
        return (
            coverage.metrics | change_metrics(since, by_generation, len(known.model.topics)),
            result,
            cases,
        )

    settings = asdict(config) | {"question_limit": _limit(questions, config.question_limit)}
    del settings["refit"]
    settings["topic_model"] = known.model.id
    return analysis.once(TOPICS, questions, settings, measure, version=TOPICS_VERSION)


def change_metrics(
    since: TopicChanges, by_generation: TopicChanges | None, n_topics: int
) -> dict[str, Metric]:
    """Return what became of ``n_topics`` topics as metrics."""
    from rag_bench.analytics.topic_changes import TopicChanges

    found = {
        f"n_{what}_topics": Metric(len(records), n_topics, n_topics)
        for what, records in (("born", since.born), ("died", since.died), ("split", since.split))
    }
    found["outside_topics_rate"] = since.outside
    # Of a first generation there is nothing to compare with: no value, which is not 0.
    found["changed_topic_rate"] = (by_generation or TopicChanges()).moved
    return found


def domain_insights(analysis: Analysis, config: DomainConfig) -> StoredEvaluation:
    """Describe how users write and what they got."""
    _at_least_one(limit=config.limit)
    questions = analysis.real_questions(config.limit)

    def measure() -> Found:
        from rag_bench.analytics.domain import domain
        from rag_bench.analytics.months import by_month

        found = domain(questions.asked, questions.scale, analysis.public_names)
        return found.metrics, {**found.result, "by_month": by_month(questions.asked)}, []

    # Which words are counted depends on the names that the chunks make public.
    settings = {
        "limit": _limit(questions, config.limit),
        "public_names": analysis.snapshot.corpus_hash,
    }
    return analysis.once(
        DOMAIN, questions, settings, measure, searches=False, version=DOMAIN_VERSION
    )


def as_json(analysis: Analysis, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return an analysis whole, for a file: the seeds' fields, details, metrics with intervals."""
    result = dict(evaluation.inputs["result"])
    if evaluation.tier == UTILIZATION:
        result |= chunk_lists(analysis, evaluation)
    elif evaluation.tier == TOPICS:
        cases = evaluations.cases_of(analysis.engine, evaluation.id)
        result["topic_coverage"] = [dict(case.scores) for case in cases]
    return {
        **result,
        "metrics": dict(evaluation.metrics),
        "evaluation_id": evaluation.id,
        "snapshot": analysis.snapshot.sha256,
    }


def chunk_lists(analysis: Analysis, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return the chunks of a stored utilization: used by hash, counted, and those never found."""
    chunk_of = {chunk.chunk_hash: chunk for chunk in analysis.chunks}
    cases = evaluations.cases_of(analysis.engine, evaluation.id)
    counts = {case.case_id: (case.scores["retrieved"], case.scores["first"]) for case in cases}
    ordered = sorted(counts, key=lambda h: (-counts[h][0], -counts[h][1], h))
    used = [h for h in ordered if counts[h][0]]
    unused = [chunk_of[h] for h in ordered if not counts[h][0]]
    unused.sort(key=lambda chunk: (chunk.page_url, chunk.position))
    return {
        "used_chunk_ids": sorted(used),
        "retrieval_counts": [
            {
                "chunk_hash": h,
                "page_url": chunk_of[h].page_url,
                "retrieved": counts[h][0],
                "first": counts[h][1],
            }
            for h in used
        ],
        "unused_chunk_list": [
            {
                "chunk_hash": chunk.chunk_hash,
                "page_url": chunk.page_url,
                "source_id": chunk.source_id,
                "text": " ".join(chunk.text.split())[:_START_OF_TEXT],
            }
            for chunk in unused
        ],
    }


def newest(engine: Engine, tier: str) -> StoredEvaluation | None:
    """Return the newest evaluation of an analysis, whatever its settings; None before the first."""
    return newest_of_tier(engine, tier)


def _limit(questions: Questions, limit: int | None) -> int | None:
    """Return the limit as it is hashed: one that leaves nothing out is none."""
    population = questions.population
    return limit if population.n_sampled < population.n_all - population.n_blank else None


def _at_least_one(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise RagBenchError(f"{name} must be at least 1, not {number}.")
