"""``rag-bench retrievers``: which there are, and which to run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rag_bench.cli import running as runs
from rag_bench.cli.app import (
    app,
    check_stage,
    console,
    open_engine,
    open_sweep,
    progress_bars,
    uncut,
)
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.evaluation.comparison import Contrast
    from rag_bench.reporting.retriever_board import RetrieverBoard
    from rag_bench.sweep import StageResult, Sweep

_WIDTH = 170  # characters, where the output goes into a file
commands = typer.Typer(
    help="Retrievers by name: which there are, and which to run.", no_args_is_help=True
)
app.add_typer(commands, name="retrievers")


@commands.command("list")
def list_retrievers(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """List the retrievers of the settings."""
    from rag_bench.retrievers import DEFAULT, retrievers

    settings = get_settings()
    known = retrievers(settings)
    file = str(settings.retrievers or "retrievers.toml, which comes with rag_bench")
    if as_json:
        rows = [one.model_dump(mode="json") for one in known.values()]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table(title="Retrievers", title_justify="left")
    for name in ("retriever", "search", "encoder", "reranker"):
        table.add_column(name, no_wrap=True)
    table.add_column("top_k", justify="right")
    table.add_column("from", overflow="fold")
    for one in known.values():
        fused = f" ({' + '.join(one.fuse)})" if one.search == "hybrid" else ""
        table.add_row(
            one.name,
            f"{one.search}{fused}",
            (one.encoder or settings.encoder) if one.reads_vectors else "–",
            one.reranker or "–",
            str(one.top_k or settings.top_k),
            "the settings" if one.name == DEFAULT else file,
        )
    uncut(_WIDTH).print(table)


@commands.command()
def compare(
    dataset: Annotated[
        str, typer.Option(help="Dataset id, name or file; empty: the snapshot's default.")
    ] = "",
    retriever: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever", help="One to compare with default; may be repeated. Empty: all."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N questions.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Measure retrievers and compare them with the default one. Asks no language model."""
    from rag_bench.retrievers import DEFAULT, retriever_named
    from rag_bench.store import snapshots

    settings = get_settings()
    names = [retriever_named(settings, name).name for name in dict.fromkeys(retriever or [])]
    engine = open_engine()
    snapshots.require_current(engine)
    benchmark: dict[str, Any] = {"limit": limit}
    if dataset:
        benchmark["dataset"] = runs.dataset_of(engine, dataset)
    running = open_sweep()
    with progress_bars():
        for result in measure(running, [DEFAULT, *names] if names else (), benchmark):
            check_stage(result)
    if as_json:
        board = _board(engine, names, benchmark)
        typer.echo(json.dumps(board.as_json(), ensure_ascii=False, indent=1))
    else:
        show_measured(engine, names, benchmark)


def measure(
    running: Sweep, names: Collection[str], benchmark: Mapping[str, Any]
) -> Iterator[StageResult]:
    """Measure retrievers, all if none is named, and materialize their comparison."""
    import dagster as dg

    from rag_bench import sweep as sweeps
    from rag_bench.assets.results.retrievers import LAB, retriever_comparison
    from rag_bench.retrievers import retrievers
    from rag_bench.tiers.stages import RETRIEVER_COMPARISON, RETRIEVERS

    yield running.materialize("embeddings, datasets", sweeps.ALWAYS)
    for keys in _ranges(list(retrievers(get_settings())), names):
        yield running.materialize(
            RETRIEVERS.title,
            [LAB],
            partitions=dg.StaticPartitionsDefinition(keys),
            benchmark=benchmark,
        )
    comparison = retriever_comparison.key.to_user_string()
    yield running.materialize(RETRIEVER_COMPARISON.title, [comparison], benchmark=benchmark)


def offline_names() -> list[str]:
    """Return the retrievers that ask no service."""
    from rag_bench.retrievers import retrievers

    known = retrievers(get_settings())
    return [name for name, one in known.items() if not one.reranks or one.reranks.kind != "http"]


def show_measured(engine: Engine, names: Collection[str], benchmark: Mapping[str, Any]) -> None:
    """Print the comparison of retrievers, all if none is named, as it was measured."""
    show(_board(engine, names, benchmark), console)


def _board(engine: Engine, names: Collection[str], benchmark: Mapping[str, Any]) -> RetrieverBoard:
    from rag_bench.assets.results.retrievers import board_of
    from rag_bench.resources import BenchmarkResource

    return board_of(BenchmarkResource(**benchmark).open(engine, None), names)


def _ranges(every: Sequence[str], wanted: Collection[str]) -> list[list[str]]:
    """Return what is wanted of all keys as ranges: a run is over neighbours."""
    found: list[list[str]] = [[]]
    for name in every:
        if not wanted or name in wanted:
            found[-1].append(name)
        elif found[-1]:
            found.append([])
    return [keys for keys in found if keys]


def show(board: RetrieverBoard, to: Console) -> None:
    """Print a board of retrievers: what each finds and costs, and what is real of it."""
    from rag_bench.reporting.retriever_board import notes, title_of

    printer = uncut(_WIDTH, to)
    table = Table(
        title=f"Retrievers on {board.n_judged} questions of {board.dataset}", title_justify="left"
    )
    table.add_column("retriever", no_wrap=True)
    for measure in board.measures:
        table.add_column(title_of(measure), justify="right", no_wrap=True)
    for name in ("p50\nms", "p95\nms", "build\ns", "index\nMB"):
        table.add_column(name, justify="right")
    for line in board.lines:
        table.add_row(
            line.name,
            *(_with_interval(line.metrics[measure]) for measure in board.measures),
            *(_number(line.cost(f"{q}_query_latency_ms"), 1) for q in ("p50", "p95")),
            _number(line.cost("build_seconds"), 2),
            _number(line.megabytes, 2),
        )
    printer.print(table)
    if board.contrasts:
        printer.print(_differences(board))
    for note in notes(board):
        printer.print(f"- {note}", highlight=False, markup=False)


def _differences(board: RetrieverBoard) -> Table:
    from rag_bench.reporting.retriever_board import title_of

    table = Table(title=f"Against {board.baseline}", title_justify="left")
    table.add_column("retriever", no_wrap=True)
    table.add_column("measure", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("difference", "95 % interval", "p (Holm)", "detectable", "gained", "lost"):
        table.add_column(name, justify="right")
    before = ""
    for one in board.contrasts:
        table.add_row(
            one.name if one.name != before else "",
            title_of(one.measure),
            one.verdict,
            *_difference(one),
            f"{one.p_adjusted:.4f}",
            _number(one.comparison.minimum_detectable),
            str(len(one.gained)),
            str(len(one.lost)),
        )
        before = one.name
    return table


def _difference(one: Contrast) -> tuple[str, str]:
    found = one.comparison.difference
    if found.value is None or found.ci_low is None:
        return "–" if found.value is None else f"{found.value:+.3f}", "–"
    return f"{found.value:+.3f}", f"{found.ci_low:+.3f} … {found.ci_high:+.3f}"


def _with_interval(metric: Mapping[str, Any]) -> str:
    if metric["ci_low"] is None:
        return _number(metric["value"])
    return f"{metric['value']:.3f}\n{metric['ci_low']:.2f}–{metric['ci_high']:.2f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
