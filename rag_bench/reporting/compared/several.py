"""Several evaluations as one side: a model under one settings hash, a settings hash, a dump."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.types import Scale
from rag_bench.reporting.compared.sides import Kind, Side, SideCase, of_evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations.comparing import EvaluationToCompare

# What is of one of the evaluations; models and judges stand in the metrics' names.
_OF_ONE = ("tier", "kind", "judge_model", "production_judge_model", "answers_hash")


def of_model(engine: Engine, model: str, settings: str) -> Side | None:
    """Return a generation model under a settings hash: all that was measured of its answers.

    Metrics are named with tier and judge, ``3.rubric_e2e_quality by openai/gpt-5``. None if
    nothing was measured.
    """
    found = [one for one in _joined(engine, settings) if one.generation_model == model]
    return of_several(engine, "model", f"{model}@{settings[:12]}", found)


def of_settings(engine: Engine, settings: str) -> Side | None:
    """Return all that was measured under a settings hash.

    Metrics are named with tier, model and judge: ``3.rubric_e2e_quality of openai/gpt-5 by …``.
    """
    return of_several(engine, "settings", settings[:12], _joined(engine, settings))


def of_dump(engine: Engine, sha256: str) -> Side | None:
    """Return all that was measured on a dump, under the newest whole settings on it."""
    from rag_bench.store.evaluations.comparing import settings_on_dump

    with engine.connect() as connection:
        settings = settings_on_dump(connection, sha256)
    if settings is None:
        return None
    found = [one for one in _joined(engine, settings) if one.dump_sha256 in (sha256, None)]
    return of_several(engine, "dump", sha256[:12], found)


def _joined(engine: Engine, settings: str) -> list[EvaluationToCompare]:
    from rag_bench.store.evaluations import joined
    from rag_bench.store.evaluations.comparing import find_evaluation

    ids = [one.id for one in joined(engine, settings)]
    with engine.connect() as connection:
        return [one for n in ids if (one := find_evaluation(connection, n)) is not None]


def of_several(
    engine: Engine, kind: Kind, name: str, found: Sequence[EvaluationToCompare]
) -> Side | None:
    """Return evaluations as one side; None of none. The names of metrics are those of the kind."""
    if not found:
        return None
    # Two data sets may number their cases alike: questions and pairs of show and hide.
    cases: dict[tuple[str | None, str], SideCase] = {}
    scales: dict[str, Scale] = {}
    made: dict[str, Any] = {}
    sides = [(one, of_evaluation(engine, one)) for one in found]
    named = names_of_model if kind == "model" else _names_of_all
    left_out = _OF_ONE if kind == "model" else (*_OF_ONE, "generation_model")
    for one, side in sides:
        names = named(one, side.metrics)
        scales |= {names[name]: scale for name, scale in side.scales.items()}
        for key, value in side.made_with.items():
            if key not in left_out:
                made.setdefault(key, value)
        for case in side.cases:
            scores = {names[name]: value for name, value in case.scores.items()}
            which = one.dataset_id, case.asked.case_id
            if which not in cases:
                cases[which] = replace(case, position=len(cases), scores=scores)
                continue
            first = cases[which]
            state = case.state if first.state == "done" else first.state
            cases[which] = replace(first, scores={**first.scores, **scores}, state=state)
    status = "partial" if any(side.status != "succeeded" for _, side in sides) else "succeeded"
    return Side(
        kind,
        name,
        status,
        list(cases.values()),
        made,
        scales,
        next((side.dump for _, side in sides if side.dump), None),
    )


Named = Callable[["EvaluationToCompare", Iterable[str]], dict[str, str]]


def names_of_model(one: EvaluationToCompare, metrics: Iterable[str]) -> dict[str, str]:
    """Return what an evaluation's metrics are called on the side of a model."""
    judge = one.benchmark_judge_model or one.production_judge_model
    by = f" by {judge}" if judge else ""
    return {name: f"{one.tier}.{name}{by}" for name in metrics}


def _names_of_all(one: EvaluationToCompare, metrics: Iterable[str]) -> dict[str, str]:
    of = f" of {one.generation_model}" if one.generation_model else ""
    judge = one.benchmark_judge_model or one.production_judge_model
    by = f" by {judge}" if judge else ""
    return {name: f"{one.tier}.{name}{of}{by}" for name in metrics}
