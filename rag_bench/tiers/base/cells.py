"""Many cells of a sweep on one event loop.

A cell is one partition: a model, or a pair of models. Its jobs (one per case) run with those of
the other cells, so that a provider's limit is used up to the end; a cell is finished, and handed
to ``on_done``, as soon as its last job is. Cells of different providers do not wait for each
other: a dead provider costs only its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from rag_bench.errors import CaseError, ConfigurationError, RagBenchError
from rag_bench.evaluation.instrument.served import ServedTally
from rag_bench.llm.transport.case_calls import CaseCall, noting
from rag_bench.llm.transport.context import Watch, watching
from rag_bench.llm.transport.stopping import Stop, current_stop
from rag_bench.llm.transport.tally import asking_for
from rag_bench.tiers.base.health import ModelHealth, ProviderHealth
from rag_bench.tiers.base.rehearsal import rehearse_calls, rehearse_measuring

R = TypeVar("R")

#: Workers per call in flight: while one waits for its reply to be committed, another calls.
_WORKERS_PER_SLOT = 2


_both_ends: ContextVar[bool] = ContextVar("rag_bench_both_ends", default=False)


@contextmanager
def from_both_ends(wanted: bool = True) -> Iterator[None]:
    """Take jobs of the first cell and the last in turn, where the ledger has the first ones: they
    are read beside calls. Else the provider would wait for the reading of all of them.
    """
    token = _both_ends.set(wanted)
    try:
        yield
    finally:
        _both_ends.reset(token)


@dataclass
class Cell(Generic[R]):
    """One partition's work.

    Attributes:
        key: its model or models, None of a step that has one result; requests are counted for it.
        provider: whose limit its jobs count against.
        model: which of its models is asked, if the key does not say so.
        jobs: one coroutine function per case, in order.
        finish: makes and stores the result of all jobs, off the event loop; gets one entry per
            job, a value or the CaseError that it ended with.
        rehearse: does once, in small, what ``finish`` does with libraries, so that they are
            imported before other threads are at work; the same thing twice costs nothing. Means
            and rates are rehearsed for every cell.
        heard: told each job's result as it comes, on the event loop: it must be quick.
        ahead: gets what ``finish`` gets; returns what a later step will ask. It is asked while
            cells are being finished, and only then: the ledger keeps the replies for that step.
        release: called when all cells have ended, however they did.
        served: by whom its calls were served, so far.
        calls: what its jobs asked, case by case; `finish` may read it.
    """

    key: Any
    provider: str
    jobs: Sequence[Callable[[], Awaitable[Any]]]
    finish: Callable[[list[Any]], R]
    rehearse: Callable[[], None] | None = None
    results: list[Any] = field(default_factory=list)
    n_left: int = 0
    model: str | None = None
    heard: Callable[[Any], None] | None = None
    ahead: Callable[[list[Any]], Sequence[Cell[Any]]] | None = None
    release: Callable[[], None] | None = None
    served: ServedTally = field(default_factory=ServedTally)
    calls: list[CaseCall] = field(default_factory=list)

    @property
    def asked(self) -> str:
        """The model that answers the jobs, by which failures are counted."""
        return self.model or str(self.key)


class _Work(Generic[R]):
    """The jobs of one provider's cells: which is next, and whether its model is asked at all."""

    def __init__(self, cells: Sequence[Cell[R]], *, retries: bool = True) -> None:
        self._retries = retries
        self._left = [(cell, list(reversed(range(len(cell.jobs))))) for cell in cells]
        self._health = ProviderHealth({cell.asked: ModelHealth() for cell in cells})
        self._changed = asyncio.Event()
        self._both_ends = _both_ends.get()
        self._from_the_end = False

    async def next(self) -> tuple[Cell[R], int] | None:
        """Return a job that may begin now, waiting for one; None if there are no more."""
        while self._left:
            place = self._choose()
            if place is not None:
                self._from_the_end = self._both_ends and not self._from_the_end
                cell, indexes = self._left[place]
                index = indexes.pop()
                if not indexes:
                    del self._left[place]
                return cell, index
            await self._changed.wait()
        return None

    async def do(self, cell: Cell[R], index: int) -> Any:
        """Return what a job ends with, a CaseError included; of a model given up, that error,
        unless the ledger has all that the job asks.
        """
        model = self._health.models[cell.asked]
        watch = Watch(
            lambda: self._retries and self._health.may_retry(cell.asked),
            partial(self._health.why_not, cell.asked),
        )
        model.running += 1
        try:
            with watching(watch):
                result = await _result(cell, index)
        finally:
            model.running -= 1
            cell.served.update(watch.served)
        self._health.note(cell.asked, result, watch)
        self._changed.set()  # whoever waits looks again
        self._changed = asyncio.Event()
        return result

    def drop(self) -> None:
        """Begin no other job."""
        self._left.clear()
        self._changed.set()

    def _choose(self) -> int | None:
        """Return the place of the first cell, or the last, whose model may be asked; where there is
        trouble, of the one that failed least, so that a model that works is found behind one that
        does not.
        """
        health, best, fewest = self._health, None, 0
        places = range(len(self._left))
        for place in reversed(places) if self._from_the_end else places:
            cell = self._left[place][0]
            if health.why_not(cell.asked) is not None:
                return place  # nothing is sent
            failed = health.failures_that_count(cell.asked)
            if health.is_full(cell.asked) or (best is not None and failed >= fewest):
                continue
            if not failed:
                return place
            best, fewest = place, failed
        return best


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
        RagBenchError: it was stopped on demand before the end; finished cells were handed over.
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
    done, unfinished = 0, len(cells)
    ahead: list[Cell[Any]] = []
    if total:
        progress(0, total)

    stop = current_stop()
    # One at a time: finishing is work for the processor.
    finishing = asyncio.Lock()

    async def finish(cell: Cell[R]) -> None:
        nonlocal unfinished
        async with finishing:
            result = await asyncio.to_thread(cell.finish, cell.results)
        cell.results = []
        unfinished -= 1
        on_done(cell, result)

    async def labour(work: _Work[R]) -> None:
        nonlocal done
        while not _stopped(stop) and (job := await work.next()) is not None:
            cell, index = job
            result = cell.results[index] = await work.do(cell, index)
            if _stopped(stop) and isinstance(result, CaseError):
                return  # perhaps for want of a call: the cell stays open, the next run asks
            if cell.heard:
                cell.heard(result)
            done += 1
            progress(done, total)
            cell.n_left -= 1
            if not cell.n_left:
                if cell.ahead:
                    with suppress(RagBenchError):  # the later step will say it
                        ahead.extend(cell.ahead(cell.results))
                if done == total:
                    tasks.create_task(ask_ahead(ahead, slots, lambda: bool(unfinished)))
                await finish(cell)

    try:
        async with asyncio.TaskGroup() as tasks:
            for cell in cells:
                cell.results = [None] * len(cell.jobs)
                cell.n_left = len(cell.jobs)
                if not cell.jobs:
                    tasks.create_task(finish(cell))
            for mine, n_workers in _by_provider(cells, slots):
                work = _Work(mine)
                for _ in range(n_workers):
                    tasks.create_task(labour(work))
    except BaseExceptionGroup as group:
        # The first fault says it all; the others are its echoes.
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from None
    finally:
        for cell in cells:
            if cell.release:
                cell.release()
    if _stopped(stop) and done < total:
        raise RagBenchError(f"Stopped after {done} of {total} cases; run again to go on.")


