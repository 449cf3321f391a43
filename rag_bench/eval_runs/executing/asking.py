"""Runs that ask models, encode, or run others' code: the steps of the tiers on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs import limits
from rag_bench.eval_runs.executing.benches import retrieves_by_itself
from rag_bench.eval_runs.executing.light import NAME
from rag_bench.eval_runs.executing.measuring import Measuring
from rag_bench.llm.transport.budget import Budget, Reservation, spending
from rag_bench.llm.transport.stopping import StoppedError, StoppedWorkError, run_stoppable
from rag_bench.llm.transport.tally import counting
from rag_bench.store import datasets
from rag_bench.store.datasets import EVALUATED

if TYPE_CHECKING:
    from rag_bench.eval_runs.executing.execution import Execution
    from rag_bench.eval_runs.executing.parts import Part
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models


class _NothingMore(Budget):
    """Of a stopped run: its cases say that it was stopped, not that some cap is low."""

    async def reserve(self, model_key: str, most_usd: Decimal | None) -> Reservation:
        raise StoppedError


def measure(execution: Execution, parts: Sequence[Part]) -> bool:
    """Measure and store all parts; return whether it was stopped before the end.

    Cancelled in a part, what was answered of it is measured: of the ledger, without a call. If it
    only stops here, whoever goes on does that, and the process that ends need not wait for it.
    """
    at: list[Part] = []

    async def work() -> None:
        async with _models(execution, parts) as models:
            for part in parts:
                at[:] = [part]
                await _measure(execution, part, models, last=part is parts[-1])

    budget = limits.budget_of(execution.engine, execution.settings, execution.run_row)
    try:
        _on_a_loop(work, budget, execution)
    except StoppedWorkError:
        pass
    else:
        return False

    async def kept() -> None:
        async with _models(execution, at) as models:
            await _measure(execution, at[0], models, last=False)

    if at and execution.is_cancelled():
        with suppress(RagBenchError):  # it may have been stopped before there was anything
            _on_a_loop(kept, _NothingMore(max_calls=0), None)
    return True


def _on_a_loop(
    work: Callable[[], Coroutine[Any, Any, None]],
    budget: Budget | None,
    execution: Execution | None,
) -> None:
    """Run work that spends from a budget; ``execution``: it is stopped when that is to end."""

    async def main() -> None:
        try:
            await work()
        finally:
            if budget is not None:
                await budget.give_back()

    with spending(budget):
        if execution is None:
            asyncio.run(main())
            return
        with counting(execution.tally):
            run_stoppable(main, execution.cancelled)


@asynccontextmanager
async def _models(execution: Execution, parts: Sequence[Part]) -> AsyncIterator[Models | None]:
    """Open the client, once for all parts, if anybody is asked anything."""
    if not execution.wanted.judged and all(part.given for part in parts):
        yield None
        return
    from rag_bench.assembly import open_models

    async with open_models(execution.settings, execution.engine) as models:
        yield models


async def _measure(execution: Execution, part: Part, models: Models | None, *, last: bool) -> None:
    rows = execution.rows_of(part)
    items = execution.items_of(rows)
    generator = execution.generator(part)
    if execution.config.dataset_id is not None:
        dataset = datasets.get_dataset(execution.engine, execution.config.dataset_id)
    else:
        with execution.engine.begin() as connection:
            dataset = datasets.add_dataset(connection, NAME, EVALUATED, items)
    bench = _bench(execution, part, dataset, items)
    bench.retry_failed = execution.retried
    measuring = Measuring(bench, models, execution.config, execution.wanted, generator)
    found = await measuring.run()
    if not retrieves_by_itself(generator):
        bench.twins  # noqa: B018  what was found is told by the chunks that the client named
    measured = found.measured(execution.engine, bench, execution.wanted, generator)
    results = execution.join(rows, items, measured, found.all)
    with execution.engine.begin() as connection:
        execution.save(connection, part, results, [one.id for one in found.all], last=last)
    execution.benches.keep(bench)


def _bench(
    execution: Execution, part: Part, dataset: datasets.DatasetInfo, items: Sequence[datasets.Item]
) -> Bench:
    if not part.given:
        return execution.benches.of_asked(dataset)
    named = any(
        item.chunk_hashes or any("chunk_hash" in c for c in item.details[datasets.GIVEN_CONTEXTS])
        for item in items
    )
    return execution.benches.of_given(dataset, snapshot=named)
