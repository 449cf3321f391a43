"""The process that plants: its orders come by stdin as JSON, what it finds leaves by stdout.

Each line of stdout is an object: ``progress`` (label, done, total), ``row``, ``error`` or ``done``.
Stdin ends with whoever started it, however that ends; then everything made here is removed, and so
does this process end.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any


def main() -> int:
    """Read the orders (``url``, ``data``, ``faults``), plant, say what was found."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no reply

    def say(kind: str, what: Any) -> None:
        replies.write(json.dumps({kind: what}, ensure_ascii=False) + "\n")
        replies.flush()

    orders = json.loads(sys.stdin.readline())
    from rag_bench.errors import RagBenchError
    from rag_bench.planted.plants import chosen
    from rag_bench.planted.running import rows
    from rag_bench.planted.scratch import scratch
    from rag_bench.store.database import make_engine

    engine = make_engine(orders["url"], application_name="rag_bench self-test")
    folder = Path(tempfile.mkdtemp(prefix="rag_bench_self_test_"))
    try:
        with scratch(engine) as databases:

            def leave() -> None:
                sys.stdin.read()
                databases.drop_all()
                shutil.rmtree(folder, ignore_errors=True)
                os._exit(1)

            threading.Thread(target=leave, daemon=True).start()
            plants = chosen(orders["faults"])

            def report(label: str, done: int, total: int) -> None:
                say("progress", [label, done, total])

            for row in rows(databases, Path(orders["data"]), folder, plants, report):
                say("row", row)
        say("done", True)
    except RagBenchError as error:
        say("error", str(error))
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        engine.dispose()
    return 0
