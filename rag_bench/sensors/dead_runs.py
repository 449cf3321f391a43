"""Runs of Dagster's that are recorded as working and whose process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.processes import is_running, pid_here
from rag_bench.resources import PROCESS_TAG, PROCESS_TAG_BEFORE

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


def end_if_dead(instance: DagsterInstance, run: DagsterRun) -> bool:
    """End a run that is recorded as working on this machine and whose process is gone; return
    whether it was one.

    Such a run (power cut, kill -9) would hold its slot of the pool for ever. Runs of other
    machines, and runs that never said where they work, are left alone.
    """
    from dagster import DagsterRunStatus

    if run.status not in (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING):
        return False
    process = run.tags.get(PROCESS_TAG) or run.tags.get(PROCESS_TAG_BEFORE, "")
    if pid_here(process) is None or is_running(process):
        return False
    instance.report_run_failed(
        run, "The process that executed this run is gone (killed, or the machine restarted)."
    )
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return True
