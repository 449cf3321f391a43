"""The command tree, and what several commands share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from rag_bench import progress
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.sweep import StageResult, Sweep

app = typer.Typer(
    name="rag-bench",
    help="Is our RAG assistant good, which models should it run with, and what got worse?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from rag_bench.provenance import version

        typer.echo(f"rag-bench {version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of no one command."""


# Words of others are no markup: «[e-mail]», which stands for one, would not be seen.
console = Console(markup=False)
errors = Console(stderr=True, markup=False)


def uncut(width: int, to: Console = console) -> Console:
    """Return a terminal as it is; where the output goes into a file, one that is so wide that no
    column is cut. ``width``: in characters.
    """
    return to if to.is_terminal else Console(file=to.file, width=width, markup=False)


def at_least(width: int) -> Console:
    """Return a console that is so wide whatever the terminal is, which wraps its lines then."""
    return Console(width=max(console.width, width), markup=False)


def open_engine() -> Engine:
    """Start the database if it is ours, bring the tables up to date, connect."""
    from rag_bench.store.database import ensure_database, make_engine
    from rag_bench.store.migrate import migrate

    engine = make_engine(ensure_database(get_settings()))
    migrate(engine)
    return engine


def open_sweep(models: Any = None) -> Sweep:
    """Open the project's Dagster instance for runs in this process."""
    from rag_bench.dagster_home import clear_dead_runs, open_instance
    from rag_bench.llm.config.providers import Providers
    from rag_bench.partitions import ModelLists
    from rag_bench.sweep import Sweep

    instance = open_instance(get_settings())
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    for run_id in clear_dead_runs(instance):
        errors.print(f"Run {run_id[:8]} had lost its process; it is marked as failed now.")
    return Sweep(instance, models or ModelLists.from_providers(Providers.from_environment()))


@contextmanager
def progress_bars() -> Iterator[None]:
    """Show what long work reports as bars in the terminal; as lines where there is none."""
    if not errors.is_terminal:
        say = progress.Throttle(lambda line: errors.print(f"  {line}", highlight=False), 10.0)
        with progress.listening(say):
            yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("  {task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        with progress.listening(show):
            yield


def check_stage(result: StageResult) -> None:
    """Raise what a stage failed with, as one error."""
    if result.errors:
        raise RagBenchError("; ".join(result.errors))


from rag_bench.cli import (  # noqa: E402
    analytics,  # noqa: F401
    benchmark,  # noqa: F401
    data,  # noqa: F401
    database,  # noqa: F401
    embedding,  # noqa: F401
    results,  # noqa: F401
    retrievers,  # noqa: F401
    self_test,  # noqa: F401
    serve,  # noqa: F401
    sweeping,  # noqa: F401
    targets,  # noqa: F401
)
from rag_bench.cli.datasets import drafts, foreign, generating, group, stale, traffic  # noqa: E402, F401
from rag_bench.cli.eval_runs import baseline, comparing, export, failing, gating, managing  # noqa: E402, F401
from rag_bench.cli.judges import bridge, canary  # noqa: E402, F401
from rag_bench.cli.labels import drawing, reading  # noqa: E402, F401
from rag_bench.cli.service import access, callbacks, changed_models  # noqa: E402, F401
