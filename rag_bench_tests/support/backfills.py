"""Backfills as the UI launches them and Dagster's daemon runs them, in this process.

The planning is the daemon's own, run by run; only the queue and the processes are left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_backfill_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from small_world import failure_words

_ROUNDS = 40


@dataclass
class Daemon:
    """Dagster's instance and the project's code location, for backfills of the offline models."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext

    def materialize(
        self, assets: Iterable[str], partitions: Sequence[str] | None = None
    ) -> PartitionBackfill:
        """Materialize a selection and return the backfill when it has ended.

        ``partitions``: of the assets, or of the one that the others descend from; None is all.
        """
        backfill = PartitionBackfill.from_asset_partitions(
            backfill_id=make_new_backfill_id(),
            asset_graph=self.workspace.create_request_context().asset_graph,
            partition_names=partitions,
            asset_selection=[dg.AssetKey(name) for name in assets],
            backfill_timestamp=time.time(),
            tags={},
            dynamic_partitions_store=self.instance,
            all_partitions=partitions is None,
            title=None,
            description=None,
            run_config=None,
        )
        self.instance.add_backfill(backfill)
        for _ in range(_ROUNDS):
            errors = [
                error
                for error in execute_backfill_iteration(self.workspace, logging.getLogger("daemon"))
                if error
            ]
            assert not errors, errors
            self.launch_queued()
            found = self.instance.get_backfill(backfill.backfill_id)
            assert found is not None
            if found.status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
                return found
        raise AssertionError(f"not ended after {_ROUNDS} rounds: {self.words(backfill)}")

    def launch_queued(self) -> None:
        """Do the queue's part: the backfill's iteration is a coroutine, a run may not be in it."""
        queued = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
        for run in reversed(self.instance.get_runs(queued)):
            self.instance.launch_run(run.run_id, self.workspace.create_request_context())

    def runs_of(self, backfill: PartitionBackfill) -> list[dg.DagsterRun]:
        """The backfill's runs in their order."""
        found = self.instance.get_runs(
            dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id})
        )
        return list(reversed(found))

    def words(self, backfill: PartitionBackfill) -> str:
        """What its failed runs said."""
        return "\n".join(
            failure_words(entry.dagster_event for entry in self.instance.all_logs(run.run_id))
            for run in self.runs_of(backfill)
            if not run.is_success
        )

    def recorded(self, asset: str) -> list[dg.AssetMaterialization]:
        """All materializations of an asset, newest first."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
        return [event for r in records if (event := r.asset_materialization)]


@contextmanager
def opened_daemon(folder: Path, launcher: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon with an instance of its own in ``folder``; runs are executed at once, here, unless
    a launcher (module and class) executes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = LoadableTargetOrigin(module_name="rag_bench.definitions", attribute="defs")
    origin = InProcessCodeLocationOrigin(target, location_name="rag_bench")
    settings = {
        "python_logs": {"python_log_level": "CRITICAL"},
        "run_coordinator": {"module": "dagster", "class": "QueuedRunCoordinator"},
        **({"run_launcher": dict(launcher)} if launcher else {}),
    }
    with (
        dg.instance_for_test(
            settings,
            temp_dir=str(folder),
            synchronous_run_launcher=launcher is None,
        ) as instance,
        create_test_daemon_workspace_context(
            InProcessWorkspaceLoadTarget(origin), instance
        ) as workspace,
    ):
        yield Daemon(instance, workspace)
