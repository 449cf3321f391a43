"""``rag-bench self-test``: do the statistics keep what they promise, and are planted faults found?

Asks no provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from rag_bench.cli.app import app, check_stage, console, open_engine, open_sweep, progress_bars
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.self_test import statistics

_STATISTICS, _PLANTED = "self_test_statistics", "self_test_planted_faults"


@app.command("self-test")
def self_test(
    runs: Annotated[
        int | None,
        typer.Option(min=1, help="Simulations of each line; RAG_BENCH_SELF_TEST_RUNS by default."),
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(
            help="Faults to plant: all, none, or names separated by commas; "
            "RAG_BENCH_SELF_TEST_FAULTS by default."
        ),
    ] = None,
    shown: Annotated[
        bool, typer.Option("--show", help="Show what was found last; try nothing.")
    ] = False,
) -> None:
    """Try the published intervals, tests and corrections on worlds whose truth is known, and plant
    faults through the whole path to see which checks find them.

    Exit code 1 if a promise is broken: something is claimed that does not hold, unmarked.
    """
    engine = open_engine()
    if not shown:
        _try(runs, faults)
    broken = _show_statistics(engine)
    _show_planted(engine)
    if broken:
        raise typer.Exit(1)


def _try(runs: int | None, faults: str | None) -> None:
    from rag_bench.planted.plants import known
    from rag_bench.tiers.self_test.planted import faults_meant

    planted: dict[str, Any] = {}
    if faults is not None:
        known(faults_meant(faults) or ())
        planted = {"faults": faults}
    ops = {_STATISTICS: {} if runs is None else {"runs": runs}, _PLANTED: planted}
    sweep = open_sweep()
    with progress_bars():
        check_stage(sweep.materialize("self-test", list(ops), ops=ops, skip_checks=True))


def _show_statistics(engine: Engine) -> bool:
    """Show what the statistics kept; returns whether a promise is broken."""
    from rag_bench.reporting.self_test.statistics import (
        newest_self_test,
        power_table,
        promises_table,
    )

    tried = newest_self_test(engine)
    if tried is None:
        raise RagBenchError("Nothing was tried yet: run rag-bench self-test.")
    _show("What is promised, and what was found", promises_table(tried))
    _show("How often a true drop of 5 points is seen (yes or no, alpha .05)", power_table(tried))
    console.print(f"{tried.n_kept} of {len(tried.promises)} promises are kept.", highlight=False)
    return bool(tried.broken)


def _show_planted(engine: Engine) -> None:
    from rag_bench.reporting.self_test.planted import newest_planted, planted_table
    from rag_bench.tiers.self_test.planted import is_of_this_code

    tried = newest_planted(engine)
    if tried is None:
        return
    console.print()
    _show("What was planted, and which check found it", planted_table(tried))
    console.print(f"{tried.in_words}.", highlight=False)
    if not is_of_this_code(tried.evaluation):
        console.print(
            "Planted under another version of the code: run rag-bench self-test.", highlight=False
        )


def _show(title: str, made: statistics.Table) -> None:
    columns, rows = made
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console.print(table)
    console.print()
