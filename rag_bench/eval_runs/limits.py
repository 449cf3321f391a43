"""What one key or user may have at once and spend a day.

A run is admitted while its subject has not reached a limit; what it then spends is reserved call by
call from a budget of the subject and the day, which all its runs share, whatever process they are
in. So neither calls nor money of a day are ever passed, however many runs are at work: where the
day's limit is reached, further calls of theirs are not made, and completing the run goes on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.errors import RagBenchError
from rag_bench.llm.sharing.shared_budget import SharedBudget
from rag_bench.llm.transport.budget import Budget, Reservation
from rag_bench.store.eval_runs import spent

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.settings import Settings

Which = Literal["runs", "calls", "money"]

#: Seconds after which a subject with too many open runs may ask again: one may have ended.
_AGAIN = 10


class LimitReached(RagBenchError):  # noqa: N818  a state, told to the caller
    """A run that may not begin now: ``which`` limit, and in how many seconds to ask again."""

    def __init__(self, which: Which, detail: str, seconds: int) -> None:
        super().__init__(detail)
        self.which, self.seconds = which, max(1, seconds)


def admit(connection: Connection, settings: Settings, subject: str) -> None:
    """Let one more run of a subject begin, in the transaction that makes it.

    Nothing is admitted where the database does not answer, as nothing can be counted then.

    Raises:
        LimitReached: too many runs are open, or the day's calls or money are spent.
        OperationalError: SQLAlchemy's, where the database does not answer.
    """
    found = spent.spent(connection, subject)
    most_calls, most_usd = settings.eval_calls_per_day, settings.eval_cost_usd_per_day
    if found.open >= settings.eval_runs_open:
        raise LimitReached(
            "runs", f"{found.open} runs are open; no more than that may wait or be at work.", _AGAIN
        )
    if most_calls is not None and found.calls >= most_calls:
        raise LimitReached(
            "calls",
            f"{found.calls} calls of models were made today, of {most_calls} a day.",
            found.seconds_left,
        )
    if most_usd is not None and found.usd >= Decimal(str(most_usd)):
        raise LimitReached(
            "money",
            f"{found.usd:.4f} USD were spent today, of {most_usd} a day.",
            found.seconds_left,
        )


def day_budget(engine: Engine, settings: Settings, subject: str) -> Budget | None:
    """Return today's budget of a subject, for one run; None where nothing is limited.

    For one event loop at a time; `give_back` where that ends.
    """
    most_calls, most_usd = settings.eval_calls_per_day, settings.eval_cost_usd_per_day
    if most_calls is None and most_usd is None:
        return None
    with engine.connect() as connection:
        name = spent.budget_name(subject, spent.today(connection))
    cost = None if most_usd is None else Decimal(str(most_usd))
    url = engine.url.render_as_string(hide_password=False)
    return SharedBudget(url, name, most_calls, cost)


def budget_of(engine: Engine, settings: Settings, run: Any) -> Budget | None:
    """Return what a run may still spend: its own caps, of which earlier attempts have used
    some, and its subject's of the day. None where nothing is limited.

    ``run``: the row of `eval_run`.
    """
    own: Budget | None = None
    if run.max_calls is not None or run.max_cost_usd is not None:
        calls = None if run.max_calls is None else max(0, run.max_calls - run.n_calls)
        cost = (
            None if run.max_cost_usd is None else max(Decimal(0), run.max_cost_usd - run.cost_usd)
        )
        own = Budget(calls, cost)
    day = day_budget(engine, settings, run.subject)
    return Both(own, day) if own and day else own or day


class Both(Budget):
    """Two budgets, of which each call is reserved: a run's own, and the one it shares."""

    def __init__(self, own: Budget, shared: Budget) -> None:
        money = [one.max_cost_usd for one in (own, shared) if one.max_cost_usd is not None]
        calls = [one.max_calls for one in (own, shared) if one.max_calls is not None]
        super().__init__(min(calls, default=None), min(money, default=None))
        self._own, self._shared = own, shared

    async def give_back(self) -> None:
        """Give back what the shared one has left."""
        await self._shared.give_back()

    async def reserve(self, model_key: str, most_usd: Decimal | None) -> Reservation:
        """Reserve of both, of the run's own first, which nobody else waits for.

        Raises:
            CapReachedError: one of them has no room left.
            ConfigurationError: cost is capped and this model has no price.
            LeaseError: the database does not answer.
            StoppedError: the run was stopped while it waited.
        """
        own = await self._own.reserve(model_key, most_usd)
        try:
            shared = await self._shared.reserve(model_key, most_usd)
        except BaseException:
            own.cancel()
            raise
        finally:
            self.reached = self._own.reached or self._shared.reached
        return _Pair(self, own, shared, most_usd or Decimal(0))


class _Pair(Reservation):
    """A call reserved of two budgets; the sum that `Both` shows is counted here."""

    def __init__(self, both: Both, own: Reservation, shared: Reservation, most: Decimal) -> None:
        super().__init__(both, most)
        both._open_calls += 1
        both._open_cost += most
        self._two = (own, shared)

    def settle(self, cost_usd: Decimal | None) -> None:
        for one in self._two:
            one.settle(cost_usd)
        super().settle(cost_usd)

    def cancel(self) -> None:
        for one in self._two:
            one.cancel()
        super().cancel()
