"""A tier's tasks evaluated without Dagster, by its own functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import (
    Declared,
    Planned,
    Task,
    evaluate,
    evaluate_here,
    evaluate_one,
)
from rag_bench.tiers.base.models import Models

OnDone = Callable[[Any, StoredEvaluation], Any]


def tasks_of(planned: Sequence[Planned[Any]]) -> list[Task[Any]]:
    """Return the tasks; whoever calls expects nothing else."""
    others = [one for one in planned if not isinstance(one, Task)]
    assert not others, others
    return [one for one in planned if isinstance(one, Task)]


async def evaluated(
    tasks: Callable[[Bench, Models, Declared, Any], Sequence[Planned[Any]]],
    bench: Bench,
    models: Models,
    step: Declared,
    keys: Sequence[Any],
    on_done: OnDone,
) -> None:
    """Evaluate a step for these keys; ``on_done`` is called with a key and its evaluation."""
    found = tasks_of(tasks(bench, models, step, keys))
    await evaluate(bench, models, found, lambda task, it: on_done(task.key, it), "test")


async def evaluated_here(bench: Bench, planned: Sequence[Planned[Any]], on_done: OnDone) -> None:
    """Evaluate tasks that ask no model."""
    await evaluate_here(
        bench, tasks_of(planned), lambda task, found: on_done(task.key, found), "test"
    )


def evaluated_whole(
    tasks: Callable[[Bench, None, Declared, Any], Sequence[Planned[Any]]],
    bench: Bench,
    step: Declared,
) -> StoredEvaluation:
    """Evaluate a step that is of no model."""
    [task] = tasks_of(tasks(bench, None, step, [None]))
    return evaluate_one(bench, task)
