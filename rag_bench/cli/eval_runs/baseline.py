"""``rag-bench baseline``: what is held to be good, which new results are held against."""

from __future__ import annotations

import getpass
import json
import os
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine

group = typer.Typer(
    help="Pin what is released now; `baseline check` holds the newest results against it.",
    no_args_is_help=True,
)
app.add_typer(group, name="baseline")

Why = Annotated[str, typer.Option(help="The reason, for who looks in a year.")]
Who = Annotated[str, typer.Option(help="Empty: BENCHMARK_RUN_AUTHOR, else who is logged in.")]


@group.command()
def pin(
    side: Annotated[
        str,
        typer.Argument(
            help="newest, or a settings hash, a dump, a model (MODEL or MODEL@SETTINGS) or an "
            "evaluation's number; beginnings are enough."
        ),
    ],
    why: Why = "",
    who: Who = "",
) -> None:
    """Pin a baseline. What was pinned before stays in the history."""
    from rag_bench.reporting.compared.pinned import pin as pin_it

    found = pin_it(open_engine(), side, who=_author(who), why=why)
    typer.echo(f"The baseline is {found.side} (by {found.who}: {found.why}).")


@group.command()
def unpin(why: Why = "", who: Who = "") -> None:
    """Unpin the baseline; the history stays."""
    from rag_bench.reporting.compared.pinned import unpin as unpin_it

    unpin_it(open_engine(), who=_author(who), why=why)
    typer.echo("No baseline is pinned.")


@group.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what is pinned, and all that was pinned before."""
    from rag_bench.reporting.compared.pinned import HOW_TO_PIN
    from rag_bench.reporting.compared.pinned import as_json as in_json
    from rag_bench.store.releases.baselines import history

    rows = history(open_engine())
    pinned = bool(rows) and rows[0].side is not None
    if as_json:
        found = {
            "pinned": in_json(rows[0]) if pinned else None,
            "history": [in_json(one) for one in rows],
        }
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    if not pinned:
        typer.echo(HOW_TO_PIN)
    for number, one in enumerate(rows):
        now = "now   " if number == 0 and pinned else "before"
        what = one.side or "nothing"
        typer.echo(f"{now} {one.created_at:%Y-%m-%d %H:%M} {what} (by {one.who}: {one.why})")


@group.command()
def check(
    settings: Annotated[
        str, typer.Option(help="Settings hash of what is held against it; empty: the newest whole.")
    ] = "",
    metric: Annotated[
        list[str] | None, typer.Option(help="Only these (several times); fewer show more.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Hold the newest results against the baseline, cell by cell. Asks no model."""
    from rag_bench.reporting.compared.pinned import HOW_TO_PIN, against_baseline, lines
    from rag_bench.store.evaluations import find_settings_hash

    engine = open_engine()
    whole = find_settings_hash(engine, settings) if settings else None
    found = against_baseline(engine, whole, wanted=metric)
    if found is None:
        typer.echo("null" if as_json else HOW_TO_PIN)
    elif as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
    else:
        typer.echo("\n".join(lines(found)))


def _author(given: str) -> str:
    return given or os.environ.get("BENCHMARK_RUN_AUTHOR") or getpass.getuser()
