"""Verdicts of production judges, pair by pair, as the newest usable evaluation has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

_NEWEST = """
with newest as (
    select id, dataset_id, inputs ->> 'labelled_pairs' as pairs from rag_bench.evaluation
    where settings_hash = :settings and tier = 'judge_pipeline' and kind = 'scores'
        and status in ('succeeded', 'partial') and production_judge_model = :judge
    order by id desc limit 1
)
"""
_WRONG = """
select verdict.case_id, (verdict.scores ->> 'predicted_show')::boolean,
    (verdict.scores ->> 'ground_truth_show')::boolean, verdict.scores ->> 'reason',
    verdict.answer, verdict.error_code, verdict.error_detail
from rag_bench.evaluation_case as verdict join newest on newest.id = verdict.evaluation_id
where verdict.error_code is not null
    or verdict.scores -> 'predicted_show' <> verdict.scores -> 'ground_truth_show'
order by verdict.error_code is not null, verdict.scores ->> 'predicted_show' desc, verdict.case_id
limit :limit offset :offset
"""
_COUNT = """
select count(*)
from rag_bench.evaluation_case as verdict join newest on newest.id = verdict.evaluation_id
where verdict.error_code is not null
    or verdict.scores -> 'predicted_show' <> verdict.scores -> 'ground_truth_show'
"""
_QUESTIONS = """
select item.item_id, item.question from rag_bench.dataset_item as item
join newest on newest.dataset_id = item.dataset_id
where item.item_id = any(:ids)
"""


@dataclass(frozen=True)
class WrongVerdict:
    """A pair that a production judge got wrong, or could not say anything readable of.

    ``shown``: what it decided, None where it failed; ``should``: what people say.
    """

    case_id: str
    shown: bool | None
    should: bool | None
    reason: str | None
    answer: str | None
    error_code: str | None
    error_detail: str | None
    question: str = ""


def wrong_verdicts(
    engine: Engine, settings_hash: str, judge: str, *, limit: int, offset: int = 0
) -> tuple[list[WrongVerdict], int]:
    """Return the wrong pairs of a judge, bad answers shown first, and how many there are."""
    given = {"settings": settings_hash, "judge": judge}
    with engine.connect() as connection:
        total = connection.execute(text(_NEWEST + _COUNT), given).scalar_one()
        rows = connection.execute(
            text(_NEWEST + _WRONG), {**given, "limit": limit, "offset": offset}
        ).all()
        ids = [row[0] for row in rows]
        asked = connection.execute(text(_NEWEST + _QUESTIONS), {**given, "ids": ids}).all()
    questions = {row[0]: row[1] for row in asked}
    found = []
    for case_id, shown, should, reason, answer, code, detail in rows:
        asked_of = questions.get(case_id, "")
        found.append(WrongVerdict(case_id, shown, should, reason, answer, code, detail, asked_of))
    return found, int(total)
