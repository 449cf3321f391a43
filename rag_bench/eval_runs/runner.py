"""Executes the service's short runs in its own process, on a few threads.

Runs that another process had begun and left behind, as after a kill, are taken over once their
claim is over; so whatever waits or was interrupted ends by itself when a service runs again.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.holding import BEAT, Held, holding
from rag_bench.observing.trace import tracing
from rag_bench.processes import process_identity
from rag_bench.store.eval_runs import queueing
from rag_bench.store.sharing.leases import LeaseError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings

_log = logging.getLogger("rag_bench.eval_runs")
#: Seconds from one look at the queue to the next, if nobody wakes the runner.
_LOOK = 1.0
#: Seconds until a run that met an unexpected error is tried again.
_WAIT = 5.0

Execute = Callable[..., Mapping[str, Any] | None]


class Runner:
    """Threads that claim and execute runs; one per process.

    Args:
        engine: of the database.
        settings: how many at once, in this process and per subject.
        execute: what executes one; None: `rag_bench.eval_runs.executing.execute`.
        told: called with a run's id when it begins and ends here, from whichever thread.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        execute: Execute | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._engine, self._settings = engine, settings
        self._execute, self._told = execute, told
        identity = process_identity(os.getpid()) or str(os.getpid())
        self.holder = f"service {identity} {uuid.uuid4().hex[:8]}"
        self._free = threading.BoundedSemaphore(settings.eval_runs_in_service)
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._threads: set[threading.Thread] = set()
        self._looking: threading.Thread | None = None
        self._was_away = False  # the database, at the last look

    def start(self) -> None:
        """Begin to look for runs."""
        self._looking = threading.Thread(target=self._look, name="eval runs", daemon=True)
        self._looking.start()

    def wake(self) -> None:
        """Look now: a run was queued."""
        self._awake.set()

    def stop(self, seconds: float = 20.0) -> None:
        """Let runs end between calls and give them back to the queue; waits so long for all.

        What does not end in time is given up with the process; another takes it over.
        """
        until = time.monotonic() + seconds
        self._stopping.set()
        self._awake.set()
        with self._lock:
            held = list(self._held.values())
        for one in held:
            one.stop()
        if self._looking is not None:
            self._looking.join(seconds)
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if late := [thread.name for thread in threads if thread.is_alive()]:
            _log.warning("Given up, for others to take over: %s.", ", ".join(late))
            # Else the process would end only when all is encoded that a thread waits for.
            if encoding := sys.modules.get("rag_bench.retrieval.encoder_process"):
                encoding.close_process()

    def _look(self) -> None:
        while not self._stopping.is_set():
            if not self._free.acquire(timeout=_LOOK):
                continue
            self._awake.clear()  # before the look: who queues during it wakes the next one
            claimed = self._claim()
            if claimed is None:
                self._free.release()
                self._awake.wait(_LOOK)
                continue
            thread = threading.Thread(
                target=self._labour, args=(claimed,), name=f"eval run {claimed.run_id}", daemon=True
            )
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _labour(self, claimed: queueing.Claimed) -> None:
        try:
            self.work(claimed.run_id, claimed.trace_id, claimed.user_id)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
            self._free.release()
            self._awake.set()

    def _claim(self) -> queueing.Claimed | None:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            if self._was_away:
                # All claims may be over; those who work on get the time to renew theirs.
                self._engine.connect().close()
                self._stopping.wait(3 * BEAT)
                self._was_away = False
            with self._lock:
                own = list(self._held)
            at_once = self._settings.eval_runs_at_once
            return queueing.claim(self._engine, self.holder, at_once=at_once, own=own)
        except SQLAlchemyError as error:
            self._was_away = True
            _log.warning("The queue of runs cannot be read: %s", type(error).__name__)
            self._stopping.wait(_LOOK)
            return None

    def work(self, run_id: str, trace_id: str, user_id: str) -> Mapping[str, Any] | None:
        """Execute a run that this runner's holder has claimed, in the caller's thread.

        Returns the whole result, if the run has ended with all of it at hand.
        """
        self._tell(run_id)
        try:
            with (
                tracing(trace_id, run_id=run_id, user_id=user_id),
                holding(self._engine, run_id, self.holder) as held,
            ):
                with self._lock:
                    self._held[run_id] = held
                if self._stopping.is_set():
                    held.stop()
                wait = execute_held(self._engine, self._settings, held, execute=self._execute)
                if held.reply is None:
                    give_back(self._engine, held, wait)
                return held.reply
        except Exception:  # a thread's last words; the claim runs out and the run is taken again
            _log.exception("Run %s could not be given back.", run_id)
            return None
        finally:
            with self._lock:
                self._held.pop(run_id, None)
            self._tell(run_id)

    def _tell(self, run_id: str) -> None:
        if self._told is not None:
            self._told(run_id)


def execute_held(
    engine: Engine,
    settings: Settings,
    held: Held,
    *,
    execute: Execute | None = None,
    told: Callable[[str, int, int], None] | None = None,
    dagster_run_id: str | None = None,
    counts: bool = True,
) -> float:
    """Execute a claimed run; return how many seconds it shall wait if it has not ended.

    What fails for good ends the run in its own words; what may be mended is tried again, unless it
    happens too often. ``counts``: this counts how often; else whoever asks for the next attempt.
    """
    import psycopg
    from sqlalchemy.exc import InterfaceError, OperationalError

    from rag_bench.store.eval_runs.results import TakenOverError

    work = execute or _executor()
    arguments: dict[str, Any] = {"dagster_run_id": dagster_run_id, "cancelled": held.to_stop}
    if told is not None:
        arguments["told"] = told
    try:
        held.reply = work(engine, settings, held.run_id, holder=held.holder, **arguments)
    except (OperationalError, InterfaceError, psycopg.OperationalError, LeaseError) as error:
        _log.warning("Run %s: the database was away (%s).", held.run_id, type(error).__name__)
        return _WAIT
    except TakenOverError:
        _log.warning("Run %s: somebody else has it now.", held.run_id)
    except RagBenchError as error:
        if held.stopped:  # the end of this process may be all that was wrong; whoever is next tells
            return 0.0
        _fail(engine, held, "RUN_FAILED", str(error))
    except Exception:
        _log.exception("Run %s met an unexpected error.", held.run_id)
        if counts:
            _interrupted(engine, held)
        return _WAIT
    return 0.0


def _executor() -> Execute:
    from rag_bench.eval_runs.executing import execute

    return execute


def give_back(engine: Engine, held: Held, wait: float) -> None:
    """Give a run back that has not ended; nothing where it has, or is another's."""
    with engine.begin() as connection:
        queueing.release(connection, held.run_id, held.holder, wait=wait)


def _fail(engine: Engine, held: Held, code: str, detail: str) -> None:
    with engine.begin() as connection:
        queueing.end_early(connection, held.run_id, "failed", code, detail, holder=held.holder)


def _interrupted(engine: Engine, held: Held) -> None:
    """Count an unexpected error; a run that always meets it is given up."""
    with engine.begin() as connection:
        queueing.append_event(connection, held.run_id, "interrupted")
        if queueing.interruptions(connection, held.run_id) >= queueing.MOST_INTERRUPTIONS:
            queueing.give_up(connection, held.run_id)
