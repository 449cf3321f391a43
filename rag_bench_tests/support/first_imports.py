"""Tells which modules a sweep imports for the first time while its cells run, and on which thread.

Run as a script of its own process, so that nothing is imported before: the database and the data
folder come from the environment, the stages as JSON from the first argument.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any


class FirstImports:
    """A finder that finds nothing: it notes what is looked for while ``running``."""

    def __init__(self) -> None:
        self.running = 0
        self.seen: list[dict[str, Any]] = []

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if self.running:
            ours = [
                f"{frame.filename.rpartition('rag_bench/')[2]}:{frame.lineno}"
                for frame in traceback.extract_stack()
                if "rag_bench/" in frame.filename and "first_imports" not in frame.filename
            ]
            main = threading.current_thread() is threading.main_thread()
            self.seen.append({"module": name, "main": main, "from": ours[-1] if ours else ""})

    def found(self) -> list[dict[str, Any]]:
        """Return those that are really there: libraries also look for what is not installed."""
        return [one for one in self.seen if one["module"] in sys.modules]


def watch_cells(watch: FirstImports) -> None:
    """Watch from the first job of a step's cells to its last finished cell."""
    sys.meta_path.insert(0, watch)  # type: ignore[arg-type]
    import asyncio

    run = asyncio.TaskGroup.__aenter__
    leave = asyncio.TaskGroup.__aexit__

    async def enter(self: asyncio.TaskGroup) -> asyncio.TaskGroup:
        watch.running += 1
        return await run(self)

    async def exit_(self: asyncio.TaskGroup, *error: Any) -> Any:
        try:
            return await leave(self, *error)
        finally:
            watch.running -= 1

    asyncio.TaskGroup.__aenter__ = enter  # type: ignore[method-assign]
    asyncio.TaskGroup.__aexit__ = exit_  # type: ignore[method-assign]


def sweep(request: dict[str, Any]) -> Sequence[str]:
    """Run a sweep of this process on an instance of its own; return what failed."""
    import dagster as dg

    from rag_bench.partitions import ModelLists
    from rag_bench.sweep import Sweep, SweepRequest

    models = ModelLists(*request.pop("models"))
    tiers = frozenset(request.pop("tiers"))
    with dg.DagsterInstance.ephemeral() as instance:
        results = Sweep(instance, models).run(
            SweepRequest(models, tiers, report=False, **request), lambda stage: None
        )
    return [error for result in results for error in result.errors]


if __name__ == "__main__":
    watcher = FirstImports()
    watch_cells(watcher)
    failed = sweep(json.loads(sys.argv[1]))
    print(json.dumps({"failed": failed, "imports": watcher.found()}))
