"""Events of runs that the service executed itself, taken out of Dagster's event log again.

Such a run has no run of Dagster's, with which its event could be deleted, and Dagster's storages
offer no other way (`wipe_asset_partitions` is declared and not written). So rows are deleted as
Dagster's own `delete_events` does it: of this asset, of no run, of partitions that are gone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

import dagster as dg
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from rag_bench.assets.service.record import KEY

_log = logging.getLogger("rag_bench.sensors")
#: Rows that one look deletes at most: a sensor's look is to be short.
MOST = 500


def wipe_old_events(instance: dg.DagsterInstance, before: str, kept: Collection[str]) -> int:
    """Delete the events of runs with ids below ``before``, but for those ``kept``; ids sort by
    time. Returns how many; the rest at the next look. The table `eval_run` keeps every run.
    """
    storage = instance.event_log_storage
    storage = getattr(storage, "event_log_storage", storage)  # what a wrapper of Dagster's wraps
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    log, tags = SqlEventLogStorageTable, AssetEventTagsTable
    wanted = (
        (log.c.run_id == RUNLESS_RUN_ID)
        & (log.c.asset_key == KEY.to_string())
        & (log.c.partition < before)
        & log.c.partition.not_in(list(kept))
    )
    with storage.index_connection() as connection:
        ids = connection.execute(
            log.select().with_only_columns(log.c.id).where(wanted).order_by(log.c.id).limit(MOST)
        ).scalars()
        found = list(ids)
        if found:
            connection.execute(tags.delete().where(tags.c.event_id.in_(found)))
            connection.execute(log.delete().where(log.c.id.in_(found)))
    if found:
        _log.info("%s events of runs that are not listed any more were deleted.", len(found))
    return len(found)
