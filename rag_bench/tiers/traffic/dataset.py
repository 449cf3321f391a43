"""A dataset of kind ``traffic``: questions of real users with the answers that they got.

Everything is masked before it is stored; see `rag_bench.analytics.traffic_sample`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.text import is_answer
from rag_bench.analytics.traffic import SEED
from rag_bench.analytics.traffic_sample import (
    MASKING,
    UNKNOWN_MONTH,
    LoggedQuestion,
    TrafficSample,
    sample_traffic,
)
from rag_bench.answer_sources import TRAFFIC
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.metrics.source_analytics import TOPICS
from rag_bench.hashing import text_hash
from rag_bench.store import datasets, evaluations, snapshots, traffic
from rag_bench.store.datasets import (
    ASKER,
    PRODUCTION_ANSWER,
    PRODUCTION_PAGE,
    USER_RATING,
    DatasetInfo,
    Item,
)
from rag_bench.store.public_names import public_names_of
from rag_bench.tiers.traffic.analysis import open_analysis

if TYPE_CHECKING:
    from sqlalchemy import Engine

SIZE = 300
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class TrafficRecipe:
    """Which of the current snapshot's questions are taken.

    Attributes:
        size: how many, if there are so many different ones.
        seed: another one is another sample.
        months: YYYY-MM, or ``unknown``; none: all.
        answered_only: only those that production answered.
        name: of the dataset.

    Raises RagBenchError for what is none of these.
    """

    size: int = SIZE
    seed: int = SEED
    months: tuple[str, ...] = field(default=())
    answered_only: bool = False
    name: str = TRAFFIC

    def __post_init__(self) -> None:
        if self.size < 1:
            raise RagBenchError(f"size is {self.size}; a sample has at least 1 question.")
        wrong = [m for m in self.months if m != UNKNOWN_MONTH and not _MONTH.fullmatch(m)]
        if wrong:
            raise RagBenchError(
                f"months: {wrong[0]!r} is no month; write 2026-01, or {UNKNOWN_MONTH} for rows "
                "without a time."
            )


@dataclass(frozen=True)
class TrafficDataset:
    """The stored dataset with what it was made of; ``topics``: how many there were, None: none."""

    info: DatasetInfo
    sample: TrafficSample
    items: Sequence[Item]
    topics: int | None

    @property
    def n_answered(self) -> int:
        """Questions to which production gave an answer."""
        return sum(is_answer(question.answer) for question in self.sample.questions)

    @property
    def n_unanswered(self) -> int:
        """Questions for which the log has no text at all."""
        return sum(question.answer is None for question in self.sample.questions)

    @property
    def n_refused(self) -> int:
        """Questions to which production said that there is no answer."""
        return len(self.sample.questions) - self.n_answered - self.n_unanswered

    @property
    def n_rated(self) -> int:
        """Questions whose answer the user rated."""
        return sum(question.rating is not None for question in self.sample.questions)


def make_traffic_dataset(engine: Engine, recipe: TrafficRecipe) -> TrafficDataset:
    """Sample the current snapshot's questions, mask them, and store them with production's answers.

    Topics are those of the newest ``topic_coverage`` of these questions. No model is asked.

    Raises:
        RagBenchError: no snapshot is current, or it has no such questions.
    """
    snapshot = snapshots.require_current(engine)
    topics = _topics(engine)
    rows = _rows(engine, snapshot, topics)
    sample = sample_traffic(
        rows,
        recipe.size,
        seed=recipe.seed,
        months=recipe.months,
        answered_only=recipe.answered_only,
        public_names=public_names_of(engine, snapshot),
    )
    if not sample.questions:
        raise RagBenchError(_nothing(snapshot.name, recipe, rows))
    items = list(_items(sample.questions))
    n_topics = len(set(topics.values())) or None
    info = datasets.save_dataset(
        engine,
        recipe.name,
        TRAFFIC,
        items,
        {
            "size": recipe.size,
            "seed": recipe.seed,
            "months": list(recipe.months),
            "answered_only": recipe.answered_only,
            "topics": n_topics,
            "masking": MASKING,
            "ratings": traffic.rating_scale(engine, snapshot.sha256).name,
            "counts": dict(sample.counts),
            "by_month": sample.by_month,
        },
        renew=True,
        snapshot=snapshot.sha256,
    )
    return TrafficDataset(info, sample, items, n_topics)


def _rows(
    engine: Engine, snapshot: snapshots.SnapshotInfo, topics: dict[str, int]
) -> list[LoggedQuestion]:
    """Return the log as it is, oldest first."""
    pages = {chunk.page_url for chunk in snapshots.chunks_of(engine, snapshot.sha256)}
    scale = traffic.rating_scale(engine, snapshot.sha256)
    return [
        LoggedQuestion(
            row.question,
            row.answer,
            _page(row.page_url, pages),
            scale.rating(row.score),
            row.user_id,
            f"{row.created_at.astimezone(UTC):%Y-%m}" if row.created_at else UNKNOWN_MONTH,
            topics.get(str(row.source_id)),
        )
        for row in traffic.questions_by_time(engine, snapshot.sha256)
    ]


def _page(url: str | None, pages: set[str]) -> str | None:
    """Return what names a page: its address if the knowledge base has it. Of another only that it
    is one: it is text of the log, which nobody has looked through.
    """
    if not url or not url.strip():
        return None
    return url if url in pages else f"a page that is gone ({text_hash(url)[:8]})"


def _topics(engine: Engine) -> dict[str, int]:
    """Return the topic of each question that has one, by the question's id in the dump."""
    analysis = open_analysis(engine)
    ours = analysis.real_questions_address()
    for settings_hash, settings in evaluations.settings_seen(engine, tier=TOPICS, kind="metrics"):
        if settings.get("questions") != ours:
            continue
        found = evaluations.latest(engine, tier=TOPICS, kind="metrics", settings_hash=settings_hash)
        if found is not None:
            cases = evaluations.cases_of(engine, found.id)
            return {str(row): int(case.case_id) for case in cases for row in case.retrieved or []}
    return {}


def _items(questions: Sequence[LoggedQuestion]) -> Iterator[Item]:
    askers: dict[int | str, int] = {}
    for number, question in enumerate(questions, start=1):
        # A number that means nothing outside of this dataset.
        asker = number if question.user is None else askers.setdefault(question.user, number)
        details: dict[str, Any] = {
            ASKER: asker,
            "month": question.month,
            "topic": question.topic,
            "times_asked": question.times_asked,
            PRODUCTION_ANSWER: question.answer,
            PRODUCTION_PAGE: question.page,
            USER_RATING: question.rating,
        }
        yield Item(
            f"tr_{text_hash(question.key)[:12]}",
            question.question,
            details={name: value for name, value in details.items() if value is not None},
        )


def _nothing(name: str, recipe: TrafficRecipe, rows: Sequence[LoggedQuestion]) -> str:
    if not rows:
        return (
            f"The current snapshot ({name}) holds no questions of users. Load a dump whose "
            "question_answer has rows."
        )
    there = sorted({row.month for row in rows})
    which = f" of {', '.join(recipe.months)}" if recipe.months else ""
    answered = " that production answered" if recipe.answered_only else ""
    return (
        f"The current snapshot ({name}) has no questions{which}{answered} with words in them. It "
        f"has questions of: {', '.join(there)}."
    )
