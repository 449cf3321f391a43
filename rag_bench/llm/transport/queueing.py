"""The calls of one provider that wait for their turn, in one event loop."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable

from rag_bench.llm.sharing.shares import usable
from rag_bench.llm.transport.pacing import Pace, Permit


def _clock_that_counts_sleep() -> Callable[[], float]:
    """Return a clock that goes on while the machine sleeps, where the system has one."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return time.monotonic
    return lambda: time.clock_gettime(boottime)


clock = _clock_that_counts_sleep()


class Gate:
    """What of a provider's limit this process may use now; shut once ``valid_until`` is past."""

    def __init__(self) -> None:
        self.slots = 0
        self.rate = 0.0
        self.valid_until = -math.inf
        self.owes = False  # more is held than is due: what ends is given back
        self.failure: Exception | None = None  # why it will not open any more

    def lets(self, in_flight: int) -> bool:
        """Whether one call more may start."""
        return in_flight < self.slots and usable(self.rate) and clock() < self.valid_until


class Queue:
    """Hands out permits as the pace allows, to the call that came first.

    Args:
        pace: the provider's.
        gate: this process's share of the provider's limit; None: it need not share.
        wake: called where a share could be moved now.
    """

    def __init__(
        self, pace: Pace, gate: Gate | None = None, wake: Callable[[], None] = lambda: None
    ) -> None:
        self.pace = pace
        self.gate = gate
        self.wake = wake
        self._waiting: list[tuple[int, int, float, asyncio.Future[Permit]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._numbers = 0
        # For whoever shares the limit out: since `take_demand` was last called.
        self._most_wanted = 0
        self._held_by_rate = False
        self._n_started = 0
        self._tokens_started = 0.0

    def number(self) -> int:
        """Return a new call's place; a call refused once keeps its own and so goes first."""
        self._numbers += 1
        return self._numbers

    async def permit(self, place: int, tokens: float) -> Permit:
        """Wait until a call of this place and size may start.

        Raises:
            Exception: what `refuse_all` was given.
        """
        if not self._waiting and self._wait() == 0:
            return self._start(tokens)
        if self.gate is not None and self.gate.failure is not None:
            raise self.gate.failure
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, self.number(), tokens, future))
        if self.gate is not None and not self._most_wanted:
            self.wake()  # it has work again
        self._most_wanted = max(self._most_wanted, self.pace.in_flight + len(self._waiting))
        self.advance()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.pace.failed(future.result())
            self.advance()
            raise

    def advance(self) -> None:
        """Let those go that may, and wake up for the next; call after each change of the pace."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.gate is not None and self.gate.owes:
            self.wake()
        while self._waiting:
            _, _, tokens, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            wait = self._wait()
            if wait is None:
                return  # a call that ends, or a share that grows, calls this again
            if wait > 0:
                self._held_by_rate = True
                self._timer = asyncio.get_running_loop().call_later(wait, self.advance)
                return
            heapq.heappop(self._waiting)
            future.set_result(self._start(tokens))

    def refuse_all(self, error: Exception) -> None:
        """End every call that waits."""
        waiting, self._waiting = self._waiting, []
        for *_, future in waiting:
            if not future.done():
                future.set_exception(error)

    def take_demand(self) -> tuple[int, bool, int, float]:
        """Return what was asked since the last time: most calls in flight and waiting together,
        whether the rate held calls back, and the calls and the tokens started.
        """
        now = self.pace.in_flight + len(self._waiting)
        told = (
            max(self._most_wanted, now),
            self._held_by_rate,
            self._n_started,
            self._tokens_started,
        )
        self._most_wanted, self._held_by_rate = now, False
        self._n_started, self._tokens_started = 0, 0.0
        return told

    def _wait(self) -> float | None:
        if self.gate is not None and not self.gate.lets(self.pace.in_flight):
            return None
        return self.pace.wait()

    def _start(self, tokens: float) -> Permit:
        self._n_started += 1
        self._tokens_started += tokens
        permit = self.pace.start(tokens)
        self._most_wanted = max(self._most_wanted, self.pace.in_flight)
        return permit
