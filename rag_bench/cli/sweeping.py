"""``rag-bench sweep``: compare models; and ``rag-bench demo``: everything, once, offline."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from rag_bench.cli.app import (
    app,
    check_stage,
    console,
    errors,
    open_engine,
    open_sweep,
    progress_bars,
)
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings


@app.command()
def sweep(
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
    tier: Annotated[str, typer.Option(help="0, 1, 2, 3, judge_pipeline; a list; or all.")] = "all",
    dataset: Annotated[
        str, typer.Option(help="Dataset id, name or file; empty: the snapshot's default.")
    ] = "",
    mode: Annotated[str, typer.Option(help="synthetic or manual: which default dataset.")] = "",
    limit: Annotated[int | None, typer.Option(help="Only the first N questions.", min=1)] = None,
    top_k: Annotated[int | None, typer.Option(help="Chunks retrieved in tier 1.", min=1)] = None,
    search: Annotated[str, typer.Option(help="exact or hnsw; empty: RAG_BENCH_SEARCH.")] = "",
    contexts_per_answer: Annotated[
        int | None, typer.Option(help="Chunks given to the generator in tier 3.", min=1)
    ] = None,
    consistency_runs: Annotated[int, typer.Option(help="Answers per question.", min=1)] = 1,
    judge_eval_mode: Annotated[str, typer.Option(help="direct or reasoned.")] = "direct",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again where a reply could not be used.")
    ] = False,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what would be asked and its cost; send nothing."),
    ] = False,
    max_calls: Annotated[
        int | None,
        typer.Option(help="Stop after so many new calls; run again to go on.", min=0),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(help="Stop before the new calls cost more (USD, RAG_BENCH_PRICES).", min=0),
    ] = None,
) -> None:
    """Compare models: materialize the tiers' assets for every combination of the models.

    Killed, it goes on where it stopped: what was answered is in the call ledger.
    """
    from rag_bench.llm.budget import spending
    from rag_bench.sweep import SweepRequest, parse_tiers

    for name, value, allowed in (
        ("--mode", mode, ("", "synthetic", "manual")),
        ("--judge-eval-mode", judge_eval_mode, ("direct", "reasoned")),
        ("--search", search, ("", "exact", "hnsw")),
    ):
        if value not in allowed:
            known = " or ".join(word for word in allowed if word)
            raise RagBenchError(f"{name} is {value!r}; it can be {known}.")
    models = _models(generation_models, judge_models, production_judge_models)
    tiers = parse_tiers(tier)
    engine = open_engine()
    benchmark: dict[str, Any] = {
        "consistency_runs": consistency_runs,
        "judge_eval_mode": judge_eval_mode,
        "retry_failed": retry_failed,
        "mode": mode,
        "search": search,
    }
    optional = {
        "dataset": _dataset(engine, dataset) if dataset else None,
        "limit": limit,
        "top_k": top_k,
        "contexts_per_answer": contexts_per_answer,
    }
    benchmark |= {name: value for name, value in optional.items() if value is not None}
    if plan:
        from rag_bench.cli.planning import make_plan, show_plan

        _say_what(engine, models, benchmark)
        show_plan(make_plan(engine, models, tiers, benchmark))
        return
    budget = _budget(max_calls, max_cost)
    running = open_sweep(models)
    _say_what(engine, models, benchmark)
    before = _calls(engine)
    started = time.monotonic()
    with progress_bars(), spending(budget):
        results = running.run(SweepRequest(models, tiers, benchmark), _announce)
    for result in results:
        typer.echo(f"{result.name:<34} {result.seconds:7.1f} s")
    seconds = time.monotonic() - started
    typer.echo(f"{'total':<34} {seconds:7.1f} s, {_calls(engine) - before} calls of models")
    failed = [error for result in results for error in result.errors]
    if tiers & {"2", "3"} and not any(r.errors for r in results[:1]):
        _show_board(engine, running, benchmark)
    if budget is not None and budget.reached:
        raise RagBenchError(
            f"The sweep stopped at its cap after {budget.calls} calls, {budget.cost_usd:.4f} USD "
            f"(unknown prices left out). Everything answered is kept. {budget.reached}"
        )
    if failed:
        raise RagBenchError("The sweep is not complete. " + " ".join(failed))
    typer.echo("\nNext: rag-bench leaderboard --json, or `make dev` to look at it in the UI.")


@app.command()
def demo() -> None:
    """Build and load the demo, materialize the whole graph with offline models, show the result."""
    from rag_bench import sweep as sweeps
    from rag_bench.demo.dump import build_demo_dump
    from rag_bench.llm import offline
    from rag_bench.partitions import ModelLists
    from rag_bench.store.embedded import EmbeddedServer

    settings = get_settings()
    stages: list[tuple[str, float]] = []
    started = time.monotonic()

    def took(name: str) -> None:
        nonlocal started
        stages.append((name, time.monotonic() - started))
        started = time.monotonic()

    _announce("database")
    engine = open_engine()
    models = ModelLists(offline.GENERATORS, offline.BENCHMARK_JUDGES, offline.PRODUCTION_JUDGES)
    took("database")
    _announce("demo dump")
    server = EmbeddedServer(settings.home)
    server.start()
    built = build_demo_dump(settings.data_dir, settings.dumps, server)
    took("demo dump")
    calls, vectors = _calls(engine), _vectors(engine)
    running = open_sweep(models)
    took("definitions")
    with progress_bars():
        _announce("load the dump")
        check_stage(
            running.materialize("dump", sweeps.SOURCE, ops={"dump": {"path": str(built.path)}})
        )
        took("load the dump")
        _announce("question embeddings")
        check_stage(running.materialize("question embeddings", ["question_embeddings"]))
        took("question embeddings")
        _announce("datasets")
        # The writer is named, or a configured model would be asked, and paid.
        writer = {"synthetic_dataset": {"model": offline.BENCHMARK_JUDGES[0]}}
        datasets = ["manual_dataset", "synthetic_dataset"]
        check_stage(running.materialize("datasets", datasets, ops=writer))
        took("datasets")
        results = running.run(sweeps.SweepRequest(models), _announce)
    stages += [(result.name, result.seconds) for result in results]
    failed = [error for result in results for error in result.errors]
    if failed:
        raise RagBenchError(" ".join(failed))
    _show_board(engine, running, {})
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


def _models(generation: str, judges: str, production: str):  # type: ignore[no-untyped-def]
    from rag_bench.llm import offline
    from rag_bench.llm.providers import Providers, Role
    from rag_bench.partitions import ModelLists

    providers = Providers.from_environment()
    for note in providers.notes:
        errors.print(f"note: {note}", highlight=False)
    models = ModelLists(
        providers.resolve_models(Role.generation, generation or None),
        providers.resolve_models(Role.benchmark_judge, judges or None),
        providers.resolve_models(Role.production_judge, production or None),
    )
    for names, offered in (
        (models.generation, offline.ALL_GENERATORS),
        (models.benchmark_judges, offline.ALL_BENCHMARK_JUDGES),
        (models.production_judges, offline.ALL_PRODUCTION_JUDGES),
    ):
        for name in names:
            if offline.is_simulated(name) and name not in offered:
                raise RagBenchError(
                    f"There is no offline model {name!r} of this role; "
                    f"there are: {', '.join(offered)}."
                )
    return models


def _budget(max_calls: int | None, max_cost: float | None):  # type: ignore[no-untyped-def]
    from decimal import Decimal

    from rag_bench.llm.budget import Budget

    if max_calls is None and max_cost is None:
        return None
    return Budget(max_calls, None if max_cost is None else Decimal(str(max_cost)))


def _dataset(engine, reference: str) -> str:  # type: ignore[no-untyped-def]
    """Return a dataset's id; a file is imported first."""
    from pathlib import Path

    from rag_bench.source.dataset_files import read_dataset_file
    from rag_bench.store import datasets, snapshots

    path = Path(reference)
    if path.is_file():
        snapshot = snapshots.require_current(engine)
        read = read_dataset_file(path, snapshots.chunks_of(engine, snapshot.sha256))
        return datasets.save_dataset(
            engine, path.stem, read.kind, read.items, {"file": path.name}
        ).id
    found = datasets.find_dataset(engine, reference)
    if found is None:
        known = ", ".join(str(d) for d in datasets.list_datasets(engine)[:5]) or "none"
        raise RagBenchError(f"There is no dataset or file {reference!r}. The newest are: {known}.")
    return found.id


