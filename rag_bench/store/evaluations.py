"""Evaluations and their cases: appended when finished, never changed.

An evaluation is written whole, in one transaction, when it is done; until then its progress
lives in the call ledger. So a killed run leaves no half evaluation.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, func, insert, select, text

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.aggregate import count_errors, count_flags, is_failure
from rag_bench.evaluation.precision import published
from rag_bench.hashing import content_hash
from rag_bench.provenance import git_commit
from rag_bench.store.tables import evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row

Kind = Literal["metrics", "answers", "scores", "ragas", "custom"]
"""What was measured: without a generation model; its answers; rubric or gate scores; RAGAS; the
metrics that a user added."""

# Of a case's scores: how long a call took says nothing of what was found.
_DURATIONS = ("latency_ms",)


@dataclass(frozen=True)
class Case:
    """What one question (and repeat) gave: an answer, scores, or a coded error."""

    case_id: str
    repeat: int = 0
    answer: str | None = None
    retrieved: Any = None
    citations: Any = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    error_code: str | None = None
    error_detail: str | None = None
    flags: Sequence[str] = ()


@dataclass(frozen=True)
class NewEvaluation:
    """Everything that names an evaluation; see the columns of the table."""

    tier: str
    kind: Kind
    settings_hash: str
    settings: Mapping[str, Any]
    input_hash: str
    started_at: datetime
    generation_model: str | None = None
    benchmark_judge_model: str | None = None
    production_judge_model: str | None = None
    embedding_model: str | None = None
    dataset_id: str | None = None
    dump_sha256: str | None = None
    prompt_hash: str | None = None
    code_version: str | None = None
    dagster_run_id: str | None = None
    trace_id: str | None = None
    user_id: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    # Errors that another run may not meet (network, limits, timeouts): the next run tries again.
    n_retryable: int = 0


@dataclass(frozen=True)
class StoredEvaluation:
    """A row of ``evaluation``, as far as others read it."""

    id: int
    tier: str
    kind: str
    status: str
    settings_hash: str
    generation_model: str | None
    benchmark_judge_model: str | None
    production_judge_model: str | None
    dataset_id: str | None
    input_hash: str
    metrics: Mapping[str, Any]
    errors: Mapping[str, int]
    finished_at: datetime | None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False

    @property
    def version(self) -> str:
        """The address of what was found: equal for equal results of equal inputs, on any machine.

        Of an evaluation stored before `outcome_hash` was, it is the one that was recorded then.
        """
        outcome = self.inputs.get("outcome_hash")
        found = self.metrics if outcome is None else outcome
        return content_hash([self.input_hash, found, self.errors])

    @property
    def needs_retry(self) -> bool:
        """Whether cases are missing that another run may get."""
        return bool(self.inputs.get("n_retryable"))

    @property
    def flags(self) -> Mapping[str, int]:
        """How many cases carry each remark; empty for those stored before remarks were counted."""
        return self.inputs.get("flags") or {}

    @property
    def n_errors(self) -> int:
        """How many cases ended without a result; an answer without citations is one with."""
        return sum(n for code, n in self.errors.items() if is_failure(code))


def _stored(row: Row[Any], *, reused: bool = False) -> StoredEvaluation:
    names = (
        *("id", "tier", "kind", "status", "settings_hash", "generation_model"),
        *("benchmark_judge_model", "production_judge_model", "dataset_id", "input_hash"),
        *("metrics", "errors", "finished_at", "inputs"),
    )
    return StoredEvaluation(**{name: getattr(row, name) for name in names}, reused=reused)


def outcome_hash(cases: Sequence[Case]) -> str:
    """Return the address of what cases say, without any number that machines may round otherwise.

    Texts, what was retrieved and cited, codes, flags, whole-number scores and verdicts are in it;
    fractions (cosines, ratios, means) are not: they follow from those and from the inputs. Nor is
    how long a call took.
    """
    return content_hash(
        [
            [
                *(case.case_id, case.repeat, case.answer, case.error_code, sorted(case.flags)),
                *(_exact(case.retrieved), _exact(case.citations), _exact(dict(case.scores))),
            ]
            for case in sorted(cases, key=lambda case: (case.case_id, case.repeat))
        ]
    )


def _exact(value: Any) -> Any:
    """Return a JSON value without its fractions and durations."""
    if isinstance(value, Mapping):
        return {
            key: _exact(item)
            for key, item in value.items()
            if not isinstance(item, float) and key not in _DURATIONS
        }
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value if not isinstance(item, float)]
    return value


def _rounded(value: Any) -> Any:
    """Return a JSON value with its fractions as they are published: six decimals."""
    if isinstance(value, float):
        return published(value) if math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def save_evaluation(
    engine: Engine, new: NewEvaluation, cases: Sequence[Case], *, n_scored: int
) -> StoredEvaluation:
    """Write an evaluation with its cases and return it.

    ``n_scored`` results decide the status: none of any cases is failed, some errors partial.
    """
    incomplete = any(case.error_code for case in cases)
    status = "failed" if cases and not n_scored else "partial" if incomplete else "succeeded"
    with engine.begin() as connection:
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
                trace_id=new.trace_id,
                user_id=new.user_id or os.environ.get("BENCHMARK_RUN_AUTHOR"),
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
                        "scores": _rounded(case.scores),
                        "error_code": case.error_code,
                        "error_detail": case.error_detail,
                        "flags": list(case.flags),
                    }
                    for case in cases
                ],
            )
    return _stored(row)


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


def find_finished(
    engine: Engine, input_hash: str, *, retry_failed: bool = False
) -> StoredEvaluation | None:
    """Return the newest evaluation of exactly these inputs that needs no second try.

    One with errors that another run may not meet is not returned; with ``retry_failed``, none
    with any error is.
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
    return _stored(row, reused=True)


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
    return _stored(row) if row else None


