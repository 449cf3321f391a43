"""How far a run is, told at most once a second: on its row, as an event, to who listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag_bench.eval_runs.executing.standing import Results
from rag_bench.llm.transport.tally import Tally
from rag_bench.store.eval_runs import results as store

if TYPE_CHECKING:
    from sqlalchemy import Engine

Told = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

#: Seconds from one event to the next.
_PAUSE = 1.0


class Teller:
    """Tells of one execution.

    Args:
        engine: of the database.
        run: the row of the run when it began.
        results: so far.
        tally: of the calls of this execution.
        told: who else listens.
    """

    def __init__(
        self, engine: Engine, run: Any, results: Results, tally: Tally, told: Told | None
    ) -> None:
        self._engine, self._run, self._results = engine, run, results
        self._tally, self._told = tally, told
        self._next = time.monotonic() + _PAUSE
        self._begun: dict[str, float] = {}
        self._steps: dict[str, float] = {}
        self._done: dict[str, float] = {}

    def progress(self, label: str, done: int, total: int) -> None:
        """Tell how far a step is."""
        now = time.monotonic()
        begun = self._begun.setdefault(label, now)
        self._steps[label] = now - begun
        if done >= total:
            self._spent(label)
        if self._told is not None:
            self._told(label, done, total)
        if now < self._next:
            return
        self._next = now + _PAUSE
        counts = self._results.counts
        said = {"counts": counts, "step": label, "done": done, "total": total, **self.spent()}
        with self._engine.begin() as connection:
            step = {"step": label, "done": done, "total": total}
            columns = {"counts": {**counts, "progress": step}, **self.columns()}
            store.write(connection, self._run.id, self._run.holder, columns)
            store.tell(connection, self._run.id, "progress", said)

    def _spent(self, label: str) -> None:
        """Count a step that has ended: the next part begins it anew."""
        self._done[label] = self._done.get(label, 0.0) + self._steps.pop(label, 0.0)
        self._begun.pop(label, None)

    def timings(self) -> dict[str, Any]:
        """Return the seconds that each step took, in all parts together."""
        return {"steps": {label: round(seconds, 3) for label, seconds in self._done.items()}}

    def columns(self) -> dict[str, Any]:
        """Return what was spent, by this execution and those before, as the row has it."""
        by_role = self._tally.by_role.values()
        cost = sum((requests.cost_usd for requests in by_role), start=self._run.cost_usd)
        attempts = store.attempts_of(self._run.n_calls, self._run.n_attempts)
        return {
            "n_calls": self._run.n_calls + self._tally.sent,
            "n_attempts": None if attempts is None else attempts + self._tally.attempts,
            "cost_usd": cost,
        }

    def spent(self) -> dict[str, Any]:
        """Return the same as it is told."""
        columns = self.columns()
        counted = {name: columns[name] for name in ("n_calls", "n_attempts")}
        return {**counted, "usd": float(columns["cost_usd"])}
