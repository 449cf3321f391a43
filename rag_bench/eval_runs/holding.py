"""Holding a claimed run while it is executed: a thread renews the claim, hears of cancellations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rag_bench.store.eval_runs import queueing

if TYPE_CHECKING:
    from sqlalchemy import Engine

_log = logging.getLogger("rag_bench.eval_runs")
#: Seconds from one renewal to the next: a cancellation is heard of so late at most.
BEAT = 1.0


class Held:
    """One claim.

    ``lost``: somebody else has the run now, or it has ended. ``reply``: the whole result, of a run
    that has ended with all of it at hand. ``stopped``: this process ends.
    """

    def __init__(self, engine: Engine, run_id: str, holder: str) -> None:
        self.run_id, self.holder = run_id, holder
        self.lost = self.cancel_requested = False
        self.reply: Mapping[str, Any] | None = None
        self._engine = engine
        self.stopped = False
        self._over = threading.Event()

    def stop(self) -> None:
        """Let the work end between calls and the run be given back, as this process ends."""
        self.stopped = True

    def to_stop(self) -> bool:
        """Whether the work is to end between calls: cancelled, lost, or the process ends."""
        return self.lost or self.cancel_requested or self.stopped

    def _beat(self) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        silent_since: float | None = None
        while not self._over.wait(BEAT):
            try:
                renewal = queueing.renew(self._engine, self.run_id, self.holder)
            except SQLAlchemyError:
                # Nobody can claim the run where the database is away; without it nothing is asked.
                if silent_since is None:
                    silent_since = time.monotonic()
                    _log.warning("Run %s: its claim could not be renewed.", self.run_id)
                continue
            silent_since = None
            self.cancel_requested = renewal.cancel_requested
            if not renewal.held:
                self.lost = True
                return


@contextmanager
def holding(engine: Engine, run_id: str, holder: str) -> Iterator[Held]:
    """Renew the claim of this holder until the block ends."""
    held = Held(engine, run_id, holder)
    thread = threading.Thread(target=held._beat, name=f"claim {run_id}", daemon=True)
    thread.start()
    try:
        yield held
    finally:
        held._over.set()
        thread.join()
