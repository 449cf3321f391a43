"""Dagster's side of the service's runs, in this process: its sensor daemon, queue and runs."""

from __future__ import annotations

import logging
import time
from typing import Any

import dagster as dg
from backfills import Daemon
from dagster._core.scheduler.instigation import InstigatorState
from dagster._core.test_utils import freeze_time
from dagster._daemon.sensor import execute_sensor_iteration

from rag_bench.sensors.eval_runs import SENSOR


class Sensing:
    """Dagster's daemon looking at our sensor; each tick is a minute after the one before."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.instance = daemon, daemon.instance
        self._now = time.time()

    def tick(self, *, launch: bool = True) -> str:
        """Let the sensors be looked at once; return what ours said when it started nothing.

        ``launch``: let the queue start its runs; they end before this returns.
        """
        self._now += 60
        with freeze_time(self._now):
            list(execute_sensor_iteration(self.daemon.workspace, logging.getLogger(), None, None))
        state = self.state()
        [tick] = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        assert tick.error is None, tick.error
        if launch:
            self.daemon.launch_queued()
        return tick.skip_reason or ""

    def state(self) -> InstigatorState:
        """What Dagster has noted of our sensor, its cursor too."""
        return next(s for s in self.instance.all_instigator_state() if s.name == SENSOR)

    def forget(self, state: InstigatorState) -> None:
        """Note this earlier state, as if the daemon had been killed before it wrote the new one."""
        self.instance.update_instigator_state(state)

    def runs(self) -> list[dg.DagsterRun]:
        """All runs of Dagster's, oldest first."""
        return list(reversed(self.instance.get_runs()))

    def partitions(self) -> set[str]:
        return set(self.instance.get_dynamic_partitions("eval_runs"))

    def materialized(self) -> dict[str, list[dg.AssetMaterialization]]:
        """Materializations of `eval_run` by partition, newest first."""
        found: dict[str, list[dg.AssetMaterialization]] = {}
        for event in self.daemon.recorded("eval_run"):
            found.setdefault(str(event.partition), []).append(event)
        return found

    def observed(self) -> dict[str, dg.AssetObservation]:
        """The newest observation of `eval_run` by partition."""
        records = self.instance.fetch_observations(dg.AssetKey("eval_run"), limit=1000).records
        found: dict[str, dg.AssetObservation] = {}
        for record in reversed(records):
            event: Any = record.asset_observation
            found[str(event.partition)] = event
        return found
