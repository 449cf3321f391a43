"""``rag-bench eval export``: the file of a run's whole result, written again from the table."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_bench.cli.app import open_engine
from rag_bench.cli.eval_runs.group import eval_app


@eval_app.command("export")
def export(
    run_id: Annotated[str, typer.Argument(help="Id of a run.")],
) -> None:
    """Write the file of a run's whole result again, of what the database holds; asks no service."""
    from rag_bench.eval_runs.result_file import export as write
    from rag_bench.settings import get_settings

    typer.echo(write(open_engine(), get_settings(), run_id))
