"""``rag-bench callbacks``: what was told of runs that ended, once more, and a secret to sign it."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Annotated

import typer
from rich.table import Table

from rag_bench.cli.app import app, open_engine
from rag_bench.cli.service.access import note, printer
from rag_bench.errors import ConfigurationError

callbacks = typer.Typer(
    help="Callbacks of the API: what was told to whom (docs/webhooks.md).", no_args_is_help=True
)
app.add_typer(callbacks, name="callbacks")


@callbacks.command("list")
def list_stored(
    run: Annotated[str, typer.Option(help="Only of this run.")] = "",
    status: Annotated[str, typer.Option(help="waiting, delivered, ended or failed.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object a line, with every attempt.")
    ] = False,
) -> None:
    """List callbacks, newest first, and what came of the last attempt."""
    from rag_bench.api.callbacks import reply
    from rag_bench.store.eval_runs.callbacks import STATUSES, listed

    if status and status not in STATUSES:
        raise ConfigurationError(f"--status: {status!r} is none of {', '.join(STATUSES)}.")
    rows = listed(open_engine(), run_id=run or None, status=status or None, limit=limit)
    found = [reply(row) for row in rows]
    if as_json:
        for one in found:
            typer.echo(json.dumps(one, ensure_ascii=False))
        return
    table = Table(title="Callbacks", title_justify="left")
    for column in ("id", "run", "address", "status", "attempts", "last answer", "next attempt"):
        table.add_column(column, overflow="fold")
    for one in found:
        last = one["log"][-1] if one["log"] else None
        table.add_row(
            one["id"],
            one["run_id"] or "–",
            one["url"],
            one["status"],
            str(one["attempts"]),
            (last["error"] or str(last["http_status"])) if last else "–",
            one["due_at"] or "–",
        )
    printer().print(table)


@callbacks.command()
def replay(
    callback_id: Annotated[str, typer.Argument(metavar="ID", help="Of `callbacks list`.")],
) -> None:
    """Tell it once more, under the same id; a running `rag-bench serve` sends it."""
    from rag_bench.store.eval_runs.callbacks import replay as again

    with open_engine().begin() as connection:
        if not again(connection, callback_id):
            raise ConfigurationError(f"There is no callback {callback_id!r}.")
        note(connection, "callbacks replay", None)
    typer.echo(f"{callback_id} is due now")


@callbacks.command()
def secret() -> None:
    """Make a secret for RAG_BENCH_WEBHOOK_SECRET or RAG_BENCH_HOOK_SECRET and print it."""
    typer.echo("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
