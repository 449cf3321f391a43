"""Scores by topic of users' traffic, and weighted to it: where the benchmark and traffic meet."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.evaluation.metrics.source_analytics import BENCHMARK, TOPICS
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.ranking import percent
from rag_bench.evaluation.weighted.poststratified import Poststratified, poststratify
from rag_bench.store import evaluations
from rag_bench.store.topics.models import model_of
from rag_bench.store.topics.placed import items_by_topic, newest_coverage

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.analytics.topic_model import TopicModel
    from rag_bench.reporting.columns import Column
    from rag_bench.store.case_scores import CaseScores

Pair = tuple[str, str | None]


@dataclass(frozen=True)
class TrafficTopic:
    """A topic of users' questions, as topic coverage has it; ``n_items``: benchmark questions."""

    key: str
    name: str
    question_count: int
    n_items: int
    gaps: Sequence[str]


@dataclass(frozen=True)
class TopicScores:
    """Scores of models by topic.

    Attributes:
        column: the measure: the one that models are ranked by.
        topics: those that users ask about, the largest first.
        weighted: by generation model and benchmark judge: weighted to traffic, and per topic.
        topics_evaluation, items_evaluation: ids of the evaluations that it rests on.
    """

    column: Column
    topics: Sequence[TrafficTopic]
    weighted: Mapping[Pair, Poststratified]
    topics_evaluation: int
    items_evaluation: int

    @property
    def uncovered(self) -> float:
        """Share of traffic in topics without a benchmark question."""
        n = sum(topic.question_count for topic in self.topics)
        without = sum(topic.question_count for topic in self.topics if not topic.n_items)
        return without / n if n else 0.0

    def of_topic(self, pair: Pair, key: str) -> Mapping[str, Any] | None:
        """Return a model's score on a topic's questions; None if it has none, or no score."""
        found = self.weighted.get(pair)
        strata = found.strata if found else ()
        return next(
            (one.score.to_json() for one in strata if one.key == key and one.score.n_expected),
            None,
        )

    def sentence(self, model: str, judge: str | None) -> str:
        """Return a model's score weighted to traffic, in words; empty if it has none."""
        one = self.weighted.get((model, judge)) or self.weighted.get((model, None))
        if one is None or one.weighted.value is None:
            return ""
        value = one.weighted
        interval = (
            f" [{value.ci_low:.2f}, {value.ci_high:.2f}]"
            if value.ci_low is not None and value.ci_high is not None
            else ""
        )
        return (
            f"Weighted to the topics of real traffic {model} has {self.column.title} "
            f"{value.value:.2f}{interval}, unweighted {one.plain.value:.2f}; "
            f"{percent(one.uncovered)} of the traffic is in topics without a scored question."
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str | float | int | None]]]:
        """Return the weighted scores as a table: names of columns, and rows."""
        columns = ["model", "judge", self.column.title, "weighted", "95 % interval", "scored"]
        columns += ["effective", "design effect", "not covered", "if it were worst", "best"]
        rows: list[Sequence[str | float | int | None]] = [
            [
                model,
                judge or "–",
                one.plain.value,
                one.weighted.value,
                "–"
                if one.weighted.ci_low is None or one.weighted.ci_high is None
                else f"{one.weighted.ci_low:.3f} … {one.weighted.ci_high:.3f}",
                f"{one.weighted.n_scored}/{one.weighted.n_expected}",
                None if one.n_effective is None else round(one.n_effective, 1),
                one.design_effect,
                percent(one.uncovered),
                one.low_if_uncovered,
                one.high_if_uncovered,
            ]
            for (model, judge), one in self.weighted.items()
        ]
        return columns, rows

    def topic_table(
        self, pair: Pair
    ) -> tuple[Sequence[str], Sequence[Sequence[str | float | int | None]]]:
        """Return a model's score by topic as a table: names of columns, and rows."""
        columns = ["topic", "questions of users", "share", self.column.title, "95 % interval"]
        columns += ["scored", "gap"]
        n = sum(topic.question_count for topic in self.topics)
        rows: list[Sequence[str | float | int | None]] = []
        for topic in self.topics:
            score = self.of_topic(pair, topic.key) or {}
            low, high = score.get("ci_low"), score.get("ci_high")
            rows.append(
                [
                    topic.name,
                    topic.question_count,
                    percent(topic.question_count / n),
                    score.get("value"),
                    "–" if low is None or high is None else f"{low:.3f} … {high:.3f}",
                    f"{score.get('n_scored', 0)}/{topic.n_items}",
                    ", ".join(gap.replace("_", " ") for gap in topic.gaps),
                ]
            )
        return columns, rows

    def as_json(self) -> dict[str, Any]:
        """Return it for the report and ``--json``."""
        n = sum(topic.question_count for topic in self.topics)
        return {
            "metric": f"{self.column.tier}.{self.column.metric}",
            "uncovered_share": settled(self.uncovered),
            "weighted": [
                {"generation_model": model, "benchmark_judge_model": judge, **found.as_json()}
                for (model, judge), found in self.weighted.items()
            ],
            "topics": [
                {
                    "topic_key": topic.key,
                    "name": topic.name,
                    "question_count": topic.question_count,
                    "traffic_share": settled(topic.question_count / n),
                    "n_benchmark_questions": topic.n_items,
                    "gaps": list(topic.gaps),
                    "scores": [
                        {"generation_model": pair[0], "benchmark_judge_model": pair[1], **score}
                        for pair in self.weighted
                        if (score := self.of_topic(pair, topic.key)) is not None
                    ],
                }
                for topic in self.topics
            ],
            "topics_evaluation": self.topics_evaluation,
            "benchmark_topics_evaluation": self.items_evaluation,
        }


