"""The caps of a run: so many calls, so much money, and not one more.

A call is reserved before it is sent, at the most that it can cost, and settled with what it did
cost; so neither cap is ever passed, however many calls are in flight. Where what is left may still
be given back by calls in flight, a call waits for them; then it is not asked, and its case ends
with `CapReachedError`, which the next run, with a higher cap, asks again.

What counts as a call is an attempt that a provider may have worked on: one that met a limit
(429) or no server does not. A reply found in the ledger is no call and costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode


class CapReachedError(CaseError):
    """A call that was not made, as the run's cap of calls or money is reached."""

    def __init__(self, which: str, cap: str) -> None:
        super().__init__(
            ErrorCode.LLM_FAILED,
            f"not asked: {which} cap reached ({cap}); run again with a higher one to go on",
            retryable=True,
        )


class Budget:
    """What a run may still spend; shared by all providers and all stages of the run.

    For one event loop at a time. ``calls`` and ``cost_usd`` are what was spent so far;
    ``reached`` says which cap has stopped a call, None as long as none has.

    Args:
        max_calls: attempts that a provider may have worked on.
        max_cost_usd: by the table of prices; a model without a price is then not asked at all.
    """

    def __init__(self, max_calls: int | None = None, max_cost_usd: Decimal | None = None) -> None:
        if max_calls is not None and max_calls < 0:
            raise ConfigurationError(f"A cap of calls cannot be negative: {max_calls}.")
        if max_cost_usd is not None and not (max_cost_usd.is_finite() and max_cost_usd >= 0):
            raise ConfigurationError(f"A cap of cost must be an amount: {max_cost_usd}.")
        self.max_calls = max_calls
        self.max_cost_usd = max_cost_usd
        self.calls = 0
        self.cost_usd = Decimal(0)
        self.reached: str | None = None
        self._open_calls = 0
        self._open_cost = Decimal(0)
        self._waiting: list[asyncio.Future[None]] = []

    async def give_back(self) -> None:
        """Give back what is not spent, where others share it: once calls have ended."""

    async def reserve(self, model_key: str, most_usd: Decimal | None) -> Reservation:
        """Reserve one call, waiting for those in flight where they may make room.

        Args:
            model_key: for messages.
            most_usd: the most that it can cost; None: its price is not known.

        Raises:
            CapReachedError: there is no room left.
            ConfigurationError: cost is capped and this model has no price.
        """
        if self.max_cost_usd is not None and most_usd is None:
            raise ConfigurationError(
                f"The cost is capped, and {model_key} has no price. Add it to the table that "
                "RAG_BENCH_PRICES names (docs/prices.example.toml shows its form)."
            )
        most = most_usd or Decimal(0)
        while True:
            if self._fits(self._open_calls, self._open_cost, most):
                self._open_calls += 1
                self._open_cost += most
                return Reservation(self, most)
            if not self._fits(0, Decimal(0), most):
                raise self._stop(most)
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def _fits(self, open_calls: int, open_cost: Decimal, most: Decimal) -> bool:
        if self.max_calls is not None and self.calls + open_calls >= self.max_calls:
            return False
        return self.max_cost_usd is None or self.cost_usd + open_cost + most <= self.max_cost_usd

    def _stop(self, most: Decimal) -> CapReachedError:
        if self.max_calls is not None and self.calls >= self.max_calls:
            error = CapReachedError("call", f"{self.max_calls} calls")
        else:
            error = CapReachedError(
                "cost",
                f"{self.cost_usd:f} of {self.max_cost_usd:f} USD spent, and the next call may "
                f"cost {most:f}",
            )
        self.reached = self.reached or error.detail
        return error

    def _close(self, reserved: Decimal, calls: int, cost: Decimal) -> None:
        self._open_calls -= 1
        self._open_cost -= reserved
        self.calls += calls
        self.cost_usd += cost
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Reservation:
    """One reserved call; closing it a second time does nothing."""

    def __init__(self, budget: Budget, most_usd: Decimal) -> None:
        self._budget = budget
        self._most = most_usd
        self._open = True

    def settle(self, cost_usd: Decimal | None) -> None:
        """Count the call; where its cost is not known (None), the most that it can have cost."""
        self._finish(1, self._most if cost_usd is None else cost_usd)

    def cancel(self) -> None:
        """Give the call back: no provider has worked on it."""
        self._finish(0, Decimal(0))

    def _finish(self, calls: int, cost: Decimal) -> None:
        if self._open:
            self._open = False
            self._budget._close(self._most, calls, cost)


_current: ContextVar[Budget | None] = ContextVar("rag_bench_budget", default=None)


def current_budget() -> Budget | None:
    """Return the budget of the block that runs, None where nothing is capped."""
    return _current.get()


@contextmanager
def spending(budget: Budget | None) -> Iterator[Budget | None]:
    """Let the clients that are opened in the block spend from this budget."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)
