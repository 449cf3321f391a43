"""One budget for several processes: the runs of one backfill, or all that name the same.

Each process is granted calls and money in blocks and spends from them without asking; grants never
add up to more than the cap. What is left of a block comes back at the end of a step. That of a
process that died does not: it may have spent it. Blocks shrink as the cap comes near, so little is
lost.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from decimal import Decimal

from rag_bench.errors import ConfigurationError
from rag_bench.llm.transport.budget import Budget, CapReachedError, Reservation
from rag_bench.llm.transport.stopping import StoppedError, current_stop
from rag_bench.store.sharing.budgets import BudgetStore, Granted, Share

_BLOCK = 32  # calls, at most
_PART = 8  # of what is left
_LOOK = 0.5  # seconds from one look to the next, while others may give some back
_HOPE = 60.0  # seconds for which a block is expected back
_TRIES = 50


class SharedBudget(Budget):
    """A `Budget` that other processes spend from as well.

    Args:
        database_url: of the database that they have in common.
        name: which budget it is.
        max_calls: of all of them together.
        max_cost_usd: likewise.
    """

    def __init__(
        self,
        database_url: str,
        name: str,
        max_calls: int | None = None,
        max_cost_usd: Decimal | None = None,
    ) -> None:
        super().__init__(max_calls, max_cost_usd)
        self._store = BudgetStore(database_url, name, uuid.uuid4().hex)
        self._granted_calls, self._granted_usd = 0, Decimal(0)
        self._asking: asyncio.Lock | None = None

    async def reserve(self, model_key: str, most_usd: Decimal | None) -> Reservation:
        """Reserve one call, as `Budget.reserve` does, asking for a block where there is none.

        Raises:
            CapReachedError: there is no room left in all.
            ConfigurationError: cost is capped and this model has no price.
            LeaseError: the database does not answer.
            StoppedError: the run was stopped while it waited.
        """
        if self.max_cost_usd is not None and most_usd is None:
            raise ConfigurationError(
                f"The cost is capped, and {model_key} has no price. Add it to the table that "
                "RAG_BENCH_PRICES names (docs/prices.example.toml shows its form)."
            )
        most = most_usd or Decimal(0)
        if self._asking is None:
            self._asking = asyncio.Lock()
        while not self._is_granted(most):
            async with self._asking:
                if self._is_granted(most):
                    break
                may_return = await self._ask(most)
                if may_return is None:
                    continue
                if not self._open_calls:
                    await self._return_rest()  # or two would wait for each other
                    if not may_return:
                        raise self._stop_all(most)
            stop = current_stop()
            await (asyncio.sleep if stop is None else stop.sleep)(_LOOK)
            if stop is not None and stop.requested:
                raise StoppedError
        self._open_calls += 1
        self._open_cost += most
        return Reservation(self, most)

    async def give_back(self) -> None:
        """Give back what is not spent; calls must have ended."""
        self._asking = None
        await self._return_rest()

    def _stop_all(self, most: Decimal) -> CapReachedError:
        if self.max_calls is not None and self.max_cost_usd is None:
            error = CapReachedError("call", f"{self.max_calls} calls, of all runs that share it")
        else:
            error = CapReachedError(
                "cost" if self.max_calls is None else "call or cost",
                f"of all runs that share it; the next call may cost {most:f} USD",
            )
        self.reached = self.reached or error.detail
        return error

    async def _return_rest(self) -> None:
        if self._granted_calls == 0 and self._granted_usd == 0:
            return
        self._granted_calls, self._granted_usd = self.calls, self.cost_usd
        share = Share(self.calls, self.cost_usd, self.calls, self.cost_usd, open=False)
        await self._store.write(share, None, 0.0)

    def _is_granted(self, most: Decimal) -> bool:
        enough_calls = self.calls + self._open_calls < self._granted_calls
        enough_money = self.cost_usd + self._open_cost + most <= self._granted_usd
        return (self.max_calls is None or enough_calls) and (
            self.max_cost_usd is None or enough_money
        )

    async def _ask(self, most: Decimal) -> bool | None:
        """Ask for a block: None if there is one now; else whether some may still come back."""
        for _ in range(_TRIES):
            granted = await self._store.read()
            more = self._more(granted, most)
            if more is None:
                return granted.others_may_return
            # Used only after it is written: others of this loop look at it meanwhile.
            share = Share(*more, self.calls, self.cost_usd)
            if await self._store.write(share, granted.version, _HOPE):
                self._granted_calls, self._granted_usd = more
                return None
            await asyncio.sleep(random.uniform(0.0, 0.05))
        return True

    def _more(self, granted: Granted, most: Decimal) -> tuple[int, Decimal] | None:
        """Return the grant with a block more; None if what is left is too little for one call."""
        calls, usd = self._granted_calls, self._granted_usd
        if self.max_calls is not None and self.calls + self._open_calls >= calls:
            free = self.max_calls - granted.calls
            if free < 1:
                return None
            calls += max(1, min(_BLOCK, free // _PART))
        if self.max_cost_usd is not None:
            left = self.max_cost_usd - granted.usd
            missing = self.cost_usd + self._open_cost + most - usd
            if missing > left:
                return None
            if missing > 0:
                usd += max(missing, min(left / _PART, most * _BLOCK))
        return calls, usd
