"""Trials: runs with a limit, which must not pass for what was measured in full.

A trial is recorded like any other run, marked, with its ``limit``. If the same asset or partition
was measured in full before, that record is repeated after it: what the UI shows, plots and
compares stays the full result, and nothing made from it becomes out of date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

MARK, LIMIT, AFTER = "trial", "limit", "trial_since"


def trial_marks(bench: Bench) -> dict[str, Any]:
    """Return what a trial's metadata begins with; nothing for a full run."""
    limit = bench.run.limit
    if limit is None:
        return {}
    words = f"only the first {limit} of {bench.dataset.n_items} questions: a trial"
    return {MARK: words, LIMIT: limit}


def _limit_of(metadata: Mapping[str, dg.MetadataValue[Any]]) -> Any:
    if LIMIT in metadata:
        return metadata[LIMIT].value
    # Recorded before trials were marked.
    settings = metadata["settings"].value if "settings" in metadata else None
    return settings.get("limit") if isinstance(settings, dict) else None


def shown_before(
    context: dg.AssetExecutionContext, partition: str | None
) -> dg.AssetMaterialization | None:
    """Return the newest record of the running asset (and partition), if it is a full result."""
    key = context.asset_key
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=[partition] if partition else None), limit=1
    ).records
    event = found[0].asset_materialization if found else None
    return event if event and _limit_of(event.metadata) is None else None


def log_cell(
    context: dg.AssetExecutionContext, bench: Bench, event: dg.AssetMaterialization
) -> None:
    """Log a record; if it is a trial's, marked, and then again the full result of before."""
    if bench.run.limit is None:
        context.log_event(event)
        return
    before = shown_before(context, event.partition)
    marked = {**trial_marks(bench), **event.metadata}
    context.log_event(event.with_metadata(marked))
    if before is not None:
        trial = event.metadata.get("evaluation_id")
        words = f"The run before this record was a trial with limit {bench.run.limit}"
        words += f" (evaluation {trial.value})" if trial else ""
        said = {AFTER: f"{words}; shown here is the full result, as before."}
        context.log_event(
            dg.AssetMaterialization(
                before.asset_key,
                partition=before.partition,
                metadata={**said, **{k: v for k, v in before.metadata.items() if k != AFTER}},
                tags={k: v for k, v in (before.tags or {}).items() if not _is_of_a_run(k)},
            )
        )


def _is_of_a_run(tag: str) -> bool:
    """Whether Dagster puts the tag on an event by itself."""
    return tag.startswith("dagster/backfill")


def apart(
    context: dg.AssetExecutionContext, bench: Bench, result: dg.MaterializeResult[Any]
) -> dg.MaterializeResult[Any]:
    """Return what an asset without partitions ends with: its result, if that is a full one."""
    from rag_bench.assets.factories.cells import recorded

    if bench.run.limit is None:
        return result
    version = {"dagster/data_version": result.data_version.value} if result.data_version else {}
    tags = {**version, **(result.tags or {})}
    log_cell(
        context,
        bench,
        dg.AssetMaterialization(context.asset_key, metadata=result.metadata, tags=tags),
    )
    return recorded()
