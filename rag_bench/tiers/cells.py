"""Many cells of a sweep on one event loop.

A cell is one partition: a model, or a pair of models. Its jobs (one per case) run with those of
the other cells, so that a provider's limit is used up to the end; a cell is finished, and handed
to ``on_done``, as soon as its last job is. Cells of different providers do not wait for each
other: a dead provider costs only its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.budget import CapReachedError
from rag_bench.llm.tally import asking_for
from rag_bench.tiers.rehearsal import rehearse_calls, rehearse_measuring

R = TypeVar("R")

#: After so many failed calls in a row without one success a provider is not asked again.
GIVE_UP_AFTER = 25
#: Workers per call in flight: while one waits for its reply to be committed, another calls.
_WORKERS_PER_SLOT = 2


@dataclass
class Cell(Generic[R]):
    """One partition's work.

    Attributes:
        key: its model or models; requests are counted for it.
        provider: whose limit its jobs count against.
        jobs: one coroutine function per case, in order.
        finish: makes and stores the result of all jobs, off the event loop; gets one entry per
            job, a value or the CaseError that it ended with.
        rehearse: does once, in small, what ``finish`` does with libraries, so that they are
            imported before other threads are at work; the same thing twice costs nothing. Means
            and rates are rehearsed for every cell.
    """

    key: Any
    provider: str
    jobs: Sequence[Callable[[], Awaitable[Any]]]
    finish: Callable[[list[Any]], R]
    rehearse: Callable[[], None] | None = None
    results: list[Any] = field(default_factory=list)
    n_left: int = 0


class _Breaker:
    """Counts a provider's failures in a row; a dead one is not asked a thousand times."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0

    @property
    def open(self) -> bool:
        return self.failed_in_a_row >= GIVE_UP_AFTER

    def note(self, result: Any) -> None:
        if isinstance(result, CapReachedError):
            return  # it was not asked, so it says nothing about the provider
        failed = isinstance(result, CaseError) and result.retryable
        self.failed_in_a_row = self.failed_in_a_row + 1 if failed else 0


def gave_up() -> CaseError:
    """Return the error of a case that was not asked because its provider answers nothing."""
    return CaseError(
        ErrorCode.LLM_FAILED,
        f"not asked: the provider failed {GIVE_UP_AFTER} times in a row; run again later",
        retryable=True,
    )


async def run_cells(
    cells: Sequence[Cell[R]],
    slots: Callable[[str], int],
    on_done: Callable[[Cell[R], R], None],
    progress: Callable[[int, int], None],
) -> None:
    """Run all jobs of all cells; call ``on_done`` for each cell as it ends.

    ``slots`` tells how many calls a provider may have in flight; ``progress`` is called with the
    jobs done and the jobs in all.

    Raises:
        Exception: a fault of the program itself; the failure of a case is no exception here.
    """
    # On this thread, before there is another: nothing may be imported for the first time beside
    # the running cells.
    if cells:
        await rehearse_calls()
        rehearse_measuring()
    for cell in cells:
        if cell.rehearse:
            cell.rehearse()
    total = sum(len(cell.jobs) for cell in cells)
    done = 0
    if total:
        progress(0, total)

    # One at a time: finishing is work for the processor.
    finishing = asyncio.Lock()

    async def finish(cell: Cell[R]) -> None:
        async with finishing:
            result = await asyncio.to_thread(cell.finish, cell.results)
        cell.results = []
        on_done(cell, result)

    async def work(queue: Iterator[tuple[Cell[R], int]], breaker: _Breaker) -> None:
        nonlocal done
        for cell, index in queue:
            cell.results[index] = gave_up() if breaker.open else await _result(cell, index)
            if not breaker.open:
                breaker.note(cell.results[index])
            done += 1
            progress(done, total)
            cell.n_left -= 1
            if not cell.n_left:
                await finish(cell)

    try:
        async with asyncio.TaskGroup() as tasks:
            by_provider: dict[str, list[Cell[R]]] = {}
            for cell in cells:
                cell.results = [None] * len(cell.jobs)
                cell.n_left = len(cell.jobs)
                if cell.jobs:
                    by_provider.setdefault(cell.provider, []).append(cell)
                else:
                    tasks.create_task(finish(cell))
            for provider, mine in by_provider.items():
                queue = ((cell, index) for cell in mine for index in range(len(cell.jobs)))
                breaker = _Breaker()
                n_jobs = sum(len(cell.jobs) for cell in mine)
                for _ in range(min(slots(provider) * _WORKERS_PER_SLOT, n_jobs)):
                    tasks.create_task(work(queue, breaker))
    except BaseExceptionGroup as group:
        # The first fault says it all; the others are its echoes.
        raise group.exceptions[0] from None


async def _result(cell: Cell[Any], index: int) -> Any:
    key = cell.key
    try:
        with asking_for((key,) if isinstance(key, str) else tuple(key)):
            return await cell.jobs[index]()
    except CaseError as error:
        return error
