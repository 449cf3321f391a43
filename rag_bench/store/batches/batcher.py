"""What many callers submit, done in batches: nothing waits for a batch to fill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

_I = TypeVar("_I")
_R = TypeVar("_R")
_MAX_BATCH = 256


class Batcher(Generic[_I, _R]):
    """Runs ``work`` on what has been submitted, one batch at a time; the rest is the next batch.

    The slower the database, the larger the batches: nothing waits for one to fill.
    """

    def __init__(self, work: Callable[[list[_I]], Awaitable[Sequence[_R | Exception]]]) -> None:
        self._work = work
        self._waiting: list[tuple[_I, asyncio.Future[_R]]] = []
        self._runner: asyncio.Task[None] | None = None

    def submit(self, item: _I) -> asyncio.Future[_R]:
        future: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # let everything that is ready now join the batch
                batch, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
                try:
                    results: Sequence[_R | Exception] = await self._work([i for i, _ in batch])
                except Exception as error:
                    results = [error] * len(batch)
                for (_, future), result in zip(batch, results, strict=True):
                    if future.done():  # its caller was cancelled; the work was done all the same
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)
        finally:
            self._runner = None

    async def flush(self) -> None:
        while self._runner is not None:
            await asyncio.shield(self._runner)

    async def cancel(self) -> None:
        """Leave undone what is waiting; for what nobody waits for any more."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
