"""``rag-bench judge-bridge``: from one benchmark judge to its successor."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import app, check_stage, console, open_engine, open_sweep, progress_bars
from rag_bench.cli.flags import Caps
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.judges.bridge import Span
    from rag_bench.tiers.plan.plan import Plan

_ASSET = "judge_bridge"


@app.command("judge-bridge")
def judge_bridge(
    old: Annotated[str, typer.Argument(help="The judge whose scores there are.")],
    new: Annotated[str, typer.Argument(help="The judge that takes its place.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and its price; ask nothing.")
    ] = False,
    dataset: Annotated[
        str, typer.Option(help="Of which run: its dataset; empty: the one that runs use.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(help="Of which run: its limit of questions.", min=1)
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Stop after so many calls; run again to go on.", min=0)
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(help="Stop before the calls cost more (USD; needs RAG_BENCH_PRICES).", min=0),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Have the new judge score the stored answers that the old one scored, and link the two.

    Says how far they agree, the shift between them, which models change their rank, and what a
    mean by the old judge is on the new one's scale, with its interval. What the ledger has costs
    nothing.
    """
    from rag_bench.cli.planning import show_plan
    from rag_bench.cli.running import RoleModels, chosen_models, dataset_of
    from rag_bench.llm.transport.budget import spending
    from rag_bench.resources import BenchmarkResource
    from rag_bench.store.evaluations.bridges import bridge_between
    from rag_bench.tiers.judges.bridge import span_of

    engine = open_engine()
    benchmark: dict[str, Any] = {}
    if dataset:
        benchmark["dataset"] = dataset_of(engine, dataset)
    if limit is not None:
        benchmark["limit"] = limit
    [successor] = chosen_models(RoleModels(), RoleModels(new), RoleModels()).benchmark_judges
    bench = BenchmarkResource(**benchmark).open(engine, None)
    span = span_of(bench, old, successor)
    plan = asyncio.run(_plan(bench, span))
    if dry_run and as_json:
        cost = plan.cost_usd
        planned = {"calls": plan.n_to_send, "cost_usd": None if cost is None else float(cost)}
        typer.echo(json.dumps(planned))
        return
    if not as_json:
        show_plan(plan)
    if dry_run:
        return
    with progress_bars(), spending(Caps(max_calls, max_cost).budget()):
        result = open_sweep().materialize(
            _ASSET,
            [_ASSET],
            benchmark=benchmark,
            ops={_ASSET: {"old": old, "new": successor}},
            skip_checks=True,
        )
    check_stage(result)
    found = bridge_between(engine, old, successor)
    if found is None:
        raise RagBenchError("The bridge was not stored.")
    if as_json:
        typer.echo(json.dumps(found.inputs["result"], ensure_ascii=False, indent=2))
    else:
        _show(found.inputs["result"])


async def _plan(bench: Bench, span: Span) -> Plan:
    from rag_bench.llm.config.providers import Providers
    from rag_bench.tiers import registry
    from rag_bench.tiers.plan.counting import counting

    settings = get_settings()
    providers = Providers.from_environment()
    async with counting(bench.engine, settings, providers, settings.concurrency) as counted:
        walk = counted.walk(bench)
        for asset, generators in span.steps.items():
            step = registry.step_named(asset)
            answers = registry.answers_read_by(step)
            if answers is not None:  # which the judge reads; the ledger has them
                await walk.through(registry.step_named(answers), generators)
            await walk.through(step, span.keys(asset))
        return counted.plan(walk.notes)


def _show(result: dict[str, Any]) -> None:
    from rag_bench.reporting.bridges import lines

    typer.echo(f"\n{result['old']} → {result['new']}")
    for line in lines(result):
        typer.echo(line)
    for name, one in result["metrics"].items():
        table = Table(box=None, pad_edge=False, title=name, title_justify="left")
        for column in ("model", "old mean", "rank", "new mean", "rank "):
            table.add_column(column)
        for row in one["standings"]:
            table.add_row(
                row["model"],
                f"{row['old']:.2f}",
                str(row["rank_old"]),
                f"{row['new']:.2f}",
                str(row["rank_new"]),
            )
        console.print(table)
