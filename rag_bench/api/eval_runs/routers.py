"""All endpoints of the evaluation service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.api.datasets import aliases, datasets, drafts
from rag_bench.api.eval_runs import baseline, changing, compare, events, reads, report, run
from rag_bench.api.eval_runs.starting import Starting

if TYPE_CHECKING:
    from fastapi import APIRouter
    from sqlalchemy import Engine

    from rag_bench.api.eval_runs.following import Following
    from rag_bench.eval_runs.runner import Runner
    from rag_bench.settings import Settings


def eval_routers(
    engine: Engine, settings: Settings, following: Following, runner: Runner | None
) -> list[APIRouter]:
    """Return the routers over one database; ``runner`` is None where this process executes none."""
    starting = Starting(engine, settings, following, runner)
    return [
        run.router(engine, settings, starting),
        reads.router(engine),
        compare.router(engine),
        report.router(engine),
        events.router(engine, following),
        changing.router(engine, settings, starting),
        aliases.router(engine, settings),
        datasets.router(engine),
        drafts.router(engine),
        baseline.router(engine),
    ]
