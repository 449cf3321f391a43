"""Questions of real users in a snapshot, as the cache of answers and tier ux read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag_bench.store.ids import id_order
from rag_bench.store.snapshots import QuestionRecord, questions_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: The best rating, by which production takes an answer into its cache.
BEST_SCORE = 5

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def _by_time(row: QuestionRecord) -> tuple[datetime, tuple[bool, int, str]]:
    """Rows without a time are taken for the oldest; ids decide between equal times."""
    return row.created_at or _BEFORE_ALL, id_order(row.source_id)


def questions_by_time(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return a snapshot's user questions, oldest first, those without a time before all."""
    return sorted(questions_of(engine, sha256), key=_by_time)


def servable_answers(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return what production could answer from its cache, oldest first.

    Rated 5, with a question, an answer and the address of a page, none of them blank.
    """
    return [
        row
        for row in questions_by_time(engine, sha256)
        if row.score == BEST_SCORE
        and all((text or "").strip() for text in (row.question, row.answer, row.page_url))
    ]
