"""Checks of the texts of a dump: broken ones spoil what is measured, and nobody reads them all."""

import dagster as dg

from rag_bench.assets.factories.declare import asset_check
from rag_bench.assets.factories.describe import table
from rag_bench.assets.inputs.source import chunk
from rag_bench.resources import DatabaseResource

_SHOWN = 20
_CHARACTERS = 120


@asset_check(asset=chunk, name="texts_can_be_read")
def texts_can_be_read(database: DatabaseResource) -> dg.AssetCheckResult:
    """No chunk was read in a wrong encoding, lost letters, or is a web server's error page."""
    from rag_bench.evaluation.text.broken_texts import what_is_broken
    from rag_bench.store import snapshots

    current = snapshots.require_current(database.engine)
    rows = snapshots.chunks_of(database.engine, current.sha256)
    found = [(row, why) for row in rows if (why := what_is_broken(row.text))]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(found)} of {len(rows)} chunks cannot be read as they are",
        metadata={
            "broken": table(
                ["page", "what is wrong", "text"],
                [[row.page_url, why, row.text[:_CHARACTERS]] for row, why in found[:_SHOWN]],
            )
        }
        if found
        else {},
    )


@asset_check(asset=chunk, name="no_chunk_was_cut")
def no_chunk_was_cut(database: DatabaseResource) -> dg.AssetCheckResult:
    """No chunk is the beginning of what it was in the dump before, ending inside of a sentence."""
    from rag_bench.evaluation.text.broken_texts import is_cut
    from rag_bench.store import snapshots

    engine = database.engine
    current = snapshots.require_current(engine)
    earlier = [one for one in snapshots.list_snapshots(engine) if one.loaded_at < current.loaded_at]
    if not earlier:
        return dg.AssetCheckResult(passed=True, description="there is no dump before this one")
    before = max(earlier, key=lambda one: one.loaded_at)
    old, new = (snapshots.chunks_of(engine, one.sha256) for one in (before, current))
    same = {row.chunk_hash for row in old} & {row.chunk_hash for row in new}
    gone: dict[str, list[str]] = {}
    for row in old:
        if row.chunk_hash not in same:
            gone.setdefault(row.page_url, []).append(row.text)
    cut = [
        row
        for row in new
        if row.chunk_hash not in same
        and any(is_cut(text, row.text) for text in gone.get(row.page_url, ()))
    ]
    return dg.AssetCheckResult(
        passed=not cut,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(cut)} of {len(new)} chunks are cut, compared with the dump before",
        metadata={
            "cut": table(
                ["page", "now ends with"],
                [[row.page_url, row.text[-_CHARACTERS:]] for row in cut[:_SHOWN]],
            )
        }
        if cut
        else {},
    )


CHECKS = [texts_can_be_read, no_chunk_was_cut]
