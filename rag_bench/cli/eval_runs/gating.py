"""``rag-bench gate``: may it be released, by the rules of a file?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine
from rag_bench.cli.eval_runs.group import (
    EXIT_CODES,
    INCONCLUSIVE,
    PASSED,
    REGRESSION,
    Coded,
    ending,
)

_CODES = {"passed": PASSED, "failed": REGRESSION, "held": INCONCLUSIVE}


@app.command(cls=Coded, epilog=EXIT_CODES)
def gate(
    a: Annotated[str, typer.Argument(help="What is released now: an evaluation or a run.")],
    b: Annotated[str, typer.Argument(help="What would be.")],
    policy: Annotated[
        Path, typer.Option(help="Which metrics decide, and what they may lose.")
    ] = Path("gate.toml"),
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Hold a release against what is released now, by the rules of a file. Asks no model."""
    from rag_bench.reporting.compared.gate import gate as held_against
    from rag_bench.reporting.compared.policy import read_policy
    from rag_bench.reporting.compared.text import whole

    with ending():
        found = held_against(open_engine(), a, b, read_policy(policy))
        if as_json:
            typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
        else:
            for name, compared in found.compared.items():
                typer.echo(f"{name}\n{whole(compared.as_json(limit=3))}\n")
            typer.echo("\n".join(found.lines()))
    raise typer.Exit(_CODES[found.outcome])
