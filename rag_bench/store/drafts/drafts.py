"""Named drafts: cases are put in and taken out, and published as a content-addressed dataset.

Everything may be repeated: a case that is there is there once, one that is gone is gone, and the
same cases are the same dataset. Whoever shows a draft's words masks them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.hashing import text_hash
from rag_bench.privacy.given_names import mask_given
from rag_bench.store import datasets
from rag_bench.store.datasets import PAIRS, Item
from rag_bench.store.drafts.tables import dataset_draft, dataset_draft_item

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: The kind of datasets that drafts become: questions, as files of questions do.
KIND = "questions"
MOST_ITEMS = 5000
# Spelt out: every engine of regular expressions reads it alike, that of a client's too.
_LETTER = "0-9A-Za-zА-Яа-яЁё"
NAME = rf"^[{_LETTER}]([{_LETTER} _.()-]{{0,98}}[{_LETTER}_.)-])?$"
Outcome = Literal["added", "there", "duplicate"]
# Of answers that somebody else gave, and of numbers that mean something in their own dataset only.
_NOT_OF_A_QUESTION = (
    *(datasets.GIVEN_ANSWER, datasets.GIVEN_CONTEXTS, datasets.GIVEN_CITATIONS),
    *(datasets.PRODUCTION_ANSWER, datasets.PRODUCTION_PAGE),
    *(datasets.USER_RATING, datasets.ASKER),
)


class NoDraftError(RagBenchError):
    """There is no draft of this name."""


class NoCaseError(RagBenchError):
    """There is no case that could be put into a draft under this name."""


@dataclass(frozen=True)
class Draft:
    """A draft without its items. ``published_id``: the dataset that it was last published as."""

    name: str
    n_items: int
    created_by: str | None
    created_at: datetime
    changed_at: datetime | None
    published_id: str | None
    published_at: datetime | None


@dataclass(frozen=True)
class DraftItem:
    """One case of a draft, and where it came from. ``place``: its own among those of all."""

    place: int
    item: Item
    from_dataset: str
    from_case: str
    added_by: str | None
    added_at: datetime


@dataclass(frozen=True)
class Added:
    """What became of a case: added, there already, or left out as its question is there.

    ``item_id``: the draft's item; of a duplicate, the one that it repeats.
    """

    outcome: Outcome
    draft: str
    item_id: str
    n_items: int


@dataclass(frozen=True)
class Published:
    """The dataset that a draft is, and whether it was there before."""

    dataset: datasets.DatasetInfo
    new: bool


def checked_name(given: str) -> str:
    """Return a draft's name without spaces around it.

    Raises:
        RagBenchError: it cannot be one.
    """
    name = given.strip()
    if not re.fullmatch(NAME, name):
        raise RagBenchError(
            "A draft's name has 1 to 100 letters (English or Russian), digits, spaces and "
            ". ( ) - _, and begins with a letter or digit."
        )
    return name


def all_drafts(connection: Connection) -> list[Draft]:
    """Return all drafts, the one that was changed last first."""
    found = [_draft(row) for row in connection.execute(_drafts())]
    return sorted(found, key=lambda one: (one.changed_at or one.created_at, one.name), reverse=True)


def get_draft(connection: Connection, name: str) -> Draft:
    """Return a draft.

    Raises:
        NoDraftError: there is none of this name.
    """
    row = connection.execute(_drafts().where(dataset_draft.c.name == name)).one_or_none()
    if row is None:
        raise NoDraftError(f"There is no draft {name!r}.")
    return _draft(row)


def items_of(connection: Connection, name: str) -> list[DraftItem]:
    """Return the items of a draft in the order in which they were put in.

    Raises:
        NoDraftError: there is none of this name.
    """
    get_draft(connection, name)
    columns = dataset_draft_item.c
    query = select(dataset_draft_item).where(columns.draft == name).order_by(columns.place)
    return [
        DraftItem(
            row.place,
            Item(
                row.item_id,
                row.question,
                row.reference_answer,
                tuple(row.chunk_hashes),
                tuple(row.page_urls),
                row.details,
            ),
            row.from_dataset,
            row.from_case,
            row.added_by,
            row.added_at,
        )
        for row in connection.execute(query)
    ]


def add_case(
    connection: Connection, name: str, dataset_id: str, case_id: str, user_id: str | None
) -> Added:
    """Put a case of a stored dataset into a draft, which is begun if there is none.

    Raises:
        NoCaseError: the dataset has no such case, or holds labelled pairs.
        RagBenchError: the name cannot be one, or the draft is full.
    """
    checked_name(name)
    return put(connection, name, dataset_id, _case(connection, dataset_id, case_id), user_id)


def put(connection: Connection, name: str, source: str, item: Item, user_id: str | None) -> Added:
    """Put a case into a draft, which is begun if there is none.

    ``source``: what it is of: a dataset's id, ``run:…``, ``traffic:…``.

    Raises:
        RagBenchError: the name cannot be one, or the draft is full.
    """
    name, case_id = checked_name(name), item.item_id
    _check_new(connection, name)
    connection.execute(
        upsert(dataset_draft).values(name=name, created_by=user_id).on_conflict_do_nothing()
    )
    # Two who add at once come one after the other.
    connection.execute(
        select(dataset_draft.c.name).where(dataset_draft.c.name == name).with_for_update()
    )
    columns = dataset_draft_item.c
    rows = connection.execute(
        select(columns.item_id, columns.folded_hash, columns.from_dataset, columns.from_case).where(
            columns.draft == name
        )
    ).all()
    folded = text_hash(fold(item.question))
    for row in rows:
        if (row.from_dataset, row.from_case) == (source, case_id):
            return Added("there", name, row.item_id, len(rows))
    for row in rows:
        if row.folded_hash == folded:
            return Added("duplicate", name, row.item_id, len(rows))
    if len(rows) >= MOST_ITEMS:
        raise RagBenchError(
            f"The draft {name!r} has {MOST_ITEMS:,} cases; publish it and begin another."
        )
    taken = {row.item_id for row in rows}
    item_id = case_id if case_id not in taken else f"{case_id}-{source.rpartition(':')[2][:8]}"
    connection.execute(
        insert(dataset_draft_item).values(
            draft=name,
            item_id=item_id,
            question=item.question,
            reference_answer=item.reference_answer,
            chunk_hashes=list(item.chunk_hashes),
            page_urls=list(item.page_urls),
            details={k: v for k, v in item.details.items() if k not in _NOT_OF_A_QUESTION},
            folded_hash=folded,
            from_dataset=source,
            from_case=case_id,
            added_by=user_id,
        )
    )
    return Added("added", name, item_id, len(rows) + 1)


def _check_new(connection: Connection, name: str) -> None:
    """Refuse a new draft named after somebody: everybody reads the name."""
    there = select(dataset_draft.c.name).where(dataset_draft.c.name == name)
    if connection.execute(there).one_or_none() is None and mask_given([name]) != [name]:
        raise RagBenchError(
            "A draft's name is read by everybody, and this one looks like personal data (a person, "
            "a telephone or another long number). Name it after what it is for."
        )


def remove_item(connection: Connection, name: str, item_id: str) -> bool:
    """Take a case out of a draft; return whether it was there.

    Raises:
        NoDraftError: there is none of this name.
    """
    get_draft(connection, name)
    columns = dataset_draft_item.c
    removed = connection.execute(
        delete(dataset_draft_item).where(columns.draft == name, columns.item_id == item_id)
    )
    return bool(removed.rowcount)


def drop(connection: Connection, name: str) -> Draft:
    """Delete a draft with its cases, and return what it was; what it was published as stays.

    Raises:
        NoDraftError: there is none of this name.
    """
    was = get_draft(connection, name)
    connection.execute(delete(dataset_draft).where(dataset_draft.c.name == name))
    return was


def publish(engine: Engine, name: str) -> Published:
    """Store a draft as a dataset of its name, addressed by its cases; the draft stays.

    The same cases published again are the same dataset.

    Raises:
        NoDraftError: there is none of this name.
        RagBenchError: it is empty.
    """
    with engine.connect() as connection:
        found = items_of(connection, name)
    if not found:
        raise RagBenchError(f"The draft {name!r} is empty: put a case into it first.")
    items = [one.item for one in found]
    there = datasets.find_dataset(engine, datasets.address_of(KIND, items))
    source = {"draft": name, "from": sorted({one.from_dataset for one in found})}
    # Of several by this name the one that was published last is found.
    again = there is None or datasets.source_of(engine, there.id).get("draft") == name
    made = datasets.save_dataset(engine, name, KIND, items, source, renew=again)
    with engine.begin() as connection:
        connection.execute(
            update(dataset_draft)
            .where(dataset_draft.c.name == name)
            .values(published_id=made.id, published_at=func.now())
        )
    return Published(made, there is None)


def drafts_with(connection: Connection, source: str, case_id: str) -> list[tuple[str, str]]:
    """Return (draft, item) of each draft that a case stands in, by name; arguments as of
    `drafts_with_any`.
    """
    return drafts_with_any(connection, source, [case_id]).get(case_id, [])


def drafts_with_any(
    connection: Connection, source: str, case_ids: Collection[str]
) -> dict[str, list[tuple[str, str]]]:
    """Return (draft, item) of each draft that some cases stand in, by case, then by name.

    ``source``: what the cases are of, as `put` takes it.
    """
    columns = dataset_draft_item.c
    query = (
        select(columns.from_case, columns.draft, columns.item_id)
        .where(columns.from_dataset == source, columns.from_case.in_(case_ids))
        .order_by(columns.draft)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.from_case, []).append((row.draft, row.item_id))
    return found


def _case(connection: Connection, dataset_id: str, case_id: str) -> Item:
    kind = connection.execute(
        select(datasets.dataset.c.kind).where(datasets.dataset.c.id == dataset_id)
    ).scalar_one_or_none()
    if kind is None:
        raise NoCaseError("There is no such dataset.")
    if kind == PAIRS:
        raise NoCaseError("This dataset is of labelled pairs: it has no questions to be asked.")
    item = datasets.item_in(connection, dataset_id, case_id)
    if item is None:
        raise NoCaseError("The dataset has no such case.")
    return item


def _drafts() -> Any:
    items = dataset_draft_item.c
    return (
        select(
            dataset_draft,
            func.count(items.item_id).label("n_items"),
            func.max(items.added_at).label("changed_at"),
        )
        .outerjoin(dataset_draft_item, items.draft == dataset_draft.c.name)
        .group_by(dataset_draft.c.name)
    )


def _draft(row: Any) -> Draft:
    return Draft(
        *(row.name, row.n_items, row.created_by, row.created_at, row.changed_at),
        *(row.published_id, row.published_at),
    )
