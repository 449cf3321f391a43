"""Gold answers gone stale: items that name chunks which the current snapshot has no longer.

An item whose chunk was reworded may be as right as before, or wrong now: only a person can say. So
each stands in a queue, with the difference of the texts, until somebody confirms it, replaces it or
retires it; nothing is dropped silently. What was decided is applied as a new version, in which what
nobody decided about is carried as it is.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.store import datasets, snapshots
from rag_bench.store.chunk_diff import diff_chunks
from rag_bench.store.datasets import DatasetInfo, Item
from rag_bench.store.stale.decisions import (
    Decision,
    Verdict,
    chunks_by_hash,
    decide,
    decisions_of,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import ChunkRecord


@dataclass(frozen=True)
class Stale:
    """An item's chunk that the snapshot lacks.

    Attributes:
        before: the chunk as the newest dump that had it had it; None: no dump had it.
        after: the chunk of the same page that took its place; None: none is like it.
        similarity: of the two texts, 0 to 100.
        decision: what was decided; None: nothing yet.
    """

    item: Item
    chunk_hash: str
    before: ChunkRecord | None
    after: ChunkRecord | None
    similarity: float | None
    decision: Decision | None = None

    @property
    def difference(self) -> str:
        """The words that went (``[-…-]``) and came (``{+…+}``), with those around them."""
        old = self.before.text.split() if self.before else []
        new = self.after.text.split() if self.after else []
        return worded_difference(old, new)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "item_id": self.item.item_id,
            "question": self.item.question,
            "reference_answer": self.item.reference_answer,
            "chunk_hash": self.chunk_hash,
            "page_url": self.before.page_url if self.before else None,
            "before": self.before.text if self.before else None,
            "after": self.after.text if self.after else None,
            "new_chunk_hash": self.after.chunk_hash if self.after else None,
            "similarity": self.similarity,
            "difference": self.difference,
            "decision": vars(self.decision) if self.decision else None,
        }


_AROUND = 5  # words kept on both sides of a difference


def worded_difference(old: Sequence[str], new: Sequence[str]) -> str:
    """Return two texts as one line of words: what went in ``[-…-]``, what came in ``{+…+}``."""
    parts: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            same = list(old[a:b])
            if len(same) > 2 * _AROUND:
                same = [*same[:_AROUND], "…", *same[-_AROUND:]]
            parts += same
            continue
        if b > a:
            parts.append(f"[-{' '.join(old[a:b])}-]")
        if d > c:
            parts.append(f"{{+{' '.join(new[c:d])}+}}")
    return " ".join(parts)


def stale_items(engine: Engine, dataset: DatasetInfo) -> list[Stale]:
    """Return the items of a dataset that name chunks the current snapshot lacks, in its order.

    Raises:
        DumpError: no snapshot is current.
    """
    snapshot = snapshots.require_current(engine)
    chunks = snapshots.chunks_of(engine, snapshot.sha256)
    there = {one.chunk_hash for one in chunks}
    items = datasets.items_of(engine, dataset.id)
    wanted = [(item, h) for item in items for h in item.chunk_hashes if h not in there]
    if not wanted:
        return []
    known = chunks_by_hash(engine, list({chunk_hash for _, chunk_hash in wanted}))
    successors = _successors(known.values(), chunks, there)
    decided = decisions_of(engine, dataset.id, snapshot.sha256)
    found = []
    for item, chunk_hash in wanted:
        after, similarity = successors.get(chunk_hash, (None, None))
        found.append(
            Stale(
                item,
                chunk_hash,
                known.get(chunk_hash),
                after,
                similarity,
                decided.get((item.item_id, chunk_hash)),
            )
        )
    return found


def _successors(
    gone: Iterable[ChunkRecord], chunks: Sequence[ChunkRecord], there: set[str]
) -> dict[str, tuple[ChunkRecord, float]]:
    """Return, for chunks that are gone, those of their page that are most like them."""
    by_page: dict[str, list[ChunkRecord]] = defaultdict(list)
    for one in chunks:
        by_page[one.page_url].append(one)
    mine: dict[str, list[ChunkRecord]] = defaultdict(list)
    for one in gone:
        mine[one.page_url].append(one)
    found: dict[str, tuple[ChunkRecord, float]] = {}
    for page, old in mine.items():
        for before, after, ratio in diff_chunks(old, by_page[page]).changed:
            found[before.chunk_hash] = (after, round(ratio, 1))
    return found


def record(
    engine: Engine,
    dataset: DatasetInfo,
    item_ids: Sequence[str],
    decision: Verdict,
    *,
    chunk_hash: str | None = None,
    answer: str | None = None,
    why: str | None = None,
    who: str | None = None,
) -> list[Decision]:
    """Decide about stale items: their chunks that the snapshot lacks.

    ``confirm``: the answer still holds; the chunk that took the place of the old one is named, or
    ``chunk_hash``. ``replace``: with ``answer``, or other chunks, or both. ``retire``: the item is
    left out of the next version, and its record names it.

    Raises:
        RagBenchError: an item that is not stale; nothing to put in a chunk's place; nothing given.
    """
    snapshot = snapshots.require_current(engine)
    queue = stale_items(engine, dataset)
    by_item: dict[str, list[Stale]] = defaultdict(list)
    for one in queue:
        by_item[one.item.item_id].append(one)
    if strangers := [item_id for item_id in item_ids if item_id not in by_item]:
        raise RagBenchError(
            f"Not in the queue of {dataset.name}: {', '.join(strangers)}. "
            "See `rag-bench dataset stale list`."
        )
    if chunk_hash is not None and chunk_hash not in _hashes(engine, snapshot.sha256):
        raise RagBenchError(f"The current snapshot has no chunk {chunk_hash}.")
    if decision == "replace" and not (answer or chunk_hash):
        raise RagBenchError("Give what replaces it: a new answer, or a chunk's hash, or both.")
    made = []
    for item_id in item_ids:
        for one in by_item[item_id]:
            new = chunk_hash or (one.after.chunk_hash if one.after else None)
            if decision == "confirm" and new is None:
                raise RagBenchError(
                    f"Nothing on its page took the place of the chunk of {item_id}, so there is "
                    "nothing to confirm by. Name a chunk, replace the item, or retire it."
                )
            made.append(
                Decision(
                    item_id,
                    one.chunk_hash,
                    decision,
                    None if decision == "retire" else new,
                    answer,
                    who,
                    why,
                )
            )
    decide(engine, dataset.id, snapshot.sha256, made)
    return made


def _hashes(engine: Engine, sha256: str) -> set[str]:
    return {one.chunk_hash for one in snapshots.chunks_of(engine, sha256)}


@dataclass(frozen=True)
class Applied:
    """The new version, and what became of the items that were stale."""

    dataset: DatasetInfo
    confirmed: Sequence[str]
    replaced: Sequence[str]
    retired: Sequence[str]
    open: Sequence[str]


def apply(engine: Engine, dataset: DatasetInfo, *, default: bool = False) -> Applied:
    """Store a new version of a dataset in which what was decided holds.

    Ids and questions stay, so that answers to what did not change are found in the ledger. Items
    that nobody decided about are carried as they are.

    Raises:
        RagBenchError: nothing was decided.
    """
    snapshot = snapshots.require_current(engine)
    of_item: dict[str, list[Stale]] = defaultdict(list)
    for one in stale_items(engine, dataset):
        of_item[one.item.item_id].append(one)
    done: dict[str, list[str]] = {"confirm": [], "replace": [], "retire": [], "open": []}
    items: list[Item] = []
    for item in datasets.items_of(engine, dataset.id):
        stale = of_item.get(item.item_id, [])
        taken = [one.decision for one in stale if one.decision is not None]
        verdicts = {one.decision for one in taken}
        if "retire" in verdicts:
            done["retire"].append(item.item_id)
            continue
        if stale:
            kind = "open" if len(taken) < len(stale) else "replace" if "replace" in verdicts else ""
            done[kind or "confirm"].append(item.item_id)
        for decision in taken:
            item = _with(item, decision)
        items.append(item)
    if not any(done[name] for name in ("confirm", "replace", "retire")):
        raise RagBenchError(
            f"Nothing was decided about {dataset.name} for the current snapshot: "
            "`rag-bench dataset stale confirm`, `replace` or `retire` items first."
        )
    source = datasets.source_of(engine, dataset.id)
    source.pop("snapshots", None)
    made = datasets.save_dataset(
        engine,
        dataset.name,
        dataset.kind,
        items,
        {
            **source,
            "before": dataset.id,
            "stale": {f"n_{name}": len(ids) for name, ids in done.items()},
            "retired": [
                {"item_id": item_id, "question": rows[0].item.question, "why": _why(rows)}
                for item_id, rows in of_item.items()
                if item_id in done["retire"]
            ],
        },
        renew=True,
    )
    if default:
        snapshots.set_default_dataset(engine, snapshot.sha256, made.id)
    return Applied(made, done["confirm"], done["replace"], done["retire"], done["open"])


def _why(rows: Sequence[Stale]) -> str | None:
    """Return why an item was retired, as far as somebody said."""
    said = [one.decision.why for one in rows if one.decision and one.decision.decision == "retire"]
    return next((why for why in said if why), None)


def _with(item: Item, decision: Decision) -> Item:
    """Return an item with a decision about one of its chunks."""
    hashes = dict.fromkeys(
        decision.new_chunk_hash if one == decision.chunk_hash else one for one in item.chunk_hashes
    )
    return replace(
        item,
        chunk_hashes=tuple(one for one in hashes if one is not None),
        reference_answer=decision.reference_answer or item.reference_answer,
    )
