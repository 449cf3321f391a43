"""An evaluation as far as a comparison names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import array

from rag_bench.store.tables import dump, evaluation

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


def settings_that_begin(connection: Connection, begin: str) -> list[str]:
    """Return the settings hashes, under which something was measured, that begin so."""
    column = evaluation.c.settings_hash
    query = select(column).where(column.startswith(begin, autoescape=True)).distinct()
    return sorted(connection.execute(query).scalars())


def dumps_that_begin(connection: Connection, begin: str) -> list[str]:
    """Return the dumps whose sha256 begins so."""
    query = select(dump.c.sha256).where(dump.c.sha256.startswith(begin, autoescape=True))
    return sorted(connection.execute(query).scalars())


def settings_on_dump(connection: Connection, sha256: str) -> str | None:
    """Return the settings hash of the newest usable evaluation of a generation model on a dump,
    one without a limit if there is one; None if there is none.
    """
    columns = evaluation.c
    query = (
        select(columns.settings_hash)
        .where(
            columns.dump_sha256 == sha256,
            columns.generation_model.is_not(None),
            columns.status.in_(["succeeded", "partial"]),
            ~columns.settings.has_any(array(["replicate", "corner"])),
        )
        .order_by(func.coalesce(columns.settings["limit"].as_string(), "") != "", columns.id.desc())
        .limit(1)
    )
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found
