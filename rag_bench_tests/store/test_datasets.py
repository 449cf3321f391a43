"""Datasets are addressed by what they hold, stored once, and found by id, prefix or name."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import RagBenchError
from rag_bench.hashing import chunk_hash
from rag_bench.store.datasets import (
    Item,
    find_dataset,
    get_dataset,
    is_about,
    items_of,
    list_datasets,
    newest_dataset,
    newest_dataset_about,
    save_dataset,
)
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

URL = "https://help.example.org/stipendiya"
TEXT = "Стипендию перечисляют 25-го числа каждого месяца."
ITEMS = [
    Item("в-2", "когда стипа?", "25-го числа", (chunk_hash(URL, TEXT),), (URL,), {"type": "факт"}),
    Item("в-1", "When is it paid?", None, (), (URL,)),
    # The same words as the first: items are told apart by their own id.
    Item("в-3", "когда стипа?", "25-го числа", (chunk_hash(URL, TEXT),), (URL,), {"type": "факт"}),
]


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one())


def test_items_come_back_as_they_were_in_their_own_order(engine: Engine) -> None:
    saved = save_dataset(engine, "gold", "manual", ITEMS, {"file": "gold.json"})
    assert items_of(engine, saved.id) == ITEMS
    assert items_of(engine, saved.id, limit=2) == ITEMS[:2]
    assert (saved.name, saved.kind, saved.n_items) == ("gold", "manual", 3)
    assert get_dataset(engine, saved.id) == saved
    assert str(saved) == f"gold (manual, 3 items, {saved.id[:12]})"
    assert [item.cluster for item in ITEMS] == [URL] * 3
    assert Item("alone", "?").cluster == "alone"


def test_the_id_does_not_change_from_version_to_version(engine: Engine) -> None:
    """Results name their dataset by it: a new way to compute it would orphan them all."""
    items = [Item("1", "Где деканат?", "В корпусе А.", ("c",), ("https://x/1",), {"b": 1, "a": 2})]
    assert save_dataset(engine, "any name", "manual", items).id == (
        "8eb230a3d511637cfcf6490e8715f772f59fe864de532b60f61b44bd9bbb2df2"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"item_id": "other"},
        {"question": "Когда стипа?"},
        {"reference_answer": None},
        {"chunk_hashes": ()},
        {"page_urls": ("https://help.example.org/other",)},
        {"details": {"type": "число"}},
    ],
)
def test_whatever_an_item_holds_is_part_of_the_id(engine: Engine, change: dict[str, Any]) -> None:
    first = save_dataset(engine, "gold", "manual", ITEMS)
    changed = [replace(ITEMS[0], **change), *ITEMS[1:]]
    second = save_dataset(engine, "gold", "manual", changed)
    assert first.id != second.id
    assert items_of(engine, first.id) == ITEMS
    assert items_of(engine, second.id) == changed


def test_kind_and_order_are_part_of_the_id_and_the_name_is_not(engine: Engine) -> None:
    first = save_dataset(engine, "gold", "manual", ITEMS)
    assert save_dataset(engine, "gold", "synthetic", ITEMS).id != first.id
    assert save_dataset(engine, "gold", "manual", ITEMS[::-1]).id != first.id
    again = save_dataset(engine, "another name", "manual", ITEMS)
    assert again == first, "the same items are stored once, under their first name"
    assert count(engine, "dataset") == 3
    assert count(engine, "dataset_item") == 9


def test_the_same_items_saved_at_once_are_stored_once(engine: Engine) -> None:
    items = [Item(f"{number}", f"Вопрос {number}?") for number in range(300)]
    barrier = threading.Barrier(6)
    ids: list[str] = []

    def save(name: str) -> None:
        barrier.wait()
        ids.append(save_dataset(engine, name, "synthetic", items).id)

    threads = [threading.Thread(target=save, args=(f"d{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert count(engine, "dataset") == 1
    assert items_of(engine, ids[0]) == items


def test_empty_and_repeated_items_are_refused_and_nothing_is_written(engine: Engine) -> None:
    with pytest.raises(RagBenchError, match="'пустой' has no items"):
        save_dataset(engine, "пустой", "manual", [])
    with pytest.raises(RagBenchError, match="several items of one id: в-1"):
        save_dataset(engine, "gold", "manual", [*ITEMS, replace(ITEMS[1], question="Other?")])
    assert list_datasets(engine) == []


def test_found_by_name_by_id_and_by_a_prefix_of_it(engine: Engine) -> None:
    old = save_dataset(engine, "gold", "manual", ITEMS[:1])
    new = save_dataset(engine, "gold", "manual", ITEMS[:2])
    other = save_dataset(engine, "пары", "show_hide", ITEMS)
    assert find_dataset(engine, "gold") == new, "the newest of a name"
    assert find_dataset(engine, "пары") == other
    assert find_dataset(engine, old.id) == old
    assert find_dataset(engine, old.id[:12]) == old
    assert find_dataset(engine, old.id[:6]) == old
    assert find_dataset(engine, old.id[:5]) is None, "too short to mean anything"
    assert find_dataset(engine, "no such dataset") is None
    assert find_dataset(engine, "%" * 8) is None, "no pattern"
    assert [found.id for found in list_datasets(engine)] == [other.id, new.id, old.id]
    with pytest.raises(RagBenchError, match=f"There is no dataset {old.id[:12]}"):
        get_dataset(engine, old.id[:12])


def test_an_ambiguous_prefix_finds_nothing_rather_than_one_of_two(engine: Engine) -> None:
    with engine.begin() as connection:
        for end in "ab":
            connection.execute(
                text(
                    "insert into rag_bench.dataset (id, name, kind, n_items) "
                    "values (:id, :id, 'manual', 1)"
                ),
                {"id": f"abcdef0{end}"},
            )
    assert find_dataset(engine, "abcdef0") is None
    found = find_dataset(engine, "abcdef0a")
    assert found
    assert found.id == "abcdef0a"


def test_the_newest_of_a_kind_and_about_a_snapshot(engine: Engine) -> None:
    assert newest_dataset(engine, "manual") is None
    about = save_dataset(engine, "gold", "manual", ITEMS)
    elsewhere = save_dataset(
        engine, "gold", "manual", [Item("1", "?", None, (chunk_hash(URL, "gone"),), (URL,))]
    )
    record = ChunkRecord(chunk_hash(URL, TEXT), 0, 1, URL, TEXT, datetime.now(UTC))
    save_snapshot(engine, NewSnapshot("sha", "a.dump", "dump", 1, [record], []))
    assert newest_dataset(engine, "manual") == elsewhere
    assert newest_dataset(engine, "show_hide") is None
    assert newest_dataset_about(engine, "sha", ["manual", "squad"]) == about
    assert newest_dataset_about(engine, "sha", ["squad"]) is None
    assert newest_dataset_about(engine, "other sha", ["manual"]) is None
    assert is_about(engine, about.id, "sha")
    assert not is_about(engine, elsewhere.id, "sha")
