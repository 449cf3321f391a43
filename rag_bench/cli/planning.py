"""What ``rag-bench sweep --plan`` shows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table

from rag_bench.cli.app import at_least, console
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import Engine

    from rag_bench.partitions import ModelLists
    from rag_bench.tiers.plan.plan import Plan


_WIDTH = 130  # characters: all columns in full


def make_plan(
    engine: Engine,
    models: ModelLists,
    tiers: Iterable[str],
    benchmark: Mapping[str, Any],
    options: Collection[str] = (),
) -> Plan:
    """Plan the sweep with these models, tiers, settings and options."""
    import asyncio

    from rag_bench.llm.config.providers import Providers
    from rag_bench.resources import BenchmarkResource
    from rag_bench.tiers.plan.plan import plan_sweep

    settings = get_settings()
    bench = BenchmarkResource(**benchmark).open(engine, None)
    return asyncio.run(
        plan_sweep(
            bench,
            Providers.from_environment(),
            settings.concurrency,
            models.generation,
            models.benchmark_judges,
            models.production_judges,
            tiers,
            options=options,
        )
    )


def show_plan(plan: Plan) -> None:
    """Print a plan as a table with its sums."""
    table = Table(box=None, pad_edge=False)
    table.add_column("asset", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for name in ("requests", "in ledger", "to send", "unknown", "prompt tok.", "USD", "time"):
        table.add_column(name, justify="right")
    for line in plan.lines:
        table.add_row(
            line.asset,
            line.model,
            f"{line.n_requests:,}",
            f"{line.n_in_ledger:,}",
            f"{line.n_to_send:,}",
            f"≤ {line.n_unknown:,}" if line.n_unknown else "0",
            f"{line.prompt_tokens:,}",
            money(line.cost_usd),
            duration(line.seconds),
        )
    # Cut columns would hide the models' names; a narrow terminal wraps the lines instead.
    at_least(_WIDTH).print(table)
    more = f", and at most {plan.n_unknown:,} unknown until answered" if plan.n_unknown else ""
    console.print(f"\n{plan.n_to_send:,} calls to send{more}", highlight=False)
    console.print(f"cost: {money(plan.cost_usd)} USD; time: {duration(plan.seconds)}")
    for note in plan.notes:
        console.print(f"note: {note}", highlight=False)
    console.print(
        "Tokens, cost and time are estimates, unknown calls included. Nothing was sent.",
        highlight=False,
    )


def money(cost: Decimal | None) -> str:
    """Return an amount; unknown is a word and not 0."""
    return "unknown" if cost is None else f"{cost:.4f}"


def duration(seconds: float | None) -> str:
    """Return hours and minutes, or seconds where it is quick."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"
