"""The calls of all cases of an evaluation, as its page reads those of one."""

from __future__ import annotations

from sqlalchemy import Engine

from rag_bench.store.evaluations import cases_of
from rag_bench.store.evaluations.case_calls import CaseCall, calls_of_case


def calls_of_evaluation(engine: Engine, evaluation_id: int) -> list[CaseCall]:
    """Return the calls of all its cases, case by case."""
    cases = dict.fromkeys(case.case_id for case in cases_of(engine, evaluation_id))
    with engine.connect() as connection:
        return [c for case in cases for c in calls_of_case(connection, [evaluation_id], case)]
