"""After a new dump: which cases were asked anew and why, and which were carried by the ledger.

An evaluation asks whatever its requests are; the ledger answers those that were asked before. So a
question whose chunks and prompt are what they were costs nothing, and is carried. What each case
rests on is stored with it; why one was asked anew is found by holding it against the result before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.errors import RagBenchError
from rag_bench.store import datasets
from rag_bench.store.evaluations import Case, StoredEvaluation, cases_of
from rag_bench.store.evaluations.records import stored
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

NEW = "new question"
REWORDED = "the question was reworded"
RETRIEVED = "other chunks were retrieved"
SOURCE = "its source chunk changed"
ANSWER = "its answer changed"
FAILED = "it had no usable reply before"
OTHERWISE = "asked otherwise: prompt, settings, model, or a repeat"
FIRST = "nothing was measured before"


@dataclass(frozen=True)
class Carried:
    """What became of an evaluation's cases.

    Attributes:
        before: the result of the same models before; None: it is the first.
        carried: cases of which every reply was there already.
        asked: cases with a new call, by why.
        unrecorded: cases of which it is not known, as calls were not recorded yet.
    """

    evaluation_id: int
    before: int | None
    carried: Sequence[str]
    asked: Mapping[str, Sequence[str]]
    unrecorded: int

    @property
    def n_asked(self) -> int:
        """Cases that were asked anew."""
        return sum(len(ids) for ids in self.asked.values())

    def as_json(self) -> dict[str, Any]:
        """Return counts, and the cases by why they were asked."""
        return {
            "evaluation_id": self.evaluation_id,
            "before": self.before,
            "n_carried": len(self.carried),
            "n_asked": self.n_asked,
            "n_unrecorded": self.unrecorded,
            "asked": {why: list(ids) for why, ids in self.asked.items()},
        }


def carried_in(engine: Engine, evaluation_id: int) -> Carried:
    """Return which cases of an evaluation were carried, and why the others were asked anew.

    Raises:
        RagBenchError: there is no such evaluation.
    """
    this = _get(engine, evaluation_id)
    earlier = _before(engine, this)
    old = {case.case_id: case for case in cases_of(engine, earlier.id)} if earlier else {}
    then, now = _items(engine, earlier), _items(engine, this)
    answers = [_answers(engine, one) for one in (earlier, this)]
    carried: list[str] = []
    asked: dict[str, list[str]] = {}
    unrecorded = 0
    for case in cases_of(engine, this.id):
        if case.repeat:
            continue
        if case.calls is None:
            unrecorded += 1
            continue
        if not any(call.get("how") != "ledger" for call in case.calls):
            carried.append(case.case_id)
            continue
        before = old.get(case.case_id)
        if earlier is None:
            why = FIRST
        elif before is None:
            why = NEW
        else:
            why = _why(case, before, then, now, answers)
        asked.setdefault(why, []).append(case.case_id)
    return Carried(this.id, earlier.id if earlier else None, carried, asked, unrecorded)


def _why(
    case: Case,
    before: Case,
    then: Mapping[str, datasets.Item],
    now: Mapping[str, datasets.Item],
    answers: Sequence[Mapping[str, str | None]],
) -> str:
    one, other = then.get(case.case_id), now.get(case.case_id)
    if one and other and one.question != other.question:
        return REWORDED
    if one and other and set(one.chunk_hashes) != set(other.chunk_hashes):
        return SOURCE
    if _chunks(case) != _chunks(before):
        return RETRIEVED
    if answers[0].get(case.case_id) != answers[1].get(case.case_id):
        return ANSWER
    return FAILED if before.error_code else OTHERWISE


def _chunks(case: Case) -> list[str]:
    rows = case.retrieved if isinstance(case.retrieved, list) else []
    return [str(row.get("chunk_hash")) for row in rows if isinstance(row, Mapping)]


def _get(engine: Engine, evaluation_id: int) -> StoredEvaluation:
    with engine.connect() as connection:
        row = connection.execute(
            select(evaluation).where(evaluation.c.id == evaluation_id)
        ).one_or_none()
    if row is None:
        raise RagBenchError(f"There is no evaluation {evaluation_id}.")
    return stored(row)


def _before(engine: Engine, this: StoredEvaluation) -> StoredEvaluation | None:
    """Return the newest usable result of the same models before one, of whichever dataset: after a
    dump a dataset that names the new chunks is another.
    """
    same = (
        *("tier", "kind", "generation_model"),
        *("benchmark_judge_model", "production_judge_model"),
    )
    query = (
        select(evaluation)
        .where(
            evaluation.c.id < this.id,
            evaluation.c.status.in_(["succeeded", "partial"]),
            *(evaluation.c[name].is_not_distinct_from(getattr(this, name)) for name in same),
        )
        .order_by(evaluation.c.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else stored(row)


def _items(engine: Engine, one: StoredEvaluation | None) -> dict[str, datasets.Item]:
    if one is None or one.dataset_id is None:
        return {}
    return {item.item_id: item for item in datasets.items_of(engine, one.dataset_id)}


def _answers(engine: Engine, one: StoredEvaluation | None) -> dict[str, str | None]:
    """Return the answers that scores are of; of anything else nothing."""
    of = one.inputs.get("answers_evaluation") if one else None
    if not isinstance(of, int):
        return {}
    return {case.case_id: case.answer for case in cases_of(engine, of) if not case.repeat}
