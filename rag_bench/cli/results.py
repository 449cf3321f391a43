"""``rag-bench leaderboard``: what came out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rag_bench.cli.app import app, console, open_engine

if TYPE_CHECKING:
    from rag_bench.reporting.leaderboard import Leaderboard


@app.command()
def leaderboard(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    settings: Annotated[
        str,
        typer.Option(help="A settings hash or its beginning; empty: the newest without a limit."),
    ] = "",
    rows: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 36,
) -> None:
    """Show every combination of models, best first. Asks no model."""
    from rag_bench.reporting.leaderboard import build

    board = build(open_engine(), settings or None)
    if as_json:
        typer.echo(json.dumps(board.as_json(), ensure_ascii=False, indent=1))
    else:
        show(board, console, rows)


def show(board: Leaderboard, to: Console, rows: int = 36) -> None:
    """Print a leaderboard."""
    from rag_bench.reporting.leaderboard import COLUMNS

    table = Table(
        title=f"Leaderboard on {board.n_questions} questions of {board.dataset}, "
        f"settings {board.settings_hash[:12]}",
        title_justify="left",
    )
    for name in ("#", "generation model", "benchmark judge", "production judge"):
        table.add_column(name, no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right")
    table.add_column("scored", justify="right")
    for row in board.rows[:rows]:
        lead = row.metric(COLUMNS[0])
        table.add_row(
            str(row.rank),
            row.generation_model,
            row.benchmark_judge_model or "–",
            row.production_judge_model or "–",
            *(_number(row.value(column)) for column in COLUMNS),
            f"{lead['n_scored']}/{lead['n_expected']}" if lead else "–",
        )
    # Wide enough for the models' names, also where the output goes into a file.
    printer = to if to.is_terminal else Console(file=to.file, width=190)
    printer.print(table)
    if len(board.rows) > rows:
        printer.print(f"… and {len(board.rows) - rows} more (--rows, --json)")
    best = board.rows[0]
    lead = best.metric(COLUMNS[0])
    if lead and lead["ci_low"] is not None:
        printer.print(
            f"First: {best.generation_model}, by {best.benchmark_judge_model} e2e quality "
            f"{lead['value']:.2f} of 5, 95 % interval {lead['ci_low']:.2f} to "
            f"{lead['ci_high']:.2f}.\nGeneration models are ordered by their mean rank over the "
            "judges, as each judge has a scale of its own; then by the production judge's F1.",
            highlight=False,
        )
    if any(row.simulated for row in board.rows):
        printer.print("Models named simulator/sim-* are simulated.", highlight=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
