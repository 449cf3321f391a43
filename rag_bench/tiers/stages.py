"""Stages of a benchmark: what runs together, when in the week, and what people call it.

A stage is a job, a weekly schedule and, in a sweep, a run. Steps of tiers name theirs
(`rag_bench.tiers.registry`); what is listed here beside them is of no tier. Their times are also
their order: each starts when the one before should be done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_bench.errors import ConfigurationError

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of the job; the schedule is ``weekly_<name>``.
        title: as a sweep announces it.
        description: what it does; shown by the UI.
        at: time on Mondays, ``HH:MM``.
        assets: that are of no tier.
        asks: one of these asks models.

    Raises:
        ConfigurationError: a time that is none.
    """

    name: str
    title: str
    description: str
    at: str
    assets: tuple[str, ...] = ()
    asks: bool = False

    def __post_init__(self) -> None:
        if not _TIME.fullmatch(self.at):
            raise ConfigurationError(f"The stage {self.name!r} is at {self.at!r}, not at HH:MM.")

    @property
    def cron(self) -> str:
        """When it starts each week."""
        hour, minute = self.at.split(":")
        return f"{int(minute)} {int(hour)} * * 1"


ANALYTICS = Stage(
    "analytics",
    "analytics",
    "What users' questions say about the sources: utilization, topics, domain.",
    "07:30",
    ("chunk_utilization", "topic_coverage", "domain_insights", "benchmark_topics"),
)
MAP = Stage(
    "map",
    "map of chunks and questions",
    "Chunks and users' questions on a plane, and chunks that nearly repeat each other.",
    "07:45",
    ("vector_map", "near_duplicates"),
)
REFRESH = Stage(
    "refresh",
    "embeddings, datasets, retrieval",
    "The free part: dump, embeddings, datasets, tiers 0, 1 and ux, analytics.",
    "01:00",
    (
        *("dump", "chunk", "question_answer", "chunk_embeddings", "question_embeddings"),
        *("manual_dataset", "show_hide_dataset"),
        *ANALYTICS.assets,
    ),
)
PLAN = Stage(
    "plan",
    "plan",
    "What the stages below will ask and cost; sends nothing.",
    "01:30",
    ("sweep_plan",),
)
RETRIEVERS = Stage(
    "retrievers",
    "retrievers",
    "Retrieval and its costs by every retriever of the settings.",
    "01:40",
)
RETRIEVER_COMPARISON = Stage(
    "compare_retrievers",
    "comparison of retrievers",
    "Every measured retriever against the default one.",
    "01:50",
    ("retriever_comparison",),
)
ANSWERS = Stage("answers", "answers", "Answers of every generation model (calls models).", "02:00")
YOUR_METRICS = Stage(
    "your_metrics",
    "your own metrics",
    "The metrics that the settings name, and BERTScore, of every generation model.",
    "03:30",
)
SCORES = Stage(
    "scores", "scores", "Scores of every answer by every benchmark judge (calls models).", "04:00"
)
RAGAS = Stage(
    "ragas",
    "RAGAS",
    "RAGAS of every answer by every benchmark judge (calls models, many times).",
    "05:00",
)
RAGAS_CONTEXTS = Stage(
    "ragas_contexts",
    "RAGAS of contexts",
    "RAGAS of the retrieved chunks by every benchmark judge (calls models).",
    "05:15",
)
BENCHMARK_JUDGES = Stage(
    "benchmark_judges",
    "benchmark judges",
    "Every benchmark judge on answers of known worth (calls models).",
    "05:30",
)
PRODUCTION_JUDGES = Stage(
    "production_judges",
    "production judges",
    "Every production judge on the labelled pairs (calls models).",
    "06:00",
)
REPORT = Stage(
    "report",
    "leaderboard and report",
    "Leaderboard and report of what was measured.",
    "07:00",
    (
        # The first two are what the others read if it is there. Recorded with them, also where
        # there is nothing to say, or Dagster would ask about a missing input at each click.
        *("benchmark_topics", "retriever_comparison"),
        *("model_runs", "leaderboard", "dataset_health", "benchmark_report"),
    ),
)

RELEASE = Stage(
    "release",
    "release gate",
    "The newest results against the pinned baseline; publishes the report of a release if it "
    "passes (before it blocks it asks models again).",
    "07:15",
    ("baseline", "comparison", "release_gate", "release_report"),
    asks=True,
)
SELF_TEST = Stage(
    "self_test",
    "self-test",
    "The bench tries its own statistics on worlds whose truth is known, and plants faults to see "
    "which are found; asks no provider.",
    "08:00",
    ("self_test_statistics", "self_test_planted_faults"),
)

#: Those that have assets of no tier; the others exist by the steps that name them.
FIXED = (REFRESH, PLAN, RETRIEVER_COMPARISON, REPORT, RELEASE, ANALYTICS, MAP, SELF_TEST)
