"""The group ``rag-bench eval``, and how its commands end."""

from __future__ import annotations

from typing import Any

import typer

from rag_bench.cli.app import app
from rag_bench.evaluation.paired.decision import GOT_WORSE, NO_WORSE

PASSED, REGRESSION, INCONCLUSIVE, COULD_NOT_RUN = range(4)
#: For the help of commands that end so.
EXIT_CODES = "Exit code 0: passed; 1: regression; 2: it cannot be told; 3: it could not be run."

eval_app = typer.Typer(help="Runs of the evaluation service, over its API.")
app.add_typer(eval_app, name="eval")


def exit_code_of(verdict: Any) -> int:
    """Return the exit code that a comparison's verdict stands for."""
    return {GOT_WORSE: REGRESSION, NO_WORSE: PASSED}.get(verdict, INCONCLUSIVE)
