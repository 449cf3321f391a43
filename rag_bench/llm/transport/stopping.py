"""Stopping between calls: a cancelled run, or Ctrl-C, sends nothing more and loses nothing.

Calls in flight end and are kept in the ledger, finished cells are recorded, then the interrupt goes
on to whoever ran the work. A second interrupt, or calls that take too long, end it at once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from rag_bench.errors import CaseError, ErrorCode, RagBenchError

T = TypeVar("T")
#: Seconds for which calls in flight are waited for.
GRACE = 60.0
# From one look at whether work is to stop to the next.
_LOOK = 0.2


class StoppedError(CaseError):
    """A call that was not made, as the run was stopped."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.LLM_FAILED,
            "not asked: the run was stopped; run again to go on",
            retryable=True,
        )


class Stop:
    """Whether work is to stop; for one event loop."""

    def __init__(self) -> None:
        self.requested = False
        self._told: list[Callable[[], None]] = []
        self._event = asyncio.Event()

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when it is requested."""
        self._told.append(listener)

    def request(self) -> None:
        """Ask all work of this loop to stop between calls."""
        self.requested = True
        self._event.set()
        for listener in self._told:
            listener()

    async def sleep(self, seconds: float) -> None:
        """Sleep so long, or until the request."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass


_current: ContextVar[Stop | None] = ContextVar("rag_bench_stop", default=None)


def current_stop() -> Stop | None:
    """Return what stops the work that runs, None where nothing does."""
    return _current.get()


class StoppedWorkError(RagBenchError):
    """Work that ended before its end, as somebody asked for it."""

    def __init__(self) -> None:
        super().__init__("The work was stopped between calls; what was answered is kept.")


def run_stoppable(
    work: Callable[[], Coroutine[Any, Any, T]], asked: Callable[[], bool] | None = None
) -> T:
    """Run ``work`` on an event loop of its own; SIGINT and SIGTERM stop it between calls.

    ``asked`` stops it as well, in any thread: it is looked at several times a second. Work that
    did not come to its end for it raises `StoppedWorkError`.

    Afterwards the signal goes to the handler that was there before (Dagster's, which ends the run
    as cancelled, or Python's own, a KeyboardInterrupt); what the work ended with is the cause of
    what that raises. Off the main thread there are no signals.
    """
    stopped: list[int] = []
    heard = False

    async def look(stop: Stop, task: asyncio.Task[Any]) -> None:
        nonlocal heard
        while asked is not None and not asked():
            await asyncio.sleep(_LOOK)
        heard = True
        stop.request()
        await asyncio.sleep(GRACE)
        task.cancel()

    async def main() -> T:
        stop = Stop()
        token = _current.set(stop)
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None

        def interrupt(number: int) -> None:
            stopped.append(number)
            if len(stopped) > 1:
                task.cancel()
                return
            stop.request()
            loop.call_later(GRACE, task.cancel)

        looking = None if asked is None else loop.create_task(look(stop, task))
        try:
            with _signals(loop, interrupt):
                return await work()
        finally:
            if looking is not None:
                looking.cancel()
            _current.reset(token)

    ended_with: BaseException | None = None
    try:
        result = asyncio.run(main())
    except BaseException as error:
        if not stopped:
            if heard and isinstance(error, (RagBenchError, asyncio.CancelledError)):
                raise StoppedWorkError from error
            raise
        ended_with = error
    else:
        if not stopped:
            return result
    try:
        before = signal.getsignal(signal.SIGINT)
        if callable(before):
            before(signal.SIGINT, None)
        raise KeyboardInterrupt
    except BaseException as interruption:
        raise interruption from ended_with


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, interrupt: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            # SIGTERM is caught only by those that caught it before, as Dagster's processes do.
            if number is signal.SIGINT or callable(before[number]):
                loop.add_signal_handler(number, interrupt, int(number))
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
