"""Users' ratings of production's own answers: labels of kind ``user``, read from the dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.analytics.text import is_answer
from rag_bench.evaluation.metrics.source_analytics import TOPICS
from rag_bench.evaluation.people.user_ratings import (
    OTHER_PAGES,
    Selection,
    UserAnswer,
    selection_of,
)
from rag_bench.store.evaluations import cases_of
from rag_bench.store.evaluations.finding import newest_of_tier
from rag_bench.store.tables import chunk
from rag_bench.store.traffic import rating_scale

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import QuestionRecord


def _topics(engine: Engine, sha256: str) -> dict[str, str]:
    """Return the topic's name that each question of a snapshot was given last, by its id."""
    found = newest_of_tier(engine, TOPICS, sha256)
    if found is None:
        return {}
    return {
        str(question): str(case.scores.get("name") or f"topic {case.case_id}")
        for case in cases_of(engine, found.id)
        for question in case.retrieved or []
    }


def _pages(engine: Engine, sha256: str) -> set[str]:
    query = select(chunk.c.page_url).where(chunk.c.dump_sha256 == sha256).distinct()
    with engine.connect() as connection:
        return set(connection.execute(query).scalars())


def _page(url: str | None, known: set[str]) -> str:
    """Return a page as it may be shown: addresses of the knowledge base are public, and what else
    an assistant's log names may say who asked.
    """
    if not url:
        return ""
    return url if url in known else OTHER_PAGES


def selection(
    engine: Engine,
    sha256: str,
    questions: Sequence[QuestionRecord],
    similarity: Mapping[str, float],
) -> Selection:
    """Return who rated which answers of a snapshot's users' questions.

    ``similarity``: by a question's id, that of its nearest chunk.
    """
    scale = rating_scale(engine, sha256)
    topics, pages = _topics(engine, sha256), _pages(engine, sha256)
    answers = [
        UserAnswer(
            scale.rating(row.score),
            row.user_id,
            len(row.answer or ""),
            f"{row.created_at:%Y-%m}" if row.created_at else "no date",
            is_answer(row.answer),
            _page(row.page_url, pages),
            topics.get(str(row.source_id)),
            similarity.get(str(row.source_id)),
        )
        for row in questions
    ]
    return selection_of(answers, scale)
