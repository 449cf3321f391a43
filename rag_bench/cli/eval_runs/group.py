"""The group ``rag-bench eval``, and how its commands end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand

from rag_bench.cli.app import app, errors
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.words import GOT_WORSE, NO_WORSE

PASSED, REGRESSION, INCONCLUSIVE, COULD_NOT_RUN = range(4)
# Of typer and click, for what is wrong with the arguments.
_MISUSED = 2
#: For the help of commands that end so.
EXIT_CODES = "Exit code 0: passed; 1: regression; 2: it cannot be told; 3: it could not be run."


class Coded(TyperCommand):
    """A command whose exit codes mean something: a mistyped option must not end with 2."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the arguments; what is wrong with them could not be run."""
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            if getattr(error, "exit_code", None) == _MISUSED:
                vars(error)["exit_code"] = COULD_NOT_RUN
            raise


class CodedIfAsked(Coded):
    """A command whose exit codes mean something where ``--exit-code`` is given."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the arguments."""
        given = more.get("args", arguments[1] if len(arguments) > 1 else ())
        if "--exit-code" in given:
            return super().make_context(*arguments, **more)
        return TyperCommand.make_context(self, *arguments, **more)


@contextmanager
def ending() -> Iterator[None]:
    """End whatever fails with the code of what could not be run: 1 would be a regression."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        errors.print("A run that was started goes on: rag-bench eval follow ID, or cancel ID.")
        raise typer.Exit(COULD_NOT_RUN) from None
    except RagBenchError as error:
        errors.print(f"rag-bench: {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(COULD_NOT_RUN) from None
    except Exception:
        errors.print_exception()
        raise typer.Exit(COULD_NOT_RUN) from None


eval_app = typer.Typer(help="Runs of the evaluation service, over its API.")
app.add_typer(eval_app, name="eval")


def exit_code_of(verdict: Any) -> int:
    """Return the exit code that a comparison's verdict stands for."""
    return {GOT_WORSE: REGRESSION, NO_WORSE: PASSED}.get(verdict, INCONCLUSIVE)
