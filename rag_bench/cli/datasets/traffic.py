"""``rag-bench make-traffic-dataset``: users' questions with the answers that they got."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rag_bench.cli.app import app, check_stage, open_engine, open_sweep, progress_bars
from rag_bench.errors import RagBenchError


@app.command("make-traffic-dataset")
def make_traffic_dataset(
    size: Annotated[int, typer.Option(help="Different questions, at most.", min=1)] = 300,
    seed: Annotated[int, typer.Option(help="Another one is another sample.")] = 42,
    months: Annotated[
        str,
        typer.Option(
            help="Comma-separated, as 2025-12,2026-01; unknown: without a time. Empty: all."
        ),
    ] = "",
    answered_only: Annotated[
        bool,
        typer.Option("--answered-only", help="Leave out what production did not answer."),
    ] = False,
    name: Annotated[str, typer.Option(help="The dataset's name.")] = "traffic",
) -> None:
    """Sample what users asked and got, masked, as a dataset. Asks no model.

    Then: rag-bench sweep --dataset traffic --tier 3 --generation-models production/log,MODEL.
    """
    from rag_bench.analytics.traffic_sample import COUNTS
    from rag_bench.answer_sources import TRAFFIC
    from rag_bench.store import datasets, snapshots
    from rag_bench.tiers.traffic.dataset import TrafficRecipe

    engine = open_engine()
    snapshot = snapshots.require_current(engine)
    if not snapshot.n_questions:
        raise RagBenchError(
            f"The current snapshot ({snapshot.name}) holds no questions of users. Load a dump "
            "whose question_answer has rows."
        )
    chosen = tuple(month.strip() for month in months.split(",") if month.strip())
    recipe = TrafficRecipe(size, seed, chosen, answered_only, name)
    config: dict[str, Any] = {**vars(recipe), "months": list(chosen)}
    with progress_bars():
        result = open_sweep().materialize(
            "traffic dataset", ["traffic_dataset"], ops={"traffic_dataset": config}
        )
    check_stage(result)
    made = datasets.newest_dataset(engine, TRAFFIC)
    assert made is not None
    record = datasets.source_of(engine, made.id)
    typer.echo(f"{made}")
    for name in COUNTS:
        typer.echo(f"{record['counts'][name]:>7,} {name.replace('_', ' ')}")
    typer.echo(f"strata: {len(record['by_month'])} months, {record['topics'] or 'no'} topics")
    typer.echo(
        f"Next: rag-bench sweep --dataset {made.name} --tier 3 --generation-models "
        "production/log,MODEL"
    )
