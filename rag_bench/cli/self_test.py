"""``rag-bench self-test``: do the bench's own statistics keep what they promise? Asks no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from rag_bench.cli.app import app, check_stage, console, open_engine, open_sweep, progress_bars
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from rag_bench.reporting import self_test as tables

_ASSET = "self_test_statistics"


@app.command("self-test")
def self_test(
    runs: Annotated[
        int | None,
        typer.Option(min=1, help="Simulations of each line; RAG_BENCH_SELF_TEST_RUNS by default."),
    ] = None,
    shown: Annotated[
        bool, typer.Option("--show", help="Show what was found last; try nothing.")
    ] = False,
) -> None:
    """Try the published intervals, tests and corrections on worlds whose truth is known.

    Exit code 1 if a promise is broken: something is claimed that does not hold, unmarked.
    """
    from rag_bench.reporting.self_test import newest_self_test, power_table, promises_table

    engine = open_engine()
    if not shown:
        config = {} if runs is None else {"runs": runs}
        with progress_bars():
            found = open_sweep().materialize(
                "self-test", [_ASSET], ops={_ASSET: config}, skip_checks=True
            )
        check_stage(found)
    tried = newest_self_test(engine)
    if tried is None:
        raise RagBenchError("Nothing was tried yet: run rag-bench self-test.")
    _show("What is promised, and what was found", promises_table(tried))
    _show("How often a true drop of 5 points is seen (yes or no, alpha .05)", power_table(tried))
    console.print(f"{tried.n_kept} of {len(tried.promises)} promises are kept.", highlight=False)
    if tried.broken:
        raise typer.Exit(1)


def _show(title: str, made: tables.Table) -> None:
    columns, rows = made
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console.print(table)
    console.print()
