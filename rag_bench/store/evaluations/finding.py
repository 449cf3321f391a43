"""Finding evaluations: by their inputs, or the newest of a model; and their cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from rag_bench.evaluation.aggregate import is_failure
from rag_bench.store.evaluations.records import Case, Kind, StoredEvaluation, stored
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Engine


def find_finished(
    engine: Engine, input_hash: str, *, retry_failed: bool = False, corners: bool = False
) -> StoredEvaluation | None:
    """Return the newest evaluation of exactly these inputs that needs no second try.

    One with errors that another run may not meet is not returned; with ``retry_failed``, none
    with any error is. ``corners``: also one that was made to tell causes apart, which is shown
    nowhere: who wants it shown makes it anew, of the ledger.
    """
    query = (
        select(evaluation)
        .where(
            evaluation.c.input_hash == input_hash,
            evaluation.c.inputs["n_retryable"].as_integer() == 0,
        )
        .order_by(evaluation.c.id.desc())
        .limit(1)
    )
    if not corners:
        query = query.where(~evaluation.c.settings.has_key("corner"))
    if retry_failed:
        query = query.where(evaluation.c.status == "succeeded")
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    shown = latest(
        engine,
        tier=row.tier,
        kind=row.kind,
        settings_hash=row.settings_hash,
        generation_model=row.generation_model,
        benchmark_judge_model=row.benchmark_judge_model,
        production_judge_model=row.production_judge_model,
    )
    if shown is not None and shown.id > row.id and shown.input_hash != input_hash:
        # Other inputs were measured since, and the newest is what is published: made again, from
        # the ledger, these become the newest.
        return None
    return stored(row, reused=True)


def latest(
    engine: Engine,
    *,
    tier: str,
    kind: Kind,
    settings_hash: str,
    generation_model: str | None = None,
    benchmark_judge_model: str | None = None,
    production_judge_model: str | None = None,
) -> StoredEvaluation | None:
    """Return the newest usable evaluation of these models under one settings hash."""
    columns = evaluation.c
    query = (
        select(evaluation)
        .where(
            columns.tier == tier,
            columns.kind == kind,
            columns.settings_hash == settings_hash,
            columns.status.in_(["succeeded", "partial"]),
            columns.generation_model.is_not_distinct_from(generation_model),
            columns.benchmark_judge_model.is_not_distinct_from(benchmark_judge_model),
            columns.production_judge_model.is_not_distinct_from(production_judge_model),
        )
        .order_by(columns.id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return stored(row) if row else None


def newest_of_tier(engine: Engine, tier: str, dump: str | None = None) -> StoredEvaluation | None:
    """Return the newest usable evaluation of a tier of no model, whatever its settings.

    ``dump``: of this snapshot; None: of any.
    """
    columns = evaluation.c
    query = select(evaluation).where(
        columns.tier == tier,
        columns.kind == "metrics",
        columns.status.in_(["succeeded", "partial"]),
        columns.generation_model.is_(None),
        columns.benchmark_judge_model.is_(None),
    )
    if dump is not None:
        query = query.where(columns.dump_sha256 == dump)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(columns.id.desc()).limit(1)).one_or_none()
    return None if row is None else stored(row)


def latest_of_kind(
    engine: Engine, *, tier: str, kind: Kind, settings_hash: str
) -> list[StoredEvaluation]:
    """Return the newest evaluation of each model or pair of models under one settings hash."""
    columns = evaluation.c
    roles = (
        columns.generation_model,
        columns.benchmark_judge_model,
        columns.production_judge_model,
    )
    query = (
        select(evaluation)
        .distinct(*roles)
        .where(columns.tier == tier, columns.kind == kind, columns.settings_hash == settings_hash)
        .order_by(*roles, columns.id.desc())
    )
    with engine.connect() as connection:
        return [stored(row) for row in connection.execute(query)]


def by_id(engine: Engine, number: int) -> StoredEvaluation | None:
    """Return an evaluation by its number; None if there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(evaluation).where(evaluation.c.id == number)).one_or_none()
    return stored(row) if row else None


def newest_id(engine: Engine) -> int:
    """Return the id of the newest evaluation; 0 if there is none."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.max(evaluation.c.id))).scalar() or 0)


def what_is_there(engine: Engine) -> tuple[int, int]:
    """Return the id of the newest evaluation and how many there are: another pair when one was
    added or deleted since.
    """
    query = select(func.coalesce(func.max(evaluation.c.id), 0), func.count())
    with engine.connect() as connection:
        newest, n = connection.execute(query.select_from(evaluation)).one()
    return int(newest), int(n)


def cases_of(engine: Engine, evaluation_id: int) -> list[Case]:
    """Return the cases of an evaluation by case id and repeat."""
    query = (
        select(evaluation_case)
        .where(evaluation_case.c.evaluation_id == evaluation_id)
        .order_by(evaluation_case.c.case_id, evaluation_case.c.repeat)
    )
    with engine.connect() as connection:
        return [
            Case(
                case_id=row.case_id,
                repeat=row.repeat,
                answer=row.answer,
                retrieved=row.retrieved,
                citations=row.citations,
                scores=row.scores,
                error_code=row.error_code,
                error_detail=row.error_detail,
                flags=row.flags,
                calls=row.calls,
            )
            for row in connection.execute(query).all()
        ]


def failures_of(engine: Engine, evaluation_id: int) -> list[tuple[str, str | None]]:
    """Return error code and detail of each case that has no result, in the cases' order."""
    query = (
        select(evaluation_case.c.error_code, evaluation_case.c.error_detail)
        .where(
            evaluation_case.c.evaluation_id == evaluation_id,
            evaluation_case.c.error_code.is_not(None),
        )
        .order_by(evaluation_case.c.case_id, evaluation_case.c.repeat)
    )
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query) if is_failure(row[0])]