def settings_seen(engine: Engine, *, tier: str, kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """Return the newest settings (hash, content) under which a kind of evaluation exists."""
    newest = (
        select(evaluation.c.settings_hash, func.max(evaluation.c.id).label("id"))
        .where(evaluation.c.tier == tier, evaluation.c.kind == kind)
        .group_by(evaluation.c.settings_hash)
        .subquery()
    )
    query = (
        select(evaluation.c.settings_hash, evaluation.c.settings)
        .join(newest, and_(newest.c.id == evaluation.c.id))
        .order_by(evaluation.c.id.desc())
        .limit(5)
    )
    with engine.connect() as connection:
        return [(row.settings_hash, row.settings) for row in connection.execute(query)]


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
            )
            for row in connection.execute(query)
        ]


def model_runs(engine: Engine, settings_hash: str) -> list[dict[str, Any]]:
    """Return every triple of models measured under one settings hash, with its metrics."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select * from rag_bench.model_runs where settings_hash = :hash order by "
                "generation_model, benchmark_judge_model, production_judge_model"
            ),
            {"hash": settings_hash},
        )
        return [dict(row._mapping) for row in rows]


def joined(engine: Engine, settings_hash: str) -> list[StoredEvaluation]:
    """Return what `model_runs` joins under one settings hash: of every model or pair of models the
    newest result, if it is of the answers that are there now.
    """
    columns = evaluation.c
    what = (
        *(columns.tier, columns.kind, columns.generation_model),
        *(columns.benchmark_judge_model, columns.production_judge_model),
    )
    query = (
        select(evaluation)
        .distinct(*what)
        .where(columns.settings_hash == settings_hash, columns.status.in_(["succeeded", "partial"]))
        .order_by(*what, columns.id.desc())
    )
    with engine.connect() as connection:
        found = [_stored(row) for row in connection.execute(query)]
    answers = {
        (one.tier, one.generation_model): one.inputs.get("answers_hash")
        for one in found
        if one.kind == "answers"
    }

    def counts(one: StoredEvaluation) -> bool:
        if one.generation_model is None or one.kind == "answers":
            return True
        answered = (one.tier, one.generation_model)
        return answered in answers and answers[answered] == one.inputs.get("answers_hash")

    return [one for one in found if counts(one)]


def newest_id(engine: Engine) -> int:
    """Return the id of the newest evaluation; 0 if there is none."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.max(evaluation.c.id))).scalar() or 0)


