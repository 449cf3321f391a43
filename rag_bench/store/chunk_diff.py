"""What changed between two sets of chunks, whose only identity is their text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

# rapidfuzz's ratio: 100 * (1 - indel distance / summed lengths). Below it, two texts of a page
# are taken for different chunks, not for versions of one.
MIN_RATIO = 60.0
# A page with more candidate pairs than this is not compared pair by pair (seconds to hours).
MAX_PAIRS_PER_PAGE = 40_000
_EXAMPLES = 10
_EXAMPLE_CHARACTERS = 80


class Chunk(Protocol):
    """What is compared."""

    @property
    def chunk_hash(self) -> str: ...
    @property
    def page_url(self) -> str: ...
    @property
    def text(self) -> str: ...


C = TypeVar("C", bound=Chunk)


@dataclass(frozen=True)
class ChunkDiff(Generic[C]):
    """Chunks only in the new set, only in the old, and (old, new, ratio 0 to 100) pairs."""

    added: list[C] = field(default_factory=list)
    removed: list[C] = field(default_factory=list)
    changed: list[tuple[C, C, float]] = field(default_factory=list)
    n_unchanged: int = 0
    uncompared_pages: list[str] = field(default_factory=list)  # too large to pair

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Any]:
        """Return counts, and up to ten examples of each kind: page, first 80 characters."""
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
            "unchanged": self.n_unchanged,
            "uncompared_pages": self.uncompared_pages[:_EXAMPLES],
            "examples": {
                "added": [_example(row) for row in self.added[:_EXAMPLES]],
                "removed": [_example(row) for row in self.removed[:_EXAMPLES]],
                "changed": [
                    {
                        "page_url": new.page_url,
                        "before": old.text[:_EXAMPLE_CHARACTERS],
                        "after": new.text[:_EXAMPLE_CHARACTERS],
                        "similarity": round(ratio, 1),
                    }
                    for old, new, ratio in self.changed[:_EXAMPLES]
                ],
            },
        }


def _example(row: Chunk) -> dict[str, str]:
    return {"page_url": row.page_url, "text": row.text[:_EXAMPLE_CHARACTERS]}


def diff_chunks(old: Sequence[C], new: Sequence[C]) -> ChunkDiff[C]:
    """Compare two snapshots' chunks by address; ids and order do not matter.

    Chunks of the same page that are on one side only are paired by similarity, the most similar
    first, and count as changed; what finds no partner was added or removed.
    """
    old_hashes = {row.chunk_hash for row in old}
    new_hashes = {row.chunk_hash for row in new}
    gone: dict[str, list[C]] = defaultdict(list)
    come: dict[str, list[C]] = defaultdict(list)
    for row in old:
        if row.chunk_hash not in new_hashes:
            gone[row.page_url].append(row)
    for row in new:
        if row.chunk_hash not in old_hashes:
            come[row.page_url].append(row)
    diff: ChunkDiff[C] = ChunkDiff(n_unchanged=len(old_hashes & new_hashes))
    for page in dict.fromkeys([*gone, *come]):
        before, after = gone.get(page, []), come.get(page, [])
        if len(before) * len(after) > MAX_PAIRS_PER_PAGE:
            diff.uncompared_pages.append(page)
            pairs: list[tuple[int, int, float]] = []
        else:
            pairs = _best_pairs([row.text for row in before], [row.text for row in after])
        diff.changed.extend((before[i], after[j], ratio) for i, j, ratio in pairs)
        paired_before = {i for i, _, _ in pairs}
        paired_after = {j for _, j, _ in pairs}
        diff.removed.extend(row for i, row in enumerate(before) if i not in paired_before)
        diff.added.extend(row for j, row in enumerate(after) if j not in paired_after)
    return diff


def _best_pairs(before: list[str], after: list[str]) -> list[tuple[int, int, float]]:
    """Pair texts greedily, the best ratio first; equal ratios by place, so the result is fixed."""
    if not before or not after:
        return []
    from rapidfuzz import fuzz, process

    ratios = process.cdist(before, after, scorer=fuzz.ratio, score_cutoff=MIN_RATIO)
    candidates = sorted(
        (-float(ratios[i][j]), i, j)
        for i in range(len(before))
        for j in range(len(after))
        if ratios[i][j] >= MIN_RATIO
    )
    used_before: set[int] = set()
    used_after: set[int] = set()
    pairs: list[tuple[int, int, float]] = []
    for negative, i, j in candidates:
        if i not in used_before and j not in used_after:
            used_before.add(i)
            used_after.add(j)
            pairs.append((i, j, -negative))
    return pairs
