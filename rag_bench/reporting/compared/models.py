"""A generation model under one settings hash as a side: all that was measured of its answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.types import Scale
from rag_bench.reporting.compared.sides import Side, SideCase, of_evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

_SETTINGS = re.compile(r"[0-9a-f]{4,64}")
# What is of one of its evaluations; judges stand in the metrics' names.
_OF_ONE = ("tier", "kind", "judge_model", "answers_hash")


def of_model(engine: Engine, wanted: str) -> Side | None:
    """Return the side of ``MODEL``, or ``MODEL@SETTINGS`` (a hash or its beginning).

    Without settings it is the newest that are shown. Metrics are named with tier and judge,
    ``3.rubric_e2e_quality by openai/gpt-5``. None if there is no such model or nothing measured.

    Raises:
        RagBenchError: several settings hashes begin so.
    """
    from rag_bench.store.evaluations import find_settings_hash, joined, newest_settings_hash
    from rag_bench.store.evaluations.comparing import find_evaluation

    model, settings = wanted, newest_settings_hash(engine)
    before, at, after = wanted.rpartition("@")
    if at and _SETTINGS.fullmatch(after):
        model, settings = before, find_settings_hash(engine, after)
    if settings is None:
        return None
    ids = [one.id for one in joined(engine, settings) if one.generation_model == model]
    with engine.connect() as connection:
        found = [one for number in ids if (one := find_evaluation(connection, number)) is not None]
    if not found:
        return None
    cases: dict[str, SideCase] = {}
    scales: dict[str, Scale] = {}
    made: dict[str, Any] = {}
    sides = [(one, of_evaluation(engine, one)) for one in found]
    for one, side in sides:
        judge = one.benchmark_judge_model or one.production_judge_model
        names = {
            name: f"{one.tier}.{name}" + (f" by {judge}" if judge else "") for name in side.metrics
        }
        scales |= {names[name]: scale for name, scale in side.scales.items()}
        for name, value in side.made_with.items():
            if name not in _OF_ONE:
                made.setdefault(name, value)
        for case in side.cases:
            scores = {names[name]: value for name, value in case.scores.items()}
            key = case.asked.case_id
            if key not in cases:
                cases[key] = replace(case, position=len(cases), scores=scores)
                continue
            first = cases[key]
            state = case.state if first.state == "done" else first.state
            cases[key] = replace(first, scores={**first.scores, **scores}, state=state)
    status = "partial" if any(side.status != "succeeded" for _, side in sides) else "succeeded"
    return Side(
        "model",
        f"{model}@{settings[:12]}",
        status,
        list(cases.values()),
        made,
        scales,
        next((side.dump for _, side in sides if side.dump), None),
    )
