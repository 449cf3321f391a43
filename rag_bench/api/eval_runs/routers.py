"""All endpoints of the evaluation service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.api.eval_runs import events, reads

if TYPE_CHECKING:
    from fastapi import APIRouter
    from sqlalchemy import Engine

    from rag_bench.api.eval_runs.following import Following


def eval_routers(engine: Engine, following: Following) -> list[APIRouter]:
    """Return the routers over one database."""
    return [reads.router(engine), events.router(engine, following)]
