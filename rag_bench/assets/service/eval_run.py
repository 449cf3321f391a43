"""The asset `eval_run`: a partition is a run of the evaluation service."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench import progress
from rag_bench.assets.factories.cells import recorded, sweep_asset
from rag_bench.assets.service.record import (
    CODE_VERSION,
    INPUT,
    KEY,
    NO_RUN,
    PARTITIONS,
    event_of,
    input_tags,
)
from rag_bench.errors import RagBenchError
from rag_bench.resources import DatabaseResource
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: On runs that the sensor has launched: the run's id and which attempt of it this is.
RUN_TAG, ATTEMPT_TAG = "rag_bench/eval_run", "rag_bench/attempt"
#: Who a run was cancelled by that was ended in Dagster, which does not say by whom.
IN_DAGSTER = "somebody in the Dagster UI"
_NOBODY_ASKED = (
    "Nobody has asked for a run yet, so there is nothing to do. POST /eval/run makes one "
    "(docs/api.md), and the sensor eval_run_outbox lists it here in place of this."
)
#: Seconds for which calls in flight are waited for when the run is ended from outside.
_GRACE = 90.0


@sweep_asset(
    group_name="service",
    kinds={"openai", "postgres"},
    tags={"pays": "yes"},
    deps=[INPUT],
    partitions_def=PARTITIONS,
    code_version=CODE_VERSION,
)
def eval_run(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult[None]:
    """A run of the evaluation service: what was asked of `POST /eval/run`, and its metrics.

    Long runs are executed here, short ones by the service itself and only recorded. Materializing
    a partition again asks for what it has no result of; several at once are only recorded, but
    for those that wait. Calls models. As long as nobody has asked for a run, the one partition
    is `no-run-yet`, which does nothing.
    """
    keys = _keys(context)
    failed = [_one(context, database.engine, key, alone=len(keys) == 1) for key in keys]
    if causes := [cause for cause in failed if cause]:
        raise dg.Failure(" ".join(causes), allow_retries=False)
    return recorded()


def _keys(context: dg.AssetExecutionContext) -> Sequence[str]:
    if context.has_partition_key or context.has_partition_key_range:
        return [str(key) for key in context.partition_keys]
    raise RagBenchError("This asset is split into runs: choose which of them to materialize.")


def _one(
    context: dg.AssetExecutionContext, engine: "Engine", run_id: str, *, alone: bool
) -> str | None:
    """Execute a run, if it is to be, and record how it stands; return why it failed, if it has."""
    if run_id == NO_RUN:
        context.log.info(_NOBODY_ASKED)
        # Recorded, as Dagster counts what a selection has left out as failed.
        note = {"note": _NOBODY_ASKED}
        context.log_event(dg.AssetMaterialization(KEY, partition=NO_RUN, metadata=note))
        return None
    _execute(context, engine, run_id, resume=alone and _by_hand(context.run))
    row = _row(engine, run_id)
    if row["status"] in ("queued", "running"):
        if row["dagster_run_id"] == context.run.run_id:
            return f"Run {run_id} was interrupted and waits for its next attempt."
        context.log.info(f"Run {run_id} waits, or somebody else executes it: nothing to do here.")
        return None
    context.log_event(event_of(row, input_tags(context.instance)))
    if row["status"] == "failed":
        from rag_bench.privacy.given_names import mask_given

        [why] = mask_given([row["error_detail"] or row["error_code"] or "no results"])
        return f"Run {run_id} failed: {why}"
    return None


def _by_hand(run: dg.DagsterRun) -> bool:
    """Whether a person wants it: from the UI, or by executing a run that was launched again."""
    return RUN_TAG not in run.tags or run.parent_run_id is not None


def _row(engine: "Engine", run_id: str) -> Mapping[str, Any]:
    from rag_bench.store.eval_runs import reading

    with engine.connect() as connection:
        row = reading.get(connection, run_id)
    if row is None:
        raise RagBenchError(
            f"There is no run {run_id}. Runs are made by `POST /eval/run`, and their partitions "
            "are added by the sensor eval_run_outbox."
        )
    return row


def _execute(
    context: dg.AssetExecutionContext, engine: "Engine", run_id: str, *, resume: bool
) -> None:
    from rag_bench.eval_runs.holding import holding
    from rag_bench.eval_runs.runner import execute_held, give_back
    from rag_bench.observing.trace import tracing
    from rag_bench.store.eval_runs import queueing

    dagster_run_id = context.run.run_id
    holder = f"dagster {dagster_run_id}"
    claimed = queueing.claim_run(
        engine, run_id, holder, dagster_run_id=dagster_run_id, resume=resume
    )
    if claimed is None:
        return
    settings, told = get_settings(), progress.Throttle(context.log.info)
    waits: list[float] = []
    done = threading.Event()  # as Python 3.11 forgets a thread whose join was interrupted
    with (
        tracing(claimed.trace_id, run_id=run_id, user_id=claimed.user_id),
        holding(engine, run_id, holder) as held,
    ):

        def work() -> None:
            try:
                wait = execute_held(
                    *(engine, settings, held),
                    told=told,
                    dagster_run_id=dagster_run_id,
                    counts=False,  # of unexpected errors: the sensor does, at the next attempt
                )
                waits.append(wait)
            finally:
                done.set()

        # In a thread, as the service does it: a signal comes to this one and ends nothing itself.
        threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
        try:
            done.wait()
        except BaseException:  # the run is being ended: by a person, or with its process
            if _cancelled_in_ui(context):
                with suppress(queueing.EndedError), engine.begin() as connection:
                    queueing.request_cancel(connection, run_id, IN_DAGSTER)
            held.stop()
            done.wait(_GRACE)
            raise
        finally:
            give_back(engine, held, waits[0] if waits else 0.0)


def _cancelled_in_ui(context: dg.AssetExecutionContext) -> bool:
    run = context.instance.get_run_by_id(context.run.run_id)
    return run is not None and run.status is dg.DagsterRunStatus.CANCELING


ASSETS = [eval_run]
