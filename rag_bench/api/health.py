"""Whether the service lives and is ready: for probes, without a key, telling no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from rag_bench.api.warming import DAGSTER

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.api.warming import Warming

#: Whether Dagster's daemon gave a sign of life lately; None: not known.
Daemon = Callable[[], bool | None]
_log = logging.getLogger("rag_bench.api")
#: Seconds for which an answer is given again, as anybody may ask.
_FRESH = 1.0

State = Literal["ok", "failed", "missing", "not checked"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """What the service needs, and whether it is there."""

    status: Literal["ready", "warming", "degraded", "unavailable"] = Field(
        description="degraded: everything but long runs works. warming: everything is served, and "
        "runs wait until what they need is loaded."
    )
    database: State
    migrations: State
    dagster_daemon: State
    warming: list[str] = Field(default=[], description="What is being loaded, in this order.")
    notes: list[str] = Field(description="What follows, in sentences.")


class Readiness:
    """Looks at what the service needs, at most once a second."""

    def __init__(
        self,
        engine: Engine,
        daemon: Daemon | None,
        clock: Callable[[], float] = time.monotonic,
        warming: Warming | None = None,
    ) -> None:
        self._engine, self._daemon, self._clock = engine, daemon, clock
        self._warming = warming
        self._lock = Lock()
        self._found: tuple[float, Ready] | None = None

    def look(self) -> Ready:
        """Return the state of everything, of now or of a second ago.

        While one looks, which may take long where something hangs, others get what was found last.
        """
        before = self._found
        if not self._lock.acquire(blocking=before is None) and before is not None:
            return before[1]
        try:
            if self._found is None or self._clock() - self._found[0] > _FRESH:
                self._found = (self._clock(), self._look())
            return self._found[1]
        finally:
            self._lock.release()

    def _look(self) -> Ready:
        from sqlalchemy.exc import SQLAlchemyError

        from rag_bench.store.migrate import is_current

        try:
            current = is_current(self._engine)
        except SQLAlchemyError:
            return Ready(
                status="unavailable",
                database="failed",
                migrations="not checked",
                dagster_daemon="not checked",
                notes=["The database cannot be reached."],
            )
        loading = self._warming.waiting if self._warming is not None else []
        # Who asks now would wait for Dagster to be imported.
        daemon, notes = ("not checked", []) if DAGSTER in loading else self._look_at_daemon()
        if loading:
            assert self._warming is not None
            who = "Runs wait" if self._warming.holds else "Runs that need it wait"
            notes.insert(0, f"Being loaded: {', '.join(loading)}. {who} for that.")
        if not current:
            notes.insert(0, "The tables are of another version; run `rag-bench db start`.")
        return Ready(
            status=_status(current, daemon, loading),
            database="ok",
            migrations="ok" if current else "failed",
            dagster_daemon=daemon,
            warming=loading,
            notes=notes,
        )

    def _look_at_daemon(self) -> tuple[State, list[str]]:
        lives = None
        try:
            lives = self._daemon() if self._daemon else None
        except Exception:  # Dagster's own storage may be away in many ways
            _log.exception("Dagster's daemon could not be asked for.")
        if lives:
            return "ok", []
        note = "No sign of Dagster's daemon: long runs will stay queued until it is started."
        if lives is None:
            note = (
                "It is not known whether Dagster's daemon works; without it long runs stay queued."
            )
        return ("not checked" if lives is None else "missing"), [note]


def _status(
    current: bool, daemon: State, loading: list[str]
) -> Literal["ready", "warming", "degraded", "unavailable"]:
    if not current:
        return "unavailable"
    if loading:
        return "warming"
    return "ready" if daemon == "ok" else "degraded"


def router(engine: Engine, daemon: Daemon | None, warming: Warming | None = None) -> APIRouter:
    """Return the endpoints that anybody may ask."""
    made = APIRouter(tags=["health"])
    readiness = Readiness(engine, daemon, warming=warming)

    @made.get("/healthz", summary="Whether the process answers")
    async def healthz() -> Alive:
        """Without a look at anything else: for a probe that restarts what hangs."""
        return Alive()

    @made.get(
        "/readyz",
        summary="Whether all that is needed is there",
        responses={503: {"model": Ready, "description": "Not ready: requests would fail."}},
    )
    def readyz() -> Ready:
        """503 when not ready, else 200: for a probe that sends requests here or not."""
        found = readiness.look()
        if found.status == "unavailable":
            return JSONResponse(found.model_dump(), 503)  # type: ignore[return-value]
        return found

    return made
