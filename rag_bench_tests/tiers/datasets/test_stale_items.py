"""Gold answers whose chunk changed: each stands in a queue until somebody decides, none is lost."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.hashing import chunk_hash, text_hash
from rag_bench.store import datasets
from rag_bench.store.datasets import DatasetInfo, Item, items_of, save_dataset
from rag_bench.store.snapshots import (
    ChunkRecord,
    NewSnapshot,
    current_snapshot,
    save_snapshot,
)
from rag_bench.tiers.datasets.stale import (
    apply,
    record,
    stale_items,
    worded_difference,
)

OLD = "Стипендия выплачивается до 25-го числа каждого месяца на карту студента."
NEW = "Стипендия выплачивается до 20-го числа каждого месяца на карту студента."
KEPT, GONE = "Общежитие открыто круглый год.", "Буфет закрыт по воскресеньям."


def load(engine: Engine, name: str, texts: dict[str, str]) -> dict[str, str]:
    """Load a snapshot of texts by page; return the hashes by text."""
    chunks = [
        ChunkRecord(chunk_hash(page, body), place, place + 1, page, body)
        for place, (body, page) in enumerate(texts.items())
    ]
    save_snapshot(engine, NewSnapshot(text_hash(name), name, "dump", 1, chunks, []))
    return {one.text: one.chunk_hash for one in chunks}


@pytest.fixture
def dataset(engine: Engine) -> DatasetInfo:
    old = load(engine, "old", {OLD: "https://a", KEPT: "https://b", GONE: "https://c"})
    items = [
        Item("1", "Когда стипендия?", "До 25-го.", (old[OLD],), ("https://a",)),
        Item("2", "Когда открыто общежитие?", "Всегда.", (old[KEPT],), ("https://b",)),
        Item("3", "Когда закрыт буфет?", "В воскресенье.", (old[GONE],), ("https://c",)),
    ]
    made = save_dataset(engine, "gold", "manual", items)
    load(engine, "new", {NEW: "https://a", KEPT: "https://b", "Другое.": "https://d"})
    return made


def test_a_changed_chunk_is_paired_with_its_successor_and_shown_with_the_difference(
    engine: Engine, dataset: DatasetInfo
) -> None:
    queue = stale_items(engine, dataset)
    assert [one.item.item_id for one in queue] == ["1", "3"]
    first, third = queue
    assert first.after is not None
    assert first.after.text == NEW
    assert "[-25-го-] {+20-го+}" in first.difference
    assert (first.similarity or 0) > 95
    assert third.after is None
    assert third.before is not None


def test_what_was_decided_makes_a_new_version_and_the_rest_is_carried(
    engine: Engine, dataset: DatasetInfo
) -> None:
    with pytest.raises(RagBenchError, match="Nothing was decided"):
        apply(engine, dataset)
    record(engine, dataset, ["1"], "replace", answer="До 20-го.", who="Анна")
    done = apply(engine, dataset)
    assert (done.replaced, done.open, done.retired) == (["1"], ["3"], [])
    items = {item.item_id: item for item in items_of(engine, done.dataset.id)}
    assert list(items) == ["1", "2", "3"]
    assert items["1"].reference_answer == "До 20-го."
    assert stale_items(engine, dataset)[0].decision is not None
    assert [one.item.item_id for one in stale_items(engine, done.dataset)] == ["3"]
    assert datasets.source_of(engine, done.dataset.id)["before"] == dataset.id
    assert items_of(engine, dataset.id)[0].reference_answer == "До 25-го.", "it is not changed"


def test_confirmed_items_name_the_successor_and_retired_ones_are_named_in_the_record(
    engine: Engine, dataset: DatasetInfo
) -> None:
    record(engine, dataset, ["1"], "confirm")
    record(engine, dataset, ["3"], "retire", why="буфета больше нет")
    done = apply(engine, dataset, default=True)
    assert (done.confirmed, done.retired, done.open) == (["1"], ["3"], [])
    assert [item.item_id for item in items_of(engine, done.dataset.id)] == ["1", "2"]
    assert stale_items(engine, done.dataset) == []
    source = datasets.source_of(engine, done.dataset.id)
    assert source["retired"] == [
        {"item_id": "3", "question": "Когда закрыт буфет?", "why": "буфета больше нет"}
    ]
    snapshot = current_snapshot(engine)
    assert snapshot is not None
    assert snapshot.default_dataset_id == done.dataset.id


def test_the_newest_decision_counts(engine: Engine, dataset: DatasetInfo) -> None:
    record(engine, dataset, ["1"], "retire")
    record(engine, dataset, ["1"], "confirm")
    done = apply(engine, dataset)
    assert (done.confirmed, done.retired) == (["1"], [])


@pytest.mark.parametrize(
    ("ids", "decision", "given", "said"),
    [
        (["2"], "confirm", {}, "Not in the queue"),
        (["3"], "confirm", {}, "nothing to confirm by"),
        (["1"], "replace", {}, "Give what replaces it"),
        (["1"], "confirm", {"chunk_hash": "0" * 64}, "has no chunk"),
    ],
)
def test_what_cannot_be_decided_is_told(
    engine: Engine, dataset: DatasetInfo, ids: Any, decision: Any, given: Any, said: str
) -> None:
    with pytest.raises(RagBenchError, match=said):
        record(engine, dataset, ids, decision, **given)
    assert all(one.decision is None for one in stale_items(engine, dataset))


def test_a_difference_is_of_words() -> None:
    assert worded_difference(["a", "b", "c"], ["a", "x", "c"]) == "a [-b-] {+x+} c"
    long = [str(n) for n in range(30)]
    shown = worded_difference(long, [*long, "end"])
    assert shown.endswith("{+end+}")
    assert "…" in shown
