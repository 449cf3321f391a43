"""``rag-bench failures``: where the answers of each model fail."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine


@app.command()
def failures(
    model: Annotated[str, typer.Option(help="Only this generation model; empty: all.")] = "",
    settings: Annotated[
        str, typer.Option(help="A settings hash or its beginning; empty: the newest whole.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="With all cases, for programs.")] = False,
) -> None:
    """Show where answers fail: no page, not retrieved, ignored, misread, refused… Asks no model."""
    from rag_bench.reporting.failing import failing, lines
    from rag_bench.store.evaluations import find_settings_hash

    engine = open_engine()
    whole = find_settings_hash(engine, settings) if settings else None
    found = failing(engine, whole, model=model)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=1))
    else:
        typer.echo("\n".join(lines(found)))
