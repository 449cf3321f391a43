"""Questions of real users in a snapshot, as the cache of answers and tier ux read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from rag_bench.evaluation.traffic.ratings import SCALES, RatingScale, recognise
from rag_bench.settings import get_settings
from rag_bench.store.ids import id_order
from rag_bench.store.snapshots import QuestionRecord, get_snapshot, questions_of
from rag_bench.store.tables import question_answer

if TYPE_CHECKING:
    from sqlalchemy import Engine

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def _by_time(row: QuestionRecord) -> tuple[datetime, tuple[bool, int, str]]:
    """Rows without a time are taken for the oldest; ids decide between equal times."""
    return row.created_at or _BEFORE_ALL, id_order(row.source_id)


def questions_by_time(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return a snapshot's user questions, oldest first, those without a time before all."""
    return sorted(questions_of(engine, sha256), key=_by_time)


def rating_scale(engine: Engine, sha256: str) -> RatingScale:
    """Return the scale of a snapshot's ratings: the setting's, or the one noted when it was loaded.

    A snapshot of a version that noted none has it told from its rows.
    """
    chosen = get_settings().ratings
    if chosen != "auto":
        return SCALES[chosen]
    info = get_snapshot(engine, sha256)
    noted = info.report.get("ratings") if info is not None else None
    if noted is not None:
        return recognise({float(value): int(n) for value, n in noted["counts"].items()})
    columns = question_answer.c
    query = (
        select(columns.score, func.count())
        .where(columns.dump_sha256 == sha256, columns.score.is_not(None))
        .group_by(columns.score)
    )
    with engine.connect() as connection:
        return recognise({float(score): int(n) for score, n in connection.execute(query)})


def servable_answers(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return what production could answer from its cache, oldest first.

    Rated 5 (or as well on the snapshot's scale; none where that is not known), with a question, an
    answer and the address of a page, none of them blank.
    """
    scale = rating_scale(engine, sha256)
    return [
        row
        for row in questions_by_time(engine, sha256)
        if scale.satisfied(row.score)
        and all((text or "").strip() for text in (row.question, row.answer, row.page_url))
    ]
