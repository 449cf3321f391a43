"""``rag-bench judge-canary``: ask stored calls of the judges again."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import app, at_least, check_stage, open_engine, open_sweep, progress_bars
from rag_bench.cli.flags import Caps
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.instrument.canary import LEAST_CASES, MOST_CASES, USUAL_CASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from rag_bench.tiers.judges.canary import CanaryPlan

_ASSET = "judge_canary"
_WIDTH = 130  # characters: all columns in full


@app.command("judge-canary")
def judge_canary(
    judges: Annotated[
        str,
        typer.Option(help="Comma-separated <provider>/<model>; empty: every benchmark judge."),
    ] = "",
    cases: Annotated[
        int,
        typer.Option(
            help="Stored calls of each judge to ask again; more show smaller changes.",
            min=LEAST_CASES,
            max=MOST_CASES,
        ),
    ] = USUAL_CASES,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and its price; ask nothing.")
    ] = False,
    max_calls: Annotated[int | None, typer.Option(help="Stop after so many calls.", min=0)] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(help="Stop before the calls cost more (USD; needs RAG_BENCH_PRICES).", min=0),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask stored calls of the benchmark judges again: is each still the judge that it was?

    The same requests are sent again, not answered from the ledger, and compared with what the
    judge said before, against how it repeats itself. A judge that has changed is marked wherever
    its scores appear. Exits with 1 if one has changed.
    """
    from rag_bench.llm.transport.budget import spending
    from rag_bench.partitions import ModelLists, Partitions
    from rag_bench.store.evaluations.canaries import CHANGED, canaries_of
    from rag_bench.tiers.registry import Axis

    engine = open_engine()
    models = _lists(judges)
    plans, without = asyncio.run(_plans(engine, models.benchmark_judges, cases))
    if not as_json:
        for line in [*(plan.in_words for plan in plans), *without]:
            typer.echo(line)
    if dry_run:
        if as_json:
            typer.echo(json.dumps([_plan_json(plan) for plan in plans], ensure_ascii=False))
        return
    if plans:
        asked = ModelLists(
            models.generation, [plan.judge for plan in plans], models.production_judges
        )
        with progress_bars(), spending(Caps(max_calls, max_cost).budget()):
            result = open_sweep(asked).materialize(
                _ASSET,
                [_ASSET],
                partitions=Partitions.of(asked).by(Axis.JUDGE),
                ops={_ASSET: {"cases": cases}},
                skip_checks=True,
            )
        check_stage(result)
    found = {plan.judge: canaries_of(engine, plan.judge)[0].inputs["result"] for plan in plans}
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif found:
        _show(found)
    changed = [judge for judge, result in found.items() if result["outcome"] == CHANGED]
    if changed:
        raise RagBenchError(
            f"Changed: {', '.join(changed)}. Scores of before and after are not comparable. "
            "Bridge them with `rag-bench judge-bridge OLD NEW`, or score everything anew."
        )


def _lists(judges: str) -> Any:
    from rag_bench.cli.running import RoleModels, chosen_models

    return chosen_models(RoleModels(), RoleModels(judges), RoleModels())


async def _plans(
    engine: Engine, judges: Sequence[str], cases: int
) -> tuple[list[CanaryPlan], list[str]]:
    from rag_bench.assembly import open_models
    from rag_bench.settings import get_settings
    from rag_bench.tiers.judges.canary import NothingToAskAgainError, plan_of

    plans, without = [], []
    async with open_models(get_settings(), engine) as models:
        for judge in judges:
            try:
                plans.append(plan_of(engine, models, judge, cases))
            except NothingToAskAgainError as error:
                without.append(f"nothing to ask again yet: {error}")
    return plans, without


def _plan_json(plan: CanaryPlan) -> dict[str, Any]:
    cost = plan.cost_usd
    return {
        "judge": plan.judge,
        "cases": len(plan.calls),
        "draws": plan.n_draws,
        "calls": plan.n_calls,
        "cost_usd": None if cost is None else float(cost),
    }


def _show(found: dict[str, dict[str, Any]]) -> None:
    from rag_bench.assets.factories.describe import number

    table = Table(box=None, pad_edge=False)
    for name in ("judge", "outcome", "shift", "95 % interval", "p", "moved", "noise", "can see"):
        table.add_column(name)
    for judge, result in found.items():
        shift = result.get("shift")
        if shift is None:
            table.add_row(judge, result["outcome"], *[""] * 6)
            continue
        sees = result["detectable"]
        table.add_row(
            judge,
            result["outcome"],
            f"{shift['value']:+.2f}",
            f"{number(shift['ci_low'], 2)} … {number(shift['ci_high'], 2)}",
            f"{result['p']:.4f}",
            f"{result['moved']} of {result['n_cases']}",
            number(result["noise"], 2),
            f"one point in {sees} of {result['n_cases']}" if sees else "nothing",
        )
    # Cut columns would hide the judges' names.
    at_least(_WIDTH).print(table)
