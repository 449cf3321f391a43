"""Users' ratings of production's own answers: labels of kind ``user``, read from the dump."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from rag_bench.analytics.text import is_answer
from rag_bench.evaluation.people.user_ratings import Selection, UserAnswer, selection_of
from rag_bench.evaluation.traffic.ratings import NONE
from rag_bench.store.snapshots import current_snapshot, questions_of
from rag_bench.store.traffic import rating_scale

if TYPE_CHECKING:
    from sqlalchemy import Engine


# The topics that questions of a snapshot were given last: a case per topic, questions by their ids.
_TOPICS = """
with newest as (
    select id from rag_bench.evaluation
    where tier = 'analytics_topics' and kind = 'metrics' and dump_sha256 = :dump
        and status in ('succeeded', 'partial')
    order by id desc limit 1
)
select case_id, retrieved from rag_bench.evaluation_case
where evaluation_id in (select id from newest)
"""


def _topics(engine: Engine, sha256: str) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text(_TOPICS), {"dump": sha256}).all()
    return {str(question): row.case_id for row in rows for question in row.retrieved or []}


def selection(engine: Engine) -> Selection:
    """Return who rated which answers of the current snapshot; empty without one."""
    snapshot = current_snapshot(engine)
    if snapshot is None:
        return selection_of([], NONE)
    scale = rating_scale(engine, snapshot.sha256)
    topics = _topics(engine, snapshot.sha256)
    answers = [
        UserAnswer(
            scale.rating(row.score),
            row.user_id,
            len(row.answer or ""),
            f"{row.created_at:%Y-%m}" if row.created_at else "no date",
            is_answer(row.answer),
            row.page_url or "",
            topics.get(str(row.source_id)),
        )
        for row in questions_of(engine, snapshot.sha256)
    ]
    return selection_of(answers, scale)
