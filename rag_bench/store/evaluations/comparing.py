"""An evaluation as far as a comparison names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class EvaluationToCompare:
    """Columns of an evaluation that say what it measured, and with what."""

    id: int
    tier: str
    kind: str
    status: str
    generation_model: str | None
    benchmark_judge_model: str | None
    production_judge_model: str | None
    embedding_model: str | None
    dataset_id: str | None
    dump_sha256: str | None
    settings: Mapping[str, Any]
    prompt_hash: str | None
    code_version: str | None
    git_commit: str | None
    inputs: Mapping[str, Any]
    metrics: Mapping[str, Any]


def find_evaluation(connection: Connection, number: int) -> EvaluationToCompare | None:
    """Return an evaluation by its number; None if there is none."""
    columns = [evaluation.c[one.name] for one in fields(EvaluationToCompare)]
    row = connection.execute(select(*columns).where(evaluation.c.id == number)).one_or_none()
    return None if row is None else EvaluationToCompare(*row)