def _say_what(engine, models, benchmark: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    from rag_bench.store import snapshots
    from rag_bench.tiers.bench import resolve_dataset

    snapshot = snapshots.require_current(engine)
    try:
        dataset = benchmark.get("dataset")
        named = str(resolve_dataset(engine, snapshot, dataset, benchmark["mode"] or None))
    except RagBenchError:
        named = "still to be made"
    typer.echo(f"snapshot {snapshot.name}: {snapshot.n_chunks} chunks; dataset {named}")
    for role, names in (
        ("generation models", models.generation),
        ("benchmark judges", models.benchmark_judges),
        ("production judges", models.production_judges),
    ):
        typer.echo(f"{role}: {', '.join(names)}")


def _announce(name: str) -> None:
    errors.print(f"… {name}", highlight=False)


def _calls(engine) -> int:  # type: ignore[no-untyped-def]
    from sqlalchemy import text

    with engine.connect() as connection:
        return int(connection.execute(text("select count(*) from rag_bench.llm_call")).scalar())


def _vectors(engine) -> int:  # type: ignore[no-untyped-def]
    from sqlalchemy import text

    with engine.connect() as connection:
        return int(connection.execute(text("select count(*) from rag_bench.embedding")).scalar())


def _show_board(engine, running, benchmark: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    from rag_bench.cli.results import show
    from rag_bench.reporting.leaderboard import build
    from rag_bench.resources import BenchmarkResource

    try:
        bench = BenchmarkResource(**benchmark).open(engine, None)
        show(build(engine, bench.run.hash), console, rows=12)
    except RagBenchError as error:
        typer.echo(f"No leaderboard: {error}")


def _short(path) -> str:  # type: ignore[no-untyped-def]
    from pathlib import Path

    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
