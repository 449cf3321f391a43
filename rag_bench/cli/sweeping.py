"""``rag-bench sweep``: compare models; and ``rag-bench demo``: everything, once, offline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli import running as runs
from rag_bench.cli.app import app, check_stage, open_engine, open_sweep, progress_bars
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


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
    tier: Annotated[
        str, typer.Option(help="0, 1, 2, 3, judge, judge_pipeline, ux; a list; or all.")
    ] = "all",
    dataset: Annotated[
        str, typer.Option(help="Dataset id, name or file; empty: the snapshot's default.")
    ] = "",
    pairs: Annotated[
        str,
        typer.Option(
            help="Labelled pairs: id, name or file; empty: the newest imported for this snapshot."
        ),
    ] = "",
    mode: Annotated[str, typer.Option(help="synthetic or manual: which default dataset.")] = "",
    limit: Annotated[
        int | None, typer.Option(help="Only the first N questions, and labelled pairs.", min=1)
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Chunks retrieved in tier 1.", min=1)] = None,
    search: Annotated[str, typer.Option(help="exact or hnsw; empty: RAG_BENCH_SEARCH.")] = "",
    contexts_per_answer: Annotated[
        int | None, typer.Option(help="Chunks given to the generator in tier 3.", min=1)
    ] = None,
    consistency_runs: Annotated[int, typer.Option(help="Answers per question.", min=1)] = 1,
    judge_eval_mode: Annotated[str, typer.Option(help="direct or reasoned.")] = "direct",
    ragas: Annotated[
        bool, typer.Option("--ragas", help="RAGAS' metrics as well; many more calls.")
    ] = False,
    tier3_all_rubrics: Annotated[
        bool,
        typer.Option(
            "--tier3-all-rubrics",
            help="Score tier 3 by faithfulness, relevance and correctness as well.",
        ),
    ] = False,
    cached_answers: Annotated[
        bool,
        typer.Option(
            "--cached-answers",
            help="As in production, a question close to one rated 5 gets the stored answer.",
        ),
    ] = False,
    cache_threshold: Annotated[
        float | None,
        typer.Option(help="Least cosine of such a question; also for tier ux.", min=-1, max=1),
    ] = None,
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
    from rag_bench.tiers.base.measures import parse_tiers

    models = runs.chosen_models(
        runs.RoleModels(generation_models),
        runs.RoleModels(judge_models),
        runs.RoleModels(production_judge_models),
    )
    benchmark = {
        "dataset": dataset,
        "pairs": pairs,
        "mode": mode,
        "limit": limit,
        "top_k": top_k,
        "search": search,
        "contexts_per_answer": contexts_per_answer,
        "consistency_runs": consistency_runs,
        "judge_eval_mode": judge_eval_mode,
        "tier3_all_rubrics": tier3_all_rubrics,
        "cached_answers": cached_answers,
        "cache_threshold": cache_threshold,
        "retry_failed": retry_failed,
    }
    runs.run(
        models,
        runs.Options(
            parse_tiers(tier),
            benchmark,
            ragas=ragas,
            plan=plan,
            caps=runs.Caps(max_calls, max_cost),
        ),
    )


@app.command()
def demo() -> None:
    """Build and load the demo, materialize the whole graph with offline models, show the result."""
    from rag_bench import sweep as sweeps
    from rag_bench.automation import ANALYTICS
    from rag_bench.demo.dump import build_demo_dump
    from rag_bench.llm.transport import offline
    from rag_bench.partitions import ModelLists
    from rag_bench.store.embedded import EmbeddedServer

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
        results = running.run(sweeps.SweepRequest(models), runs.announce)
    stages += [(result.name, result.seconds) for result in results]
    failed = [error for result in results for error in result.errors]
    if failed:
        raise RagBenchError(" ".join(failed))
    started = time.monotonic()
    with progress_bars():
        runs.announce("analytics")
        check_stage(running.materialize("analytics", ANALYTICS))
    took("analytics")
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
