"""``rag-bench compare``: two runs or evaluations of this database, case by case."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine
from rag_bench.cli.eval_runs.group import CodedIfAsked, ending, exit_code_of
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.words import MARGIN


@app.command(cls=CodedIfAsked)
def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="The earlier or trusted one: an evaluation's number, a generation model (MODEL or "
            "MODEL@SETTINGS), or the id of a run, a settings hash, a dump's sha256, or the "
            "beginning of one. run:…, evaluation:…, model:…, settings:… and dump:… say which is "
            "meant."
        ),
    ],
    b: Annotated[str, typer.Argument(help="What is held against it.")],
    metric: Annotated[
        list[str] | None, typer.Option(help="Only these (several times); fewer show more.")
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What may be lost, as a part of each metric's scale (default {MARGIN}), or, as "
            "NAME=0.2, in the metric's own units (several times)."
        ),
    ] = None,
    higher: Annotated[
        list[str] | None, typer.Option(help="A metric of your own of which more is better.")
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option(help="A metric of your own of which less is better.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            help="Where several things differ: plan the missing combinations of old and new, and "
            "split the change among its causes where all are measured."
        ),
    ] = False,
    run: Annotated[
        bool, typer.Option("--run", help="With --explain: measure what is missing. Asks models.")
    ] = False,
    max_calls: Annotated[
        int | None, typer.Option(help="With --run: not if it takes more calls.", min=0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1: worse; 2: cannot tell; 3: not there.")
    ] = False,
) -> None:
    """Compare two runs or evaluations, case by case: what got worse? Only --run asks models."""
    from rag_bench.reporting.compared.comparing import Terms
    from rag_bench.reporting.compared.comparing import compare as compare_both
    from rag_bench.reporting.compared.text import whole

    with ending() if exit_code else nullcontext():
        share, margins = _margins(margin or [])
        terms = Terms(
            metrics=metric or None,
            margin=share,
            margins=margins,
            higher=higher or (),
            lower=lower or (),
        )
        if run and not explain:
            raise RagBenchError("--run belongs to --explain.")
        engine = open_engine()
        found = compare_both(engine, a, b, terms).as_json()
        causes = None
        if explain:
            from rag_bench.cli.eval_runs.explaining import explained

            causes = explained(engine, a, b, run=run, max_calls=max_calls, metrics=metric or None)
            found["explained"] = causes.as_json()
        if as_json:
            typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        else:
            typer.echo("\n".join([whole(found), *(causes.lines() if causes else ())]))
    if exit_code:
        raise typer.Exit(exit_code_of(found["verdict"]))


def _margins(given: list[str]) -> tuple[float, dict[str, float]]:
    share, own = MARGIN, {}
    for one in given:
        name, separator, value = one.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number < math.inf or not (name or not separator):
            raise RagBenchError(f"--margin {one}: neither a positive number nor NAME=NUMBER.")
        if separator:
            own[name] = number
        elif number > 1:
            raise RagBenchError(
                f"--margin {one}: a part of each metric's scale is at most 1; in a metric's own "
                f"units it is --margin NAME={one}."
            )
        else:
            share = number
    return share, own
