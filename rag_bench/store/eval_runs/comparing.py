"""Runs and their cases as far as a comparison reads them: no answers, no contexts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from rag_bench.errors import RagBenchError
from rag_bench.store.eval_runs.tables import eval_run, eval_run_evaluation
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Shorter beginnings of an id name too much.
LEAST_PREFIX = 4

_CASES = text("""
    select c.position, c.case_id, c.given ? 'id' as named,
        c.given ->> 'question' as question, c.given ->> 'ground_truth_answer' as reference,
        c.known -> 'chunk_hashes' ->> 0 as chunk, p.page_url as page,
        c.result -> 'metrics' as metrics, c.errored,
        coalesce(jsonb_typeof(c.result) = 'object', false) as done
    from rag_bench.eval_run_case c
    left join rag_bench.chunk p
        on p.dump_sha256 = :dump and p.chunk_hash = c.known -> 'chunk_hashes' ->> 0
    where c.run_id = :run order by c.position
""")


@dataclass(frozen=True)
class RunToCompare:
    """A row of ``eval_run``, as far as comparisons name it."""

    id: str
    status: str
    config: Mapping[str, Any]
    baseline: str | None


@dataclass(frozen=True)
class CaseToCompare:
    """A case of a run.

    ``named``: ``case_id`` is the client's. ``page``: of the first relevant chunk, None if it is
    not known. ``metrics``: None where there is no result yet.
    """

    position: int
    case_id: str
    named: bool
    question: str | None
    reference: str | None
    chunk: str | None
    page: str | None
    metrics: Mapping[str, Any] | None
    errored: bool


def find_run(connection: Connection, wanted: str) -> RunToCompare | None:
    """Return the run whose id is ``wanted`` or begins so; None if there is none.

    Raises:
        RagBenchError: several begin so.
    """
    run = eval_run.c
    query = select(run.id, run.status, run.config, run.baseline)
    row = connection.execute(query.where(run.id == wanted)).one_or_none()
    if row is None and len(wanted) >= LEAST_PREFIX:
        begin = run.id.startswith(wanted, autoescape=True)
        rows = connection.execute(query.where(begin).order_by(run.id).limit(6)).all()
        if len(rows) > 1:
            ids = ", ".join(one.id for one in rows[:5])
            raise RagBenchError(f"Several runs begin with {wanted}: write more of it. {ids}")
        row = rows[0] if rows else None
    return None if row is None else RunToCompare(*row)


def cases_to_compare(connection: Connection, run: RunToCompare) -> Iterator[CaseToCompare]:
    """Yield the cases of a run in their order."""
    parameters = {"run": run.id, "dump": run.config.get("dump_sha256")}
    for row in connection.execute(_CASES, parameters):
        yield CaseToCompare(
            row.position,
            row.case_id,
            row.named,
            row.question,
            row.reference,
            row.chunk,
            row.page,
            (row.metrics or {}) if row.done else None,
            row.errored,
        )


def made_with(connection: Connection, run_id: str) -> Sequence[Mapping[str, Any]]:
    """Return what the evaluations of a run were made with, each combination once."""
    made, part = evaluation.c, eval_run_evaluation.c
    query = (
        select(
            made.tier,
            made.kind,
            made.settings,
            made.prompt_hash,
            made.code_version,
            made.git_commit,
            made.inputs,
            made.embedding_model,
        )
        .join(eval_run_evaluation, part.evaluation_id == made.id)
        .where(part.run_id == run_id)
        .order_by(made.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
