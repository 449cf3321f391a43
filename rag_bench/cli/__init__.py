"""``rag-bench``: thin commands over the same assets that the UI materializes."""

from __future__ import annotations

import sys
import warnings

from rag_bench.errors import RagBenchError
from rag_bench.processes import look_for_garbage_rarely


def main() -> None:
    """Run the command line; an error meant for people is one message and exit code 1."""
    warnings.filterwarnings("ignore", module="dagster.*")
    look_for_garbage_rarely()
    from rag_bench.cli.app import app

    try:
        app(standalone_mode=True)
    except RagBenchError as error:
        print(f"rag-bench: {error}", file=sys.stderr)
        raise SystemExit(1) from None
