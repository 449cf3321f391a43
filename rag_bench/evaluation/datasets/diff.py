"""Two versions of a dataset, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag_bench.evaluation.text.text_folding import fold


class Item(Protocol):
    """What is compared of an item."""

    @property
    def item_id(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def reference_answer(self) -> str | None: ...
    @property
    def chunk_hashes(self) -> tuple[str, ...]: ...
    @property
    def page_urls(self) -> tuple[str, ...]: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


_FIELDS = ("question", "reference_answer", "chunk_hashes", "page_urls", "details")


@dataclass(frozen=True)
class ItemChange:
    """An item of both versions that is not the same: by field, before and after."""

    before: str
    after: str
    question: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class DatasetDiff:
    """What became of the items of a version; ids of those that one side alone has."""

    added: Sequence[Item] = ()
    removed: Sequence[Item] = ()
    changed: Sequence[ItemChange] = ()
    n_same: int = 0
    n_renamed: int = field(default=0)

    @property
    def empty(self) -> bool:
        """Whether both versions ask and expect the same, whatever their items are called."""
        return not (self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, Any]:
        """Return it whole."""
        return {
            "added": [{"id": one.item_id, "question": one.question} for one in self.added],
            "removed": [{"id": one.item_id, "question": one.question} for one in self.removed],
            "changed": [
                {
                    "id": one.after,
                    "id_before": one.before,
                    "question": one.question,
                    "fields": {
                        name: {"before": before, "after": after}
                        for name, (before, after) in one.fields.items()
                    },
                }
                for one in self.changed
            ],
            "same": self.n_same,
            "renamed": self.n_renamed,
        }


def diff_items(before: Sequence[Item], after: Sequence[Item]) -> DatasetDiff:
    """Compare two versions.

    Items of one id and one question belong together; then those of one question (folded: what the
    eye cannot tell apart is one), so that a renumbered file is no new dataset; then those of one
    id, whose question was reworded. What finds no partner was added or removed.
    """
    pairs: list[tuple[Item, Item]] = []
    left, right = list(before), list(after)
    for key_of in (
        lambda one: (one.item_id, fold(one.question)),
        lambda one: fold(one.question),
        lambda one: one.item_id,
    ):
        known: dict[Any, list[Item]] = {}
        for one in left:
            known.setdefault(key_of(one), []).append(one)
        rest = []
        for one in right:
            partners = known.get(key_of(one))
            if partners:
                pairs.append((partners.pop(0), one))
            else:
                rest.append(one)
        paired = {id(one) for one, _ in pairs}
        left, right = [one for one in left if id(one) not in paired], rest
    changed = [_change(old, new) for old, new in pairs]
    order = {id(one): place for place, one in enumerate(after)}
    return DatasetDiff(
        added=right,
        removed=left,
        changed=[
            found
            for found, (_, new) in sorted(
                zip(changed, pairs, strict=True), key=lambda one: order[id(one[1][1])]
            )
            if found is not None
        ],
        n_same=sum(found is None for found in changed),
        n_renamed=sum(old.item_id != new.item_id for old, new in pairs),
    )


def _change(old: Item, new: Item) -> ItemChange | None:
    fields = {}
    for name in _FIELDS:
        one, other = _plain(getattr(old, name)), _plain(getattr(new, name))
        if one != other:
            fields[name] = (one, other)
    return ItemChange(old.item_id, new.item_id, new.question, fields) if fields else None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else value
