"""Writing a finished evaluation: whole, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from rag_bench.evaluation.aggregate import count_errors, count_flags
from rag_bench.observing.trace import current_trace
from rag_bench.provenance import git_commit
from rag_bench.store.evaluations.outcome import outcome_hash, rounded
from rag_bench.store.evaluations.records import Case, NewEvaluation, StoredEvaluation, stored
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def save_evaluation(
    engine: Engine, new: NewEvaluation, cases: Sequence[Case], *, n_scored: int
) -> StoredEvaluation:
    """Write an evaluation with its cases and return it.

    ``n_scored`` results decide the status: none of any cases is failed, some errors partial.
    """
    with engine.begin() as connection:
        return save_evaluation_in(connection, new, cases, n_scored=n_scored)


def save_evaluation_in(
    connection: Connection, new: NewEvaluation, cases: Sequence[Case], *, n_scored: int
) -> StoredEvaluation:
    """Write it as `save_evaluation` does, as a part of a transaction."""
    row = connection.execute(
        insert(evaluation).values(values_of(new, cases, n_scored)).returning(evaluation)
    ).one()
    if cases:
        connection.execute(
            insert(evaluation_case),
            [{"evaluation_id": row.id, **case_values(case)} for case in cases],
        )
    return stored(row)


def values_of(new: NewEvaluation, cases: Sequence[Case], n_scored: int) -> dict[str, Any]:
    """Return the columns of an evaluation that has ended, but for its id."""
    incomplete = any(case.error_code for case in cases)
    trace = current_trace()
    names = (
        *("tier", "kind", "generation_model", "benchmark_judge_model", "production_judge_model"),
        *("embedding_model", "dataset_id", "dump_sha256", "settings_hash", "prompt_hash"),
        *("code_version", "dagster_run_id", "input_hash", "started_at"),
    )
    return {
        **{name: getattr(new, name) for name in names},
        "status": "failed" if cases and not n_scored else "partial" if incomplete else "succeeded",
        "settings": dict(new.settings),
        "git_commit": git_commit(),
        "trace_id": new.trace_id or (trace.trace_id if trace else None),
        "user_id": new.user_id
        or (trace.user_id if trace else None)
        or os.environ.get("BENCHMARK_RUN_AUTHOR"),
        "inputs": {
            **new.inputs,
            "n_retryable": new.n_retryable,
            "flags": count_flags(cases),
            "outcome_hash": outcome_hash(cases),
        },
        "finished_at": datetime.now(UTC),
        "metrics": dict(new.metrics),
        "errors": count_errors(cases),
    }


def case_values(case: Case) -> dict[str, Any]:
    """Return the columns of an evaluation's case, but for the evaluation's id."""
    return {
        "case_id": case.case_id,
        "repeat": case.repeat,
        "answer": case.answer,
        "retrieved": case.retrieved,
        "citations": case.citations,
        "scores": rounded(case.scores),
        "error_code": case.error_code,
        "error_detail": case.error_detail,
        "flags": list(case.flags),
        "calls": None if case.calls is None else list(case.calls),
    }
