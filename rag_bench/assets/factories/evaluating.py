"""How a step of the graph evaluates: the tasks of its tier's module, each recorded as it ends."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.assets.factories.cells import Recorder
from rag_bench.assets.factories.describe import prepare
from rag_bench.partitions import cell_key
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Blocked, Nothing, Planned, Task, evaluate, evaluate_here

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.models import Models

Shows = Callable[[Bench, "StoredEvaluation"], Mapping[str, Any]]
"""Returns metadata of a cell beside its metrics, of the bench that it was measured on."""


def partition_of(key: Any) -> str | None:
    """Return the partition of a task's key: a model's, or a pair's in the grid; None: of none."""
    return key if key is None or isinstance(key, str) else cell_key(*key)


async def evaluating(
    bench: Bench,
    models: Models,
    planned: Sequence[Planned[Any]],
    record: Recorder,
    label: str,
    shows: Shows | None = None,
) -> None:
    """Evaluate a step's tasks with an open client, and record them.

    What ``shows`` makes may take long, as queries by the clock do: it waits for the last call.
    """
    done = _recorded_by(bench, record, shows)
    tasks = tasks_among(planned, record)
    if shows is None:
        await evaluate(bench, models, tasks, done, label)
        return
    ended: list[tuple[Task[Any], StoredEvaluation]] = []
    await evaluate(bench, models, tasks, lambda *one: ended.append(one), label)
    for task, found in ended:
        done(task, found)


def evaluating_here(
    bench: Bench,
    planned: Sequence[Planned[Any]],
    record: Recorder,
    label: str,
    shows: Shows | None = None,
) -> Coroutine[Any, Any, None]:
    """Return what evaluates tasks that ask no model, and records them."""
    done = _recorded_by(bench, record, shows)
    return evaluate_here(bench, tasks_among(planned, record), done, label)


def tasks_among(planned: Sequence[Planned[Any]], record: Recorder) -> list[Task[Any]]:
    """Return the tasks; what has nothing to measure, or is blocked, is recorded as that."""
    tasks: list[Task[Any]] = []
    for one in planned:
        match one:
            case Nothing(key, why):
                record.nothing(partition_of(key), why, one.generation_model)
            case Blocked(_, why):
                record.block(why)
            case Task():
                tasks.append(one)
    return tasks


def _recorded_by(bench: Bench, record: Recorder, shows: Shows | None) -> Any:
    prepare()

    def done(task: Task[Any], found: StoredEvaluation) -> None:
        measured_on = task.under if isinstance(task.under, Bench) else bench
        more = shows(measured_on, found) if shows and found.status != "failed" else {}
        record(partition_of(task.key), found, task.made_from, measured_on, more)

    return done
