"""Analytics of the source: which chunks questions find, what they are about, who asks how.

The formulas are in `rag_bench.analytics`. Their evaluations are no part of a comparison of models.
"""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import COSINE, UNIT, Kind, MetricSpec, entries
from rag_bench.evaluation.types import Scale

UTILIZATION, TOPICS, DOMAIN = "analytics_utilization", "analytics_topics", "analytics_domain"
#: Of the questions that models are measured on: in which topics of users they are.
BENCHMARK = "analytics_benchmark"
TIERS = (UTILIZATION, TOPICS, DOMAIN, BENCHMARK)


def _entry(
    name: str,
    tiers: tuple[str, ...],
    kind: Kind,
    scale: Scale | None,
    formula: str,
    better: bool | None = None,
) -> tuple[MetricSpec, ...]:
    return entries((name,), tiers, kind, scale, better, formula)


METRICS = (
    *_entry(
        "utilization_rate", (UTILIZATION,), "rate", UNIT, "chunks found by a question / all chunks"
    ),
    *_entry(
        "first_place_rate",
        (UTILIZATION,),
        "rate",
        UNIT,
        "share of chunks that are ever the nearest one",
    ),
    *_entry(
        "page_utilization_rate", (UTILIZATION,), "rate", UNIT, "share of pages with a used chunk"
    ),
    *_entry(
        "top_tenth_share",
        (UTILIZATION,),
        "summary",
        UNIT,
        "share of all retrievals on the most used tenth of the chunks",
    ),
    *_entry(
        "mean_best_similarity",
        (UTILIZATION, TOPICS),
        "mean",
        COSINE,
        "mean cosine of question and nearest chunk",
    ),
    *entries(
        ("total_chunks", "used_chunks", "unused_chunks"),
        (UTILIZATION,),
        "count",
        None,
        None,
        "all; found by at least one question; the rest",
    ),
    *_entry("question_count", (UTILIZATION,), "count", None, "questions"),
    *_entry(
        "silhouette",
        (TOPICS,),
        "summary",
        COSINE,
        "mean of (b − a) / max(a, b), a the mean distance to a question's own topic, b to the "
        "nearest other one",
        better=True,
    ),
    *_entry(
        "avg_chunks_per_topic",
        (TOPICS,),
        "mean",
        None,
        "different chunks that a topic's questions find, mean over topics",
    ),
    *_entry("avg_urls_per_topic", (TOPICS,), "mean", None, "likewise pages"),
    *_entry("with_answers_rate", (TOPICS, DOMAIN), "rate", UNIT, "share answered"),
    *_entry(
        "gap_question_rate",
        (TOPICS,),
        "rate",
        UNIT,
        "share of questions in topics with a gap",
        better=False,
    ),
    *entries(("n_topics", "n_gaps"), (TOPICS,), "count", None, None, "topics; those with a gap"),
    *_entry(
        "outside_topics_rate",
        (TOPICS,),
        "rate",
        UNIT,
        "share of questions farther from every topic than 99 % of those that the topics were made "
        "from",
        better=False,
    ),
    *_entry(
        "changed_topic_rate",
        (TOPICS,),
        "rate",
        UNIT,
        "share of questions that the newest generation of topics puts into another topic than the "
        "one before",
    ),
    *entries(
        ("n_born_topics", "n_died_topics", "n_split_topics"),
        (TOPICS,),
        "count",
        None,
        None,
        "topics that were born, died, fell apart since the topics were made",
    ),
    *_entry(
        "covered_traffic_rate",
        (BENCHMARK,),
        "summary",
        UNIT,
        "share of users' questions in topics that have a benchmark question",
        better=True,
    ),
    *_entry(
        "n_uncovered_topics",
        (BENCHMARK,),
        "count",
        None,
        "topics of users without a benchmark question",
    ),
    *_entry("total_questions", (TOPICS, DOMAIN), "count", None, "questions"),
    *_entry("satisfied_rate", (DOMAIN,), "rate", UNIT, "share of satisfied among the rated"),
    *_entry("scored_rate", (DOMAIN,), "rate", UNIT, "share rated"),
    *_entry("avg_question_length", (DOMAIN,), "mean", None, "characters"),
    *_entry("median_question_length", (DOMAIN,), "summary", None, "characters"),
)
