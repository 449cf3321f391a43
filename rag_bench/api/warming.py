"""What the first run would wait for, loaded when the service starts: beside it, and in order.

On one thread, and no run is executed in this process before the libraries are there: one that is
imported on a thread stands half-made in ``sys.modules`` meanwhile, where the libraries that ask
models look around. Requests are served all the while, as nothing of theirs does; what is waited for
is told by `/readyz`. The encoder is loaded by its own process, which holds up those alone who need
it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.processes import keep_out_of_garbage

if TYPE_CHECKING:
    from rag_bench.settings import Settings

_log = logging.getLogger("rag_bench.api")

DAGSTER = "Dagster"


@dataclass(frozen=True)
class Step:
    """What is loaded, in words, and what loads it.

    ``holds``: no run is executed before it has ended, as it imports into this process.
    """

    name: str
    load: Callable[[], object]
    holds: bool = True


class Warming:
    """Loads what runs need, once. ``then`` is called when all that holds runs up is loaded, or was
    given up.
    """

    def __init__(self, steps: Sequence[Step], then: Callable[[], None]) -> None:
        self._steps, self._then = steps, then
        self._waiting = list(steps)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> list[str]:
        """What is not loaded yet, in words."""
        return [step.name for step in self._waiting]

    @property
    def holds(self) -> bool:
        """Whether runs wait, and not only those that need what is not loaded yet."""
        return any(step.holds for step in self._waiting)

    def start(self) -> None:
        """Begin to load."""
        self._thread = threading.Thread(target=self._work, name="warming", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Load nothing more, and call nobody; what is being loaded is not waited for."""
        with self._lock:
            self._stopped.set()

    def _work(self) -> None:
        # What holds runs up comes first; what does not is loaded while they begin.
        held = [step for step in self._steps if step.holds]
        for step in (*held, None, *(step for step in self._steps if not step.holds)):
            with self._lock:
                if self._stopped.is_set():
                    return
                if step is None:
                    self._then()
                    continue
            self._load(step)
            self._waiting.remove(step)
        keep_out_of_garbage()

    def _load(self, step: Step) -> None:
        began = time.monotonic()
        try:
            step.load()
        except RagBenchError as error:  # a run that needs it tells it in its own words
            _log.info("%s is not there: %s", step.name, error)
        except Exception:  # a library that is broken or absent is no reason to serve nothing
            _log.warning("%s could not be loaded ahead.", step.name, exc_info=True)
        else:
            _log.info("%s is loaded, in %.1f s.", step.name, time.monotonic() - began)


def steps_of(settings: Settings, daemon: Callable[[], bool | None] | None) -> list[Step]:
    """Return what a service of these settings loads; ``daemon``: looks for Dagster's."""

    def judges() -> None:
        from rag_bench.llm.ragas import metrics  # noqa: F401
        from rag_bench.tiers.base.rehearsal import rehearse_measuring, rehearse_sdk

        rehearse_sdk()
        rehearse_measuring()

    def encoder() -> str:
        from rag_bench.retrieval.encoder_process import encoder_process

        return encoder_process(settings).key  # waits until it is loaded

    found = [Step("RAGAS", judges), Step("the encoder", encoder, holds=False)]
    return [*([Step(DAGSTER, daemon)] if daemon is not None else []), *found]
