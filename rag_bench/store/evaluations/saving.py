"""Writing a finished evaluation: whole, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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
    incomplete = any(case.error_code for case in cases)
    status = "failed" if cases and not n_scored else "partial" if incomplete else "succeeded"
    trace = current_trace()
    row = connection.execute(
        insert(evaluation)
        .values(
            tier=new.tier,
            kind=new.kind,
            status=status,
            generation_model=new.generation_model,
            benchmark_judge_model=new.benchmark_judge_model,
            production_judge_model=new.production_judge_model,
            embedding_model=new.embedding_model,
            dataset_id=new.dataset_id,
            dump_sha256=new.dump_sha256,
            settings_hash=new.settings_hash,
            settings=dict(new.settings),
            prompt_hash=new.prompt_hash,
            code_version=new.code_version,
            git_commit=git_commit(),
            dagster_run_id=new.dagster_run_id,
            trace_id=new.trace_id or (trace.trace_id if trace else None),
            user_id=new.user_id
            or (trace.user_id if trace else None)
            or os.environ.get("BENCHMARK_RUN_AUTHOR"),
            input_hash=new.input_hash,
            inputs={
                **new.inputs,
                "n_retryable": new.n_retryable,
                "flags": count_flags(cases),
                "outcome_hash": outcome_hash(cases),
            },
            started_at=new.started_at,
            finished_at=datetime.now(UTC),
            metrics=dict(new.metrics),
            errors=count_errors(cases),
        )
        .returning(evaluation)
    ).one()
    if cases:
        connection.execute(
            insert(evaluation_case),
            [
                {
                    "evaluation_id": row.id,
                    "case_id": case.case_id,
                    "repeat": case.repeat,
                    "answer": case.answer,
                    "retrieved": case.retrieved,
                    "citations": case.citations,
                    "scores": rounded(case.scores),
                    "error_code": case.error_code,
                    "error_detail": case.error_detail,
                    "flags": list(case.flags),
                }
                for case in cases
            ],
        )
    return stored(row)
