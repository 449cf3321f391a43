"""Runs that ask nobody and encode nothing: given answers, measured by their words alone.

Nothing is loaded and no event loop is begun; what the tiers would write is written, by the same
code, in the transaction that ends the run. One case costs a handful of statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from rag_bench.answer_sources import CLIENT_ANSWERS
from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.executing.joining import Measured
from rag_bench.eval_runs.executing.measuring import ANSWERS
from rag_bench.eval_runs.executing.parts import Part
from rag_bench.eval_runs.executing.wanted import Wanted
from rag_bench.store import datasets, evaluations
from rag_bench.store.datasets import EVALUATED, DatasetInfo
from rag_bench.store.eval_runs.at_once import Evaluated
from rag_bench.tiers import registry
from rag_bench.tiers.answers import measuring
from rag_bench.tiers.answers.client_answers import client_task
from rag_bench.tiers.answers.earlier import first_answers
from rag_bench.tiers.base.evaluate import find, record_of, with_case_calls

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.eval_runs.executing.execution import Execution
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.evaluate import Task
    from rag_bench.tiers.registry import Step

#: What datasets of this kind are called.
NAME = "evaluated for a client"


def is_light(wanted: Wanted, parts: Sequence[Part]) -> bool:
    """Tell whether all that is wanted can be had so."""
    return all(part.given for part in parts) and _asks_nobody(wanted)


def will_be_light(config: RunConfig, answered: bool) -> bool:
    """Tell of a run that is not stored yet; ``answered``: whether every case brings its answer."""
    return answered and _asks_nobody(Wanted.of(config))


def _asks_nobody(wanted: Wanted) -> bool:
    return (
        not wanted.judged
        and not wanted.extra
        and not measuring.reads_vectors("3", wanted.of_answers)
    )


def measure(execution: Execution, parts: Sequence[Part]) -> bool:
    """Measure and store all parts; return whether it was stopped before the end."""
    for part in parts:
        if part.number and execution.cancelled():
            return True
        _measure(execution, part, last=part is parts[-1])
    return False


def measure_at_once(execution: Execution, part: Part, connection: Connection) -> None:
    """Measure the only part of a small run and end the run, in one statement.

    An evaluation of equal inputs is not looked for before: counting words takes less time.
    """
    rows = execution.rows_of(part)
    items = execution.items_of(rows)
    bench, task = _task(execution, part, items)
    started = datetime.now(UTC)
    measured = with_case_calls(task.prepare().measure([]))
    new = record_of(bench, task, started, measured)
    answers = first_answers(measured.cases)
    execution.ending.at_once(
        connection,
        execution.join(rows, items, Measured(answers), [new]),
        Evaluated(bench.dataset, items, new, measured.cases, measured.n_scored),
    )


def _task(
    execution: Execution, part: Part, items: Sequence[datasets.Item]
) -> tuple[Bench, Task[str]]:
    dataset = DatasetInfo(datasets.address_of(EVALUATED, items), NAME, EVALUATED, len(items))
    by_chunks = execution.wanted.retrieval and any(item.chunk_hashes for item in items)
    bench = execution.benches.of_given(dataset, snapshot=by_chunks)
    bench.__dict__["items"] = items  # they are stored with what is measured of them
    step = _step()
    return bench, client_task(bench, None, step, CLIENT_ANSWERS.key)


@cache  # a look at all tiers takes as long as counting the words
def _step() -> Step:
    return registry.step_named(ANSWERS)


def _measure(execution: Execution, part: Part, *, last: bool) -> None:
    rows = execution.rows_of(part)
    items = execution.items_of(rows)
    bench, task = _task(execution, part, items)
    started = datetime.now(UTC)
    found = find(bench, task)
    if found is not None:
        cases = evaluations.cases_of(execution.engine, found.id)
        results = execution.join(rows, items, Measured(first_answers(cases)), [found])
        with execution.engine.begin() as connection:
            execution.save(connection, part, results, [found.id], last=last)
        return
    measured = with_case_calls(task.prepare().measure([]))
    new = record_of(bench, task, started, measured)
    answers = first_answers(measured.cases)
    results = execution.join(rows, items, Measured(answers), [new])
    with execution.engine.begin() as connection:
        datasets.add_dataset(connection, NAME, EVALUATED, items)
        stored = evaluations.save_evaluation_in(
            connection, new, measured.cases, n_scored=measured.n_scored
        )
        execution.save(connection, part, results, [stored.id], last=last)
    execution.benches.keep(bench)


def warm_up() -> None:
    """Import what such runs need, before the first one waits for it."""
    _step()
    measuring.rehearse("3")
