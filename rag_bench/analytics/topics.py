"""What each topic of users' questions gets: chunks, answers, ratings; and where the gaps are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag_bench.analytics.clusters import Clusters
from rag_bench.analytics.text import sample_text
from rag_bench.analytics.traffic import Asked
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.traffic.ratings import FIVE, RatingScale
from rag_bench.evaluation.types import Metric
from rag_bench.privacy.public_names import NOBODY, PublicNames

# A topic is a gap only with some traffic, and only if it is clearly and not by chance below.
LEAST_QUESTIONS = 10
ANSWERED_MARGIN = 0.1
LOW_QUARTILE = 0.25

_SAMPLES = 5


@dataclass(frozen=True)
class Topic:
    """One topic: what is asked, what is found for it, what users got and thought of it.

    ``unique_chunks``, ``unique_urls``: among the first k of all its questions. ``gaps``: why it
    looks uncovered; empty where it does not.
    """

    topic_id: int
    name: str
    question_count: int
    unique_chunks: int
    unique_urls: int
    with_answers: Metric
    best_similarity: Metric
    satisfied: Metric
    mean_score: Metric
    silhouette: float | None
    sample_questions: Sequence[str]
    keywords: Sequence[str]
    question_ids: Sequence[str]
    gaps: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the topic without the ids of its questions."""
        return {
            "topic_id": self.topic_id,
            "name": self.name,
            "keywords": list(self.keywords),
            "question_count": self.question_count,
            "unique_chunks": self.unique_chunks,
            "unique_urls": self.unique_urls,
            **{name: metric.value for name, metric in self.metrics.items()},
            "silhouette": self.silhouette,
            "gaps": list(self.gaps),
            "sample_questions": list(self.sample_questions),
            # The same numbers with intervals and with what they rest on.
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
        }

    @property
    def metrics(self) -> dict[str, Metric]:
        """The topic's measures by name."""
        return {
            "with_answers_rate": self.with_answers,
            "mean_best_similarity": self.best_similarity,
            "satisfied_rate": self.satisfied,
            "mean_score": self.mean_score,
        }


@dataclass(frozen=True)
class TopicCoverage:
    """All topics, the largest first, and metrics over them."""

    topics: Sequence[Topic]
    top_k: int
    total_questions: int
    metrics: dict[str, Metric] = field(default_factory=dict)


def describe_topics(
    questions: Sequence[Asked],
    clusters: Clusters,
    found: np.ndarray,
    best_scores: np.ndarray,
    pages: Sequence[str],
    *,
    top_k: int,
    show_samples: bool = True,
    scale: RatingScale = FIVE,
    public_names: PublicNames = NOBODY,
) -> TopicCoverage:
    """Say of every topic what retrieval finds for it and what users got.

    Args:
        questions: n of them, as clustered.
        clusters: their topics.
        found: int, shape (n, min(top_k, chunks)): positions of the found chunks.
        best_scores: shape (n,): cosine similarity of each question's first chunk.
        pages: the page of each chunk.
        top_k: the k that was asked for.
        scale: of the users' ratings.
        show_samples: keep up to five questions per topic, those nearest to its centre, masked.
        public_names: these are not masked.
    """
    overall_answered = _answered(questions)
    best = [float(score) for score in best_scores]
    overall_best = mean_metric(best, [q.cluster for q in questions], scale=(-1.0, 1.0))
    low_similarity = settled(float(np.quantile(best_scores, LOW_QUARTILE)))
    topics = []
    for number in range(len(clusters.keywords)):
        members = np.flatnonzero(clusters.labels == number).tolist()
        asked = [questions[i] for i in members]
        rated = [question for question in asked if question.score is not None]
        raters = [question.cluster for question in rated]
        chunks = np.unique(found[members]).tolist()
        answered = _answered(asked)
        similar = mean_metric(
            [best[i] for i in members], [q.cluster for q in asked], scale=(-1.0, 1.0)
        )
        gaps = _gaps(answered, overall_answered, similar, overall_best, low_similarity)
        topics.append(
            Topic(
                topic_id=number,
                name=clusters.name(number),
                question_count=len(asked),
                unique_chunks=len(chunks),
                unique_urls=len({pages[i] for i in chunks}),
                with_answers=answered,
                best_similarity=similar,
                satisfied=rate_metric([scale.satisfied(q.score) for q in rated], clusters=raters),
                mean_score=mean_metric(
                    [q.score if scale.known else None for q in rated], raters, scale=scale.ends
                ),
                silhouette=clusters.by_topic[number],
                sample_questions=_samples(asked, clusters.distances[members], public_names)
                if show_samples
                else (),
                keywords=clusters.keywords[number],
                question_ids=[question.id for question in asked],
                gaps=gaps,
            )
        )
    n, n_topics = len(questions), len(topics)
    in_gaps = {topic.topic_id for topic in topics if topic.gaps}
    metrics = {
        "silhouette": Metric(
            clusters.silhouette, clusters.n_measured, clusters.n_measured or n, scale=(-1.0, 1.0)
        ),
        "avg_chunks_per_topic": mean_metric(
            [float(t.unique_chunks) for t in topics], range(n_topics)
        ),
        "avg_urls_per_topic": mean_metric([float(t.unique_urls) for t in topics], range(n_topics)),
        "with_answers_rate": overall_answered,
        "mean_best_similarity": overall_best,
        "gap_question_rate": rate_metric(
            [int(label) in in_gaps for label in clusters.labels],
            clusters=[question.cluster for question in questions],
        ),
        "n_topics": Metric(n_topics, n_topics, n_topics),
        "n_gaps": Metric(len(in_gaps), n_topics, n_topics),
        "total_questions": Metric(n, n, n),
    }
    return TopicCoverage(topics, top_k, n, metrics)


def _answered(questions: Sequence[Asked]) -> Metric:
    return rate_metric(
        [question.answered for question in questions],
        clusters=[question.cluster for question in questions],
    )


def _gaps(
    answered: Metric, all_answered: Metric, similar: Metric, all_similar: Metric, low: float
) -> tuple[str, ...]:
    """Return in what a topic falls behind all questions: by a margin, and with its interval.

    The margin of similarity is the lower quartile of all questions, as the scale of cosines is the
    encoder's own (e5's lie between 0.7 and 0.9).
    """
    gaps = []
    if answered.n_scored >= LEAST_QUESTIONS:
        rate, overall = answered.value or 0.0, all_answered.value or 0.0
        if settled(overall - rate) >= ANSWERED_MARGIN and _below(answered, overall):
            gaps.append("low_answered")
        if settled(similar.value or 0.0) <= low and _below(similar, all_similar.value or 0.0):
            gaps.append("low_similarity")
    return tuple(gaps)


def _below(metric: Metric, level: float) -> bool:
    return metric.ci_high is not None and settled(metric.ci_high) < settled(level)


def _samples(asked: Sequence[Asked], distances: np.ndarray, public_names: PublicNames) -> list[str]:
    """Return different questions nearest to the topic's centre, fit to be shown."""
    shown: dict[str, None] = {}
    for i in np.argsort(distances, kind="stable").tolist():
        shown[sample_text(asked[i].text, public_names)] = None
        if len(shown) == _SAMPLES:
            break
    return list(shown)
