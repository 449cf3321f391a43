"""Dagster resources: the database, the run's settings, the models."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import dagster as dg
from pydantic import Field, PrivateAttr

from rag_bench.benchmark_fields import BenchmarkFields
from rag_bench.errors import RagBenchError
from rag_bench.observing.trace import TRACE_TAG, traced
from rag_bench.processes import process_identity
from rag_bench.retrievers import DEFAULT
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.llm.transport.budget import Budget
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models

T = TypeVar("T")
#: Which process executes a run; Dagster's UI hides tags of this prefix.
PROCESS_TAG = ".dagster/rag_bench_process"
#: Its name in runs of earlier versions.
PROCESS_TAG_BEFORE = "rag_bench/process"


class DatabaseResource(dg.ConfigurableResource):
    """PostgreSQL with our tables, brought to this code's version when a run starts."""

    _engine: Engine | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Connect, migrate, and note which process executes the run."""
        from sqlalchemy.exc import OperationalError

        from rag_bench.store.database import make_engine
        from rag_bench.store.migrate import migrate

        run_id = context.run.run_id if context.run else None
        self._engine = make_engine(application_name=f"rag_bench {run_id or ''}"[:63])
        try:
            migrate(self._engine)
        except OperationalError as error:
            raise RagBenchError(
                "PostgreSQL does not answer. Start the embedded one with `rag-bench db start`, "
                f"or check RAG_BENCH_DATABASE_URL. ({error.orig})"
            ) from None
        instance, identity = context.instance, process_identity(os.getpid())
        if instance and run_id and identity and instance.has_run(run_id):
            # So that a run whose process is gone can be told from one that works.
            instance.add_run_tags(run_id, {PROCESS_TAG: identity})

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """The engine of the run."""
        if self._engine is None:
            raise RagBenchError("The database resource was used outside of a run.")
        return self._engine


class BenchmarkResource(BenchmarkFields, dg.ConfigurableResource):
    """What a run measures. These values are hashed into every evaluation: results of different
    settings never mix, so give a run that scores answers the settings that made them.
    """

    def open(self, engine: Engine, run_id: str | None) -> Bench:
        """Resolve the settings against the store.

        Raises:
            RagBenchError: no snapshot, no such dataset or retriever, or an impossible number.
        """
        from rag_bench.llm.transport.context import first_repeat
        from rag_bench.store import snapshots
        from rag_bench.tiers.base.bench import resolve_dataset
        from rag_bench.tiers.base.opening import open_bench

        settings = get_settings()
        snapshot = snapshots.require_current(engine)
        dataset = resolve_dataset(engine, snapshot, self.dataset or None, self.mode or None)
        return open_bench(
            engine,
            settings,
            self,
            snapshot,
            dataset,
            run_id=run_id,
            replicate=first_repeat(),
            reopen=lambda name: self._by_retriever(name).open(engine, run_id),
        )

    def _by_retriever(self, name: str) -> BenchmarkResource:
        """Return these settings with another retriever, which has a search of its own."""
        fields = {field: getattr(self, field) for field in BenchmarkFields.model_fields}
        search = self.search if name == DEFAULT else ""
        return BenchmarkResource(**{**fields, "retriever": name, "search": search})


class ModelsResource(dg.ConfigurableResource):
    """The chat models: providers from the environment, the offline ones in this process.

    Keys are read from the environment when a call is made and stand in no config.
    """

    max_calls: int | None = Field(
        default=None,
        description="The run stops cleanly after so many calls; a later run goes on. Replies of "
        "the ledger are no calls.",
    )
    max_cost_usd: float | None = Field(
        default=None,
        description="The run stops cleanly before it costs more, by the table of prices "
        "(RAG_BENCH_PRICES); a model without a price is then not asked.",
    )

    budget: str = Field(
        default="",
        description="Runs that name the same budget share these caps, whatever process they are "
        "in; empty: the runs of one backfill share them, any other run has its own.",
    )

    _budget: Budget | None = PrivateAttr(default=None)
    _trace_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Make the run's budget: all steps spend from it, and all runs of its backfill.

        Calls and results belong to the trace that the run's tag names.
        """
        from decimal import Decimal

        from rag_bench.llm.sharing.shared_budget import SharedBudget
        from rag_bench.llm.transport.budget import Budget
        from rag_bench.store.database import database_url

        self._trace_id = context.run.tags.get(TRACE_TAG) if context.run else None
        if self.max_calls is not None or self.max_cost_usd is not None:
            cost = None if self.max_cost_usd is None else Decimal(str(self.max_cost_usd))
            backfill = context.run.tags.get("dagster/backfill") if context.run else None
            name = self.budget or (backfill and f"backfill {backfill}")
            if name:
                self._budget = SharedBudget(database_url(), name, self.max_calls, cost)
            else:
                self._budget = Budget(self.max_calls, cost)

    def run(self, engine: Engine, work: Callable[[Models], Awaitable[T]]) -> T:
        """Run ``work`` on one event loop with an open client; returns what it returns.

        An interrupt (the run is cancelled in the UI, Ctrl-C) stops it between calls.

        Other runs on this database may call the same models: they share the providers' limits
        (`rag_bench.llm.sharing.leases`).
        """
        from rag_bench.assembly import open_models
        from rag_bench.llm.transport.budget import current_budget, spending
        from rag_bench.llm.transport.stopping import run_stoppable
        from rag_bench.llm.transport.tally import Tally, counting, current_tally

        async def main() -> T:
            try:
                async with open_models(get_settings(), engine) as models:
                    return await work(models)
            finally:
                if budget is not None:
                    await budget.give_back()

        # Several runs of one sweep share the budget of the command that started them.
        budget = current_budget() if self._budget is None else self._budget
        step = Tally(beside=current_tally())
        with spending(budget), counting(step), traced(self._trace_id):
            return run_stoppable(main)
