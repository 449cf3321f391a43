"""A run that is gone on with: the same again, or with metrics that are added to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.intake import measures, models
from rag_bench.eval_runs.intake.configured import configured_providers
from rag_bench.eval_runs.intake.prepared import Prepared
from rag_bench.llm.config.roles import Role
from rag_bench.retrievers import HttpReranker, retrievers
from rag_bench.store.eval_runs.creating import NewCase
from rag_bench.store.eval_runs.results import cases_at, reading
from rag_bench.store.eval_runs.tables import eval_run_case
from rag_bench.strict_json.places import InvalidInput, Place, pointer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings


def completed(
    engine: Engine, settings: Settings, row: Mapping[str, Any], metrics: Sequence[str]
) -> tuple[dict[str, Any], bool]:
    """Return a run's configuration with further metrics, and whether it may cost money.

    Args:
        engine: of the database; nothing is stored.
        settings: what names metrics, models and retrievers.
        row: of the table of runs.
        metrics: as a request names them; none: the configuration stays.

    Raises:
        InvalidInput: a metric that there is not, or that the run has no answers for.
    """
    config = RunConfig.of_json(row["config"])
    errors: list[Place] = []
    added = measures.named_metrics(metrics, settings, errors)
    answered = config.generation_model is not None or _has_answers(engine, row["id"])
    if not answered and any(measures.reads_answers(("retrieval",), [one]) for one in added):
        detail = "This run measures retrieval alone: it has no answers that metrics could read."
        errors.append(Place(detail, pointer=pointer(["metrics"])))
    if errors:
        raise InvalidInput("The request has impossible values.", errors)
    config = replace(config, metrics=tuple(dict.fromkeys((*config.metrics, *added))))
    if config.judge_model is None and measures.asks_a_judge(config.eval_types, config.metrics):
        judge = configured_providers().resolve_models(Role.benchmark_judge)[0]
        config = replace(config, judge_model=judge)
    found = retrievers(settings).get(config.retriever)
    paid = models.may_cost([config.generation_model, config.judge_model]) or (
        found is not None and isinstance(found.reranks, HttpReranker)
    )
    return config.as_json(), paid


def prepared_again(
    engine: Engine, row: Mapping[str, Any], config: Mapping[str, Any], *, paid: bool
) -> Prepared:
    """Return a run that is gone on with as one that is prepared: what it asks still can be counted.

    Args:
        engine: of the database.
        row: of the table of runs.
        config: of `completed`, like ``paid``.
        paid: whether it may cost money.
    """
    with reading(engine) as connection:
        cases = cases_at(connection, row["id"])
    return Prepared(
        request=row["request"],
        config=RunConfig.of_json(config),
        cases=[NewCase(one.position, one.case_id, one.given, one.known) for one in cases],
        paid=paid,
        max_calls=row["max_calls"],
        max_cost_usd=row["max_cost_usd"],
    )


def _has_answers(engine: Engine, run_id: str) -> bool:
    """Tell whether no case of a run lacks an answer of its own."""
    lacking = exists().where(
        eval_run_case.c.run_id == run_id, ~eval_run_case.c.given.has_key("answer")
    )
    with engine.connect() as connection:
        return not connection.execute(select(lacking)).scalar_one()
