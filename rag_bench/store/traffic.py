"""Questions of real users in a snapshot, as the cache of answers and tier ux read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.store.snapshots import QuestionRecord
from rag_bench.store.tables import question_answer

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: The best rating, by which production takes an answer into its cache.
BEST_SCORE = 5

_COLUMNS = tuple(question_answer.c[name] for name in QuestionRecord.__dataclass_fields__)
# Rows without a time are taken for the oldest; ids decide between equal times.
_BY_TIME = (question_answer.c.created_at.asc().nulls_first(), question_answer.c.source_id)


def questions_by_time(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return a snapshot's user questions, oldest first, those without a time before all."""
    query = select(*_COLUMNS).where(question_answer.c.dump_sha256 == sha256).order_by(*_BY_TIME)
    with engine.connect() as connection:
        return [QuestionRecord(*row) for row in connection.execute(query)]


def servable_answers(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return what production could answer from its cache, oldest first.

    Rated 5, with a question, an answer and the address of a page, none of them blank.
    """
    columns = question_answer.c
    texts = (columns.question, columns.answer, columns.page_url)
    query = (
        select(*_COLUMNS)
        .where(
            columns.dump_sha256 == sha256,
            columns.score == BEST_SCORE,
            *(text.regexp_match(r"\S") for text in texts),
        )
        .order_by(*_BY_TIME)
    )
    with engine.connect() as connection:
        return [QuestionRecord(*row) for row in connection.execute(query)]
