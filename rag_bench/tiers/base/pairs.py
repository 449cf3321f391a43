"""Which labelled show/hide pairs a run uses: those of its own knowledge base, never another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.store import datasets, snapshots
from rag_bench.store.datasets import DatasetInfo
from rag_bench.store.snapshots import SnapshotInfo

if TYPE_CHECKING:
    from sqlalchemy import Engine


def pairs_of(
    engine: Engine, snapshot: SnapshotInfo, reference: str | None = None
) -> DatasetInfo | None:
    """Return the pairs that are named, or the newest of this snapshot; None: it has none.

    Pairs are a snapshot's if they were imported while it was current, or while another one was
    that has most of the same chunks, as a new dump of one knowledge base has.

    Raises:
        RagBenchError: no such pairs; the message names those that there are.
    """
    if not reference:
        return datasets.pairs_for(engine, snapshot.sha256)
    found = datasets.find_dataset(engine, reference)
    if found is None or found.kind != datasets.PAIRS:
        known = [str(one) for one in datasets.list_datasets(engine) if one.kind == datasets.PAIRS]
        raise RagBenchError(
            f"There are no labelled pairs {reference!r}. Stored are: {', '.join(known) or 'none'}."
        )
    return found


def no_pairs(engine: Engine, snapshot: SnapshotInfo) -> str:
    """Say that a snapshot has no pairs, and what to do."""
    text = (
        f"There are no labelled pairs for the current snapshot ({snapshot.name}): import them "
        "(rag-bench import-dataset pairs.jsonl)."
    )
    others = [one for one in datasets.list_datasets(engine) if one.kind == datasets.PAIRS]
    if others:
        first = f"{others[0]}, {made_for(engine, others[0])}"
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        text += (
            f" Pairs of other snapshots are not used by themselves: {first}{more}. To use them all "
            f"the same, name them: --pairs {others[0].id[:12]} (in the UI: pairs of the resource "
            "benchmark)."
        )
    return text


def made_for(engine: Engine, pairs: DatasetInfo) -> str:
    """Say which snapshots pairs were imported for, by their names."""
    names = []
    for sha256 in datasets.bound_to(engine, pairs.id):
        found = snapshots.get_snapshot(engine, sha256)
        names.append(found.name if found else sha256[:12])
    return f"imported for {', '.join(names)}" if names else "imported for no known snapshot"
