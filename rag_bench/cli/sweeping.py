"""``rag-bench sweep``: compare models; and ``rag-bench demo``: everything, once, offline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli import running as runs
from rag_bench.cli.app import app, check_stage, open_engine, open_sweep, progress_bars
from rag_bench.cli.flags import RunFlags, with_run_flags
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


@app.command()
@with_run_flags()
def sweep(
    *,
    generation_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated <provider>/<model>; empty: GENERATION_MODEL, else the "
            "configured lists, else the offline models. The other roles likewise."
        ),
    ] = "",
    judge_models: Annotated[
        str,
        typer.Option(
            "--judge-models", "--benchmark-judge-models", help="Benchmark judges, which score."
        ),
    ] = "",
    production_judge_models: Annotated[
        str, typer.Option(help="Production judges, which decide show or hide.")
    ] = "",
    given: RunFlags,
) -> None:
    """Compare models: materialize the tiers' assets for every combination of the models.

    Killed, it goes on where it stopped: what was answered is in the call ledger.
    """
    models = runs.chosen_models(
        runs.RoleModels(generation_models),
        runs.RoleModels(judge_models),
        runs.RoleModels(production_judge_models),
    )
    runs.run(models, runs.Options.of(given))


@app.command()
def demo() -> None:
    """Build and load the demo, materialize the whole graph with offline models, show the result."""
    from rag_bench import sweep as sweeps
    from rag_bench.cli import retrievers
    from rag_bench.demo.dump import build_demo_dump
    from rag_bench.llm.config import offline
    from rag_bench.partitions import ModelLists
    from rag_bench.retrieval.encoder import load_encoder
    from rag_bench.store.embedded import EmbeddedServer
    from rag_bench.tiers.stages import ANALYTICS

    settings = get_settings()
    stages: list[tuple[str, float]] = []
    started = time.monotonic()

    def took(name: str) -> None:
        nonlocal started
        stages.append((name, time.monotonic() - started))
        started = time.monotonic()

    runs.announce("database")
    engine = open_engine()
    models = ModelLists(offline.GENERATORS, offline.BENCHMARK_JUDGES, offline.PRODUCTION_JUDGES)
    took("database")
    runs.announce("demo dump")
    server = EmbeddedServer(settings.home)
    server.start()
    built = build_demo_dump(settings.data_dir, settings.dumps, server)
    took("demo dump")
    calls, vectors = _calls(engine), _vectors(engine)
    running = open_sweep(models)
    took("definitions")
    # Late interaction reads chunks by their tokens: one pass over them gives both.
    load_encoder(settings).remember_tokens()
    with progress_bars():
        runs.announce("load the dump")
        check_stage(
            running.materialize("dump", sweeps.SOURCE, ops={"dump": {"path": str(built.path)}})
        )
        took("load the dump")
        runs.announce("question embeddings")
        check_stage(running.materialize("question embeddings", ["question_embeddings"]))
        took("question embeddings")
        runs.announce("datasets")
        # The writer is named, or a configured model would be asked, and paid.
        writer = {"synthetic_dataset": {"model": offline.BENCHMARK_JUDGES[0]}}
        datasets = ["manual_dataset", "synthetic_dataset"]
        check_stage(running.materialize("datasets", datasets, ops=writer))
        took("datasets")
        compared = retrievers.offline_names()
        for result in retrievers.measure(running, compared, {}):
            runs.announce(result.name)
            check_stage(result)
            took(result.name)
        results = running.run(sweeps.SweepRequest(models), runs.announce)
    stages += [(result.name, result.seconds) for result in results]
    failed = [error for result in results for error in result.errors]
    if failed:
        raise RagBenchError(" ".join(failed))
    started = time.monotonic()
    with progress_bars():
        runs.announce(ANALYTICS.title)
        check_stage(running.materialize(ANALYTICS.title, ANALYTICS.assets))
    took(ANALYTICS.title)
    retrievers.show_measured(engine, compared, {})
    runs.show_board(engine, running, {})
    typer.echo("")
    for name, seconds in stages:
        typer.echo(f"{name:<34} {seconds:7.1f} s")
    typer.echo(f"{'total':<34} {sum(seconds for _, seconds in stages):7.1f} s")
    typer.echo(
        f"{_calls(engine) - calls} calls of models, {_vectors(engine) - vectors} texts encoded"
    )
    reports = sorted(settings.reports_dir.glob("rag_benchmark_*.html"))
    if reports:
        typer.echo(f"report: {_short(reports[-1])}")
    typer.echo("Next: make dev, then open the address that it prints.")


def _calls(engine: Engine) -> int:
    from sqlalchemy import text

    with engine.connect() as connection:
        found = connection.execute(text("select count(*) from rag_bench.llm_call")).scalar()
    return int(found or 0)


def _vectors(engine: Engine) -> int:
    from sqlalchemy import text

    with engine.connect() as connection:
        found = connection.execute(text("select count(*) from rag_bench.embedding")).scalar()
    return int(found or 0)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
