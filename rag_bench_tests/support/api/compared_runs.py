"""Runs with scores by case, as the service stores them: what comparisons are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api_runs import a_run, result
from sqlalchemy import Engine, update

from rag_bench.store.eval_runs.tables import eval_run_case


@dataclass(frozen=True)
class Scored:
    """A case with its scores; ``page``: hash of the chunk that it is about. No scores: errored,
    unless it is ``waiting``.
    """

    question: str
    scores: Mapping[str, Any] | None
    page: str | None = None
    case_id: str | None = None
    reference: str | None = "да"
    waiting: bool = False


def a_scored_run(engine: Engine, run_id: str, cases: Sequence[Scored], **columns: Any) -> str:
    """Store a run of these cases; the PRD's own fields say something else than ``metrics``."""
    a_run(engine, run_id, [_result(n, case) for n, case in enumerate(cases, 1)], **columns)
    with engine.begin() as connection:
        for position, case in enumerate(cases):
            given = {"question": case.question}
            given |= {"id": case.case_id} if case.case_id else {}
            given |= {"ground_truth_answer": case.reference} if case.reference else {}
            connection.execute(
                update(eval_run_case)
                .where(eval_run_case.c.run_id == run_id, eval_run_case.c.position == position)
                .values(
                    case_id=case.case_id or str(position + 1),
                    given=given,
                    known={"chunk_hashes": [case.page] if case.page else []},
                )
            )
    return run_id


def _result(number: int, case: Scored) -> dict[str, Any] | None:
    if case.waiting:
        return None
    errors = [{"code": "LLM_FAILED"}] if case.scores is None else None
    return result(number, 0.0, context_recall=0.0, metrics=dict(case.scores or {}), errors=errors)


def pages(n: int, each: int, score: Mapping[str, Sequence[float]]) -> list[Scored]:
    """Return ``n`` pages of ``each`` questions, whose scores by each metric repeat from a list."""
    return [
        Scored(
            f"Вопрос {case}?",
            {name: values[case % len(values)] for name, values in score.items()},
            page=f"chunk {case // each}",
            case_id=f"q{case}",
        )
        for case in range(n * each)
    ]
