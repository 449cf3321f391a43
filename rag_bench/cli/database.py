"""``rag-bench db``: the embedded PostgreSQL."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_bench.cli.app import app, console
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

db = typer.Typer(help="The embedded PostgreSQL.", no_args_is_help=True)
app.add_typer(db, name="db")


def _server():  # type: ignore[no-untyped-def]
    from rag_bench.store.embedded import EmbeddedServer

    settings = get_settings()
    if settings.database_url:
        raise RagBenchError(
            "RAG_BENCH_DATABASE_URL is set: the server is yours, not the embedded one. "
            "Unset it to use the embedded one."
        )
    return EmbeddedServer(settings.home)


@db.command()
def start() -> None:
    """Start it (unless it runs), apply the migrations, print its URL."""
    from rag_bench.cli.app import open_engine

    server = _server()
    open_engine().dispose()
    if server.note:
        console.print(f"Note: {server.note}.", highlight=False, soft_wrap=True)
    typer.echo(server.url())


@db.command()
def stop() -> None:
    """Stop it; everything that is connected loses its connection."""
    typer.echo("stopped" if _server().stop() else "it was not running")


@db.command()
def delete(
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it: all snapshots and results go.")
    ] = False,
) -> None:
    """Stop it and delete its data: snapshots, results, the call ledger, Dagster's history."""
    if not yes:
        raise RagBenchError("This deletes all results. Add --yes to do it.")
    typer.echo("deleted" if _server().delete() else "there was nothing to delete")


@db.command()
def status() -> None:
    """Say whether it runs, where its data is and which version it is. Exit code 3: not running."""
    found = _server().status()
    typer.echo(f"running: {'yes' if found.running else 'no'}")
    typer.echo(f"version: {found.version or '-'}")
    typer.echo(f"data:    {found.data}")
    typer.echo(f"user:    {found.user or 'the current one'}")
    typer.echo(f"url:     {found.url}")
    if found.note:
        typer.echo(f"note:    {found.note}")
    if not found.running:
        raise typer.Exit(3)


@db.command()
def url() -> None:
    """Print the URL of the database in use, for psql and other programs."""
    from rag_bench.store.database import database_url, libpq_url

    typer.echo(libpq_url(database_url(get_settings())))