async def ask_ahead(
    cells: Sequence[Cell[Any]], slots: Callable[[str], int], needed: Callable[[], bool]
) -> None:
    """Ask what cells ask, for the ledger, as long as it is ``needed``; what is in flight then is
    awaited.

    Whether a provider answers is found out by the step that needs the replies: here nothing is
    retried, and the first failure of a provider ends what is asked of it.
    """

    async def labour(work: _Work[Any]) -> None:
        while needed() and (job := await work.next()) is not None:
            try:
                result = await work.do(*job) if needed() else None
            except ConfigurationError:  # a judge's, which is not told of the answers
                work.drop()
                continue
            if isinstance(result, CaseError) and result.retryable:
                work.drop()

    async with asyncio.TaskGroup() as tasks:
        for mine, n_workers in _by_provider(cells, slots):
            work = _Work(mine, retries=False)
            for _ in range(n_workers):
                tasks.create_task(labour(work))


def _by_provider(
    cells: Sequence[Cell[R]], slots: Callable[[str], int]
) -> Iterator[tuple[Sequence[Cell[R]], int]]:
    """Yield the cells of each provider that have jobs, and how many workers these take."""
    by_provider: dict[str, list[Cell[R]]] = {}
    for cell in cells:
        if cell.jobs:
            by_provider.setdefault(cell.provider, []).append(cell)
    for provider, mine in by_provider.items():
        n_jobs = sum(len(cell.jobs) for cell in mine)
        yield mine, min(slots(provider) * _WORKERS_PER_SLOT, n_jobs)


def _stopped(stop: Stop | None) -> bool:
    return stop is not None and stop.requested


async def _result(cell: Cell[Any], index: int) -> Any:
    key = cell.key
    try:
        with asking_for((key,) if isinstance(key, str) else tuple(key or ())), noting(cell.calls):
            return await cell.jobs[index]()
    except CaseError as error:
        return error
