"""One look into the database for all who wait for runs or follow them, however many they are.

Nobody who waits holds a thread or a connection: a task looks for news of all runs together, a few
times a second while anybody is there, and at once when this process itself has got on with a run.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Event = Mapping[str, Any]
_Found = TypeVar("_Found")

_log = logging.getLogger("rag_bench.api")
#: Seconds between two looks, where other processes execute runs.
_EVERY = 0.25
#: Seconds until the next look after one that failed.
_PATIENCE = 2.0
#: Events of one look, and of one page of what a follower has missed.
_MOST = 500
#: Events of a run that are kept for its followers; who is slower reads them from the table.
_KEPT = 1000


class _Run:
    """A run that is followed: its last events, in common for all followers."""

    def __init__(self, after: int) -> None:
        self.floor = self.last = after  # all events between the two are in `recent`
        self.recent: deque[Event] = deque()
        self.ended = False
        self.followers = 0
        self.changed = asyncio.Event()

    def take(self, events: Sequence[Event], ended: bool) -> None:
        self.recent.extend(events)
        if events:
            self.last = events[-1]["id"]
        while len(self.recent) > _KEPT:
            self.floor = self.recent.popleft()["id"]
        if events or ended != self.ended:
            self.ended = ended
            changed, self.changed = self.changed, asyncio.Event()
            changed.set()


class Following:
    """Who waits for which runs. All methods but `poke` are for the one event loop of the service.

    ``quick`` is an engine of `quick_engine`; two connections of it are used at most.
    """

    def __init__(self, quick: Engine) -> None:
        self._quick = quick
        self._runs: dict[str, _Run] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Look for news at once. From any thread; does nothing where nobody waits."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._poked.set)

    async def ended(self, run_id: str, seconds: float) -> bool:
        """Wait until a run is at its end, or so long; tell whether it is."""
        self._begin()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run_id, set()).add(future)
        try:
            await asyncio.wait_for(future, seconds)
            return True
        except TimeoutError:
            return False
        finally:
            left = self._waiting.get(run_id, set())
            left.discard(future)
            if not left:
                self._waiting.pop(run_id, None)

    async def follow(
        self, run_id: str, after: int, *, heartbeat: float
    ) -> AsyncIterator[Sequence[Event]]:
        """Give the events of a run from behind an id, until its last.

        An empty list is a heartbeat: so many seconds nothing happened.
        """
        self._begin()
        run = self._runs.setdefault(run_id, _Run(after))
        run.followers += 1
        self._poked.set()
        try:
            while True:
                changed = run.changed  # before the look: what comes meanwhile is not missed
                if after < run.floor:
                    missed = partial(reading.events, run_id=run_id, after=after, limit=_MOST)
                    events: Sequence[Event] = await self._read(missed)
                    if not events:
                        after = run.floor
                        continue
                else:
                    events = [one for one in run.recent if one["id"] > after]
                if events:
                    after = events[-1]["id"]
                    yield events
                elif run.ended:
                    return
                else:
                    try:
                        await asyncio.wait_for(changed.wait(), heartbeat)
                    except TimeoutError:
                        yield []
        finally:
            run.followers -= 1
            if not run.followers and self._runs.get(run_id) is run:
                del self._runs[run_id]

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._loop is not loop:
            self._loop, self._poked = loop, asyncio.Event()
            self._limiter = CapacityLimiter(2)
            self._task = loop.create_task(self._look_while_asked())

    async def _look_while_asked(self) -> None:
        while self._runs or self._waiting or await self._asked_soon():
            self._poked.clear()
            pause = _EVERY
            try:
                await self._look()
            except Exception:  # a database that is away comes back; who waits has a time limit
                _log.exception("Runs that are waited for could not be looked up.")
                pause = _PATIENCE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), pause)

    async def _asked_soon(self) -> bool:
        await asyncio.sleep(0)  # who has just begun this task is about to say for what
        return bool(self._runs or self._waiting)

    async def _look(self) -> None:
        afters = {run_id: run.last for run_id, run in self._runs.items()}
        asked = {*afters, *self._waiting}

        def look(connection: Connection) -> tuple[set[str], Sequence[Event]]:
            # In this order: of a run that is at its end all events can be read by then.
            done = reading.ended(connection, asked)
            return done, reading.news(connection, afters, limit=_MOST) if afters else ()

        done, events = await self._read(look)
        news: dict[str, list[Event]] = {run_id: [] for run_id in afters}
        for event in events:
            news[event["run_id"]].append(event)
        whole = len(events) < _MOST
        for run_id, found in news.items():
            run = self._runs.get(run_id)
            # One that somebody began to follow meanwhile is looked up next time.
            if run is not None and run.last == afters[run_id]:
                run.take(found, whole and run_id in done)
        if not whole:
            self._poked.set()
        for run_id in done:
            for future in self._waiting.get(run_id, ()):
                if not future.done():
                    future.set_result(None)

    async def _read(self, look: Callable[[Connection], _Found]) -> _Found:
        def read() -> _Found:
            with self._quick.connect() as connection:
                return look(connection)

        return await anyio.to_thread.run_sync(read, limiter=self._limiter)
