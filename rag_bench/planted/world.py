"""The world that faults are planted in: our own texts, loaded and swept as a user's would be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.canary import MOST_CASES
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.sweep import SOURCE, Checked, StageResult, Sweep, SweepRequest
from rag_bench.tiers.registry import Axis

if TYPE_CHECKING:
    from dagster import PartitionsDefinition
    from sqlalchemy import Engine

#: One model of each role: what is tried is the path, not a choice among models.
GENERATOR = "simulator/sim-strong"
JUDGE = "simulator/sim-judge-sharp"
GATE = "simulator/sim-gate-balanced"
MODELS = ModelLists((GENERATOR,), (JUDGE,), (GATE,))
TIERS = frozenset({"1", "2", "3", "judge", "judge_pipeline"})

#: A step that a blocking check has ended; the check is asked for itself.
_BLOCKED = "DagsterAssetCheckFailedError"


@dataclass
class Ran:
    """What the stages of a measurement said: failures in words, and every asset check."""

    errors: list[str] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)

    def extend(self, other: Ran) -> None:
        """Add what another has."""
        self.errors += other.errors
        self.add([StageResult("", 0.0, (), tuple(other.checks))])

    def add(self, results: Sequence[StageResult]) -> None:
        """Add what stages said; of a check that ran twice the last word counts."""
        for result in results:
            self.errors += [said for said in result.errors if _BLOCKED not in said]
            named = {(one.asset, one.name) for one in result.checks}
            self.checks = [one for one in self.checks if (one.asset, one.name) not in named]
            self.checks += result.checks


class World:
    """A scratch database with the graph over it."""

    def __init__(self, engine: Engine, sweep: Sweep) -> None:
        self.engine, self._sweep = engine, sweep

    def load(self, dump: Path) -> Ran:
        """Load a dump and read the questions that are about it, as the graph does."""
        ran = Ran()
        ran.add([self._run("dump", SOURCE, {"dump": {"path": str(dump)}})])
        ran.add([self._run("datasets", ("manual_dataset", "show_hide_dataset"))])
        return ran

    def measure(self) -> Ran:
        """Measure what the settings name: what is not measured yet is, the rest is found."""
        ran = Ran()
        ran.add(
            self._sweep.run(
                SweepRequest(MODELS, TIERS, report=False, skip_checks=True), lambda _: None
            )
        )
        return ran

    def watch(self) -> Ran:
        """Ask what a user asks beside the scores: the canary, and what follows from all results."""
        ran = Ran()
        judges = Partitions.of(MODELS).by(Axis.JUDGE)
        everything = {"judge_canary": {"cases": MOST_CASES}}
        ran.add([self._run("canary", ["judge_canary"], everything, judges)])
        # Apart, as a check that blocks would keep others from being asked.
        ran.add([self._run("report", ["model_runs", "dataset_health"])])
        ran.add([self._run("gate", ["release_gate"])])
        return ran

    def _run(
        self,
        name: str,
        assets: Sequence[str],
        ops: Mapping[str, Any] | None = None,
        partitions: PartitionsDefinition[str] | None = None,
    ) -> StageResult:
        return self._sweep.materialize(
            name, assets, partitions=partitions, ops=ops, skip_checks=True
        )

    def pin(self) -> None:
        """Hold what is measured to be good."""
        from rag_bench.reporting.compared.pinned import NEWEST, pin

        pin(self.engine, NEWEST, who="self-test", why="before anything was planted")


@contextmanager
def opened(url: str, folder: Path) -> Iterator[World]:
    """Open a scratch database in this process, whose environment names it from then on.

    ``folder``: where reports go; nothing of the user's is written to.
    """
    import dagster as dg

    from rag_bench.store.database import make_engine
    from rag_bench.store.migrate import migrate

    os.environ["RAG_BENCH_DATABASE_URL"] = url
    os.environ["RAG_BENCH_REPORTS_DIR"] = str(folder / "reports")
    engine = make_engine(url)
    try:
        migrate(engine)
        with dg.DagsterInstance.ephemeral() as instance:
            yield World(engine, Sweep(instance, MODELS))
    finally:
        engine.dispose()
