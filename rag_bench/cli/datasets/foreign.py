"""``rag-bench import-results`` and ``export-verdicts``: to and from other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine
from rag_bench.errors import RagBenchError


@app.command("import-results")
def import_results_of(
    path: Annotated[
        Path, typer.Argument(help="promptfoo's results (JSON, JSONL), or Inspect's log.")
    ],
    metric: Annotated[
        str, typer.Option(help="The rubric that its verdicts are labels by.")
    ] = "rubric_answer_correctness",
    name: Annotated[str, typer.Option(help="Of the dataset; empty: the file's name.")] = "",
) -> None:
    """Import results of promptfoo or Inspect: questions, answers, and verdicts as labels.

    The verdicts are labels of kind `model`: they stand beside our judges' scores, and never for
    those of people. The questions become a dataset that can be asked here.
    """
    from rag_bench.tiers.datasets.imported import import_results

    found = import_results(open_engine(), path, metric=metric, name=name)
    typer.echo(f"read as {found.format}; dataset {found.dataset}")
    for model, evaluation in found.evaluations.items():
        typer.echo(f"answers of {model}: evaluation {evaluation}")
    if found.before:
        typer.echo("imported before: nothing was added")
    else:
        typer.echo(f"{found.n_labels} verdicts as labels of kind model by {metric}")
    if found.n_ungraded:
        typer.echo(f"note: {found.n_ungraded} verdicts are no grade of 0 to 1 and no label")


@app.command("export-verdicts")
def export_verdicts(
    output: Annotated[Path, typer.Argument(help="The JSONL file to write.")],
    settings_hash: Annotated[
        str, typer.Option(help="Of which settings, or the beginning; empty: the newest measured.")
    ] = "",
) -> None:
    """Write what judges and people said of the answers as JSONL, a verdict per line."""
    from rag_bench.store import evaluations
    from rag_bench.tiers.datasets.exported import verdict_lines

    engine = open_engine()
    wanted = (
        evaluations.find_settings_hash(engine, settings_hash)
        if settings_hash
        else evaluations.newest_settings_hash(engine)
    )
    if wanted is None:
        raise RagBenchError("Nothing was measured under such settings: run `rag-bench sweep`.")
    lines = [json.dumps(line, ensure_ascii=False) for line in verdict_lines(engine, wanted)]
    try:
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RagBenchError(f"{output} cannot be written: {error.strerror or error}.") from None
    typer.echo(f"{len(lines)} verdicts of settings {wanted[:12]}: {output}")