def topic_scores(
    engine: Engine,
    dataset_id: str,
    column: Column,
    cases: CaseScores,
    pages: Mapping[str, Hashable],
    asked: Sequence[str] | None = None,
) -> TopicScores | None:
    """Return the scores of a board by topic; None where its questions are in no topics yet.

    Args:
        engine: the store.
        dataset_id: of the board.
        column: what is scored.
        cases: by generation model and judge, then by case.
        pages: of each of the dataset's questions.
        asked: the questions that were asked, where a limit left some out; None: all.
    """
    placed = items_by_topic(engine, BENCHMARK, dataset_id)
    if placed is None or not cases:
        return None
    items_evaluation, model_id, topic_of = placed
    coverage = newest_coverage(engine, TOPICS, model_id)
    if coverage is None:
        return None
    ids = [one for one in asked or sorted(topic_of) if one in topic_of]
    found = [dict(case.scores) for case in evaluations.cases_of(engine, coverage)]
    n_items: dict[str, int] = {}
    for one in ids:
        n_items[topic_of[one]] = n_items.get(topic_of[one], 0) + 1
    traffic = {topic["topic_key"]: float(topic["question_count"]) for topic in found}
    model = model_of(engine, model_id)
    nearest = _Nearest(model)
    return TopicScores(
        column,
        [
            TrafficTopic(
                topic["topic_key"],
                topic["name"],
                topic["question_count"],
                n_items.get(topic["topic_key"], 0),
                topic["gaps"],
            )
            for topic in found
        ],
        {
            pair: poststratify(
                [scores.get(one) for one in ids],
                [topic_of[one] for one in ids],
                [pages.get(one, one) for one in ids],
                traffic,
                scale=column.scale,
                nearest=nearest,
            )
            for pair, scores in sorted(cases.items(), key=lambda one: (one[0][0], one[0][1] or ""))
        },
        coverage,
        items_evaluation,
    )


class _Nearest:
    """Of topics the one whose centroid is the nearest to another's."""

    def __init__(self, model: TopicModel | None) -> None:
        self._at = (
            {} if model is None else {t.key: model.centroids[n] for n, t in enumerate(model.topics)}
        )

    def __call__(self, key: str, others: Sequence[str]) -> str:
        here = self._at.get(key)

        def far(other: str) -> tuple[float, str]:
            there = self._at.get(other)
            if here is None or there is None:
                return 2.0, other
            return settled(float(1 - np.dot(here, there))), other

        return min(others, key=far)
