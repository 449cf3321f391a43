"""How long a run will take: what a dry run counts, by latencies that were measured or are assumed.

One function for a dry run's reply and for the service's own decision whether a request waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.store.eval_runs.reading import own_seconds_per_case
from rag_bench.store.eval_runs.results import reading
from rag_bench.tiers.plan.lines import ASSUMED

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.eval_runs.intake.prepared import Prepared
    from rag_bench.settings import Settings
    from rag_bench.tiers.plan.lines import Plan

#: What the seconds of a case beside its calls rest on.
MEASURED = "runs"


@dataclass(frozen=True)
class Latency:
    """Seconds that one call of a model takes; ``basis`` as of `PlanLine`."""

    model: str
    seconds: float
    basis: str


@dataclass(frozen=True)
class Estimate:
    """How long a run will take, and what that rests on.

    Attributes:
        seconds: of ``calls`` and of the work beside them, one after the other.
        calls: seconds of the calls that the ledger does not answer.
        own: seconds of everything else: search, encoding, metrics, storing.
        own_basis: ``runs``: as long as the like took lately; ``assumed``: by the settings.
        n_in_ledger, n_to_send: calls, of the latter all that may be sent.
        latencies: of the models that will be asked.
    """

    calls: float
    own: float
    own_basis: str
    n_in_ledger: int
    n_to_send: int
    latencies: Sequence[Latency] = ()

    @property
    def seconds(self) -> float:
        return self.calls + self.own

    @property
    def assumed(self) -> bool:
        """Whether a part of it was never measured here."""
        return self.own_basis == ASSUMED or any(one.basis == ASSUMED for one in self.latencies)

    def as_json(self) -> dict[str, Any]:
        """Return it as a dry run tells it."""
        return {
            "seconds": round(self.seconds, 3),
            "assumed": self.assumed,
            "calls": {
                "seconds": round(self.calls, 3),
                "latency": [
                    {"model": one.model, "seconds": round(one.seconds, 3), "basis": one.basis}
                    for one in self.latencies
                ],
            },
            "own": {"seconds": round(self.own, 3), "basis": self.own_basis},
        }

    def in_words(self) -> str:
        """Return what it rests on, for the reason why a run is waited for or not."""
        said = []
        if self.n_to_send or self.n_in_ledger:
            said.append(f"{self.n_to_send} calls to send, {self.n_in_ledger} in the ledger")
        assumed = [one.model for one in self.latencies if one.basis == ASSUMED]
        if assumed:
            said.append(f"assumed latency of {', '.join(assumed)}")
        return f" ({'; '.join(said)})" if said else ""


def estimate(engine: Engine, settings: Settings, prepared: Prepared) -> Estimate:
    """Return how long a run will take; nothing is sent and nothing is stored.

    Raises:
        RagBenchError: the run cannot be executed as it is asked for.
    """
    from rag_bench.eval_runs.intake.dry_run import plan_of

    answered = all(one.given.get("answer") is not None for one in prepared.cases)
    if answered and _asks_nobody(prepared):
        return of_plan(engine, settings, prepared, None)
    return of_plan(engine, settings, prepared, plan_of(engine, settings, prepared))


def of_plan(engine: Engine, settings: Settings, prepared: Prepared, plan: Plan | None) -> Estimate:
    """Return how long a run will take whose calls are counted; ``plan``: None: it has none."""
    n_cases, config = len(prepared.cases), prepared.config.as_json()
    with reading(engine) as connection:
        measured = own_seconds_per_case(connection, config)
    own = settings.eval_seconds_per_case if measured is None else measured
    basis = ASSUMED if measured is None else MEASURED
    if plan is None:
        return Estimate(0.0, n_cases * own, basis, 0, 0)
    asked = [line for line in plan.lines if line.n_to_send or line.n_unknown]
    latencies: Mapping[tuple[str, float], Latency] = {
        (line.model, line.latency): Latency(line.model, line.latency, line.basis) for line in asked
    }
    return Estimate(
        plan.seconds,
        n_cases * own,
        basis,
        sum(line.n_in_ledger for line in plan.lines),
        plan.n_to_send + plan.n_unknown,
        list(latencies.values()),
    )


def _asks_nobody(prepared: Prepared) -> bool:
    from rag_bench.eval_runs.executing.wanted import Wanted

    return not Wanted.of(prepared.config).judged