def version_of_all(engine: Engine, settings_hash: str) -> str:
    """Return the address of all that `joined` gives, made of their `StoredEvaluation.version`."""
    return content_hash(sorted(one.version for one in joined(engine, settings_hash)))


@dataclass(frozen=True)
class MeasuredSettings:
    """Settings under which a generation model was measured; ``limit``: only so many questions."""

    settings_hash: str
    limit: int | None

    @classmethod
    def newest_first(cls, engine: Engine) -> list[MeasuredSettings]:
        """Return all of them, those of the newest usable evaluation first."""
        columns = evaluation.c
        query = (
            select(columns.settings_hash, columns.settings["limit"].as_integer().label("limit"))
            .distinct(columns.settings_hash)
            .add_columns(columns.id)
            .where(
                columns.generation_model.is_not(None),
                columns.status.in_(["succeeded", "partial"]),
            )
            .order_by(columns.settings_hash, columns.id.desc())
        )
        with engine.connect() as connection:
            rows = sorted(connection.execute(query), key=lambda row: -row.id)
        return [cls(row.settings_hash, row.limit) for row in rows]


def newest_settings_hash(engine: Engine) -> str | None:
    """Return the settings hash that is shown where none is named: of the newest whole run.

    A trial with a limit measured other things than the runs that it was a trial for: it is shown
    by default only where there is nothing else.
    """
    found = MeasuredSettings.newest_first(engine)
    whole = [settings for settings in found if settings.limit is None]
    return next((settings.settings_hash for settings in whole or found), None)


def find_settings_hash(engine: Engine, wanted: str) -> str | None:
    """Return the settings hash that ``wanted`` is, or begins; None if there is none.

    Raises:
        RagBenchError: several begin so.
    """
    columns = evaluation.c
    query = (
        select(columns.settings_hash)
        .where(columns.settings_hash.startswith(wanted, autoescape=True))
        .distinct()
        .order_by(columns.settings_hash)
    )
    with engine.connect() as connection:
        found = list(connection.execute(query).scalars())
    if wanted in found or len(found) < 2:
        return wanted if wanted in found else next(iter(found), None)
    raise RagBenchError(
        f"{len(found)} settings hashes begin with {wanted}: write more of it. "
        f"{', '.join(found[:5])}{' …' if len(found) > 5 else ''}"
    )


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
        return [_stored(row) for row in connection.execute(query)]


#: Where a kind of evaluation records what it measured with, beside the settings hash.
_INSTRUMENTS = {
    "RAGAS": "kind = 'ragas'",
    "tier judge": "tier = 'judge'",
    "tier judge_pipeline": "tier = 'judge_pipeline'",
}


def different_instruments(engine: Engine, settings_hash: str) -> dict[str, list[str]]:
    """Return, by what was measured, the models whose newest results another instrument made.

    The instrument is what the newest evaluation of the kind was made with: the dataset of pairs,
    the sample of triples, RAGAS' prompts, language and version.
    """
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for what, condition in _INSTRUMENTS.items():
            rows = connection.execute(
                text(
                    "select distinct on (tier, generation_model, benchmark_judge_model, "
                    "production_judge_model) id, concat_ws(' by ', generation_model, "
                    "coalesce(benchmark_judge_model, production_judge_model)) as models, "
                    "jsonb_build_array(dataset_id, prompt_hash, inputs -> 'sample_hash', "
                    "inputs -> 'ragas_language', inputs -> 'ragas_version') as instrument "
                    "from rag_bench.evaluation "
                    f"where settings_hash = :hash and status in ('succeeded', 'partial') "
                    f"and {condition} order by tier, generation_model, benchmark_judge_model, "
                    "production_judge_model, id desc"
                ),
                {"hash": settings_hash},
            ).all()
            if not rows:
                continue
            newest = max(rows, key=lambda row: row.id)
            unlike = [row.models for row in rows if row.instrument != newest.instrument]
            if unlike:
                found[what] = list(dict.fromkeys(unlike))
    return found
