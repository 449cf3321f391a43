"""Datasets: immutable lists of questions, addressed by the hash of their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    any_,
    exists,
    func,
    insert,
    intersect,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.hashing import content_hash, text_hash
from rag_bench.store.tables import chunk, dataset, dataset_item

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row

_SHORTEST_PREFIX = 6
#: The type, in an item's details, of a question that the knowledge base does not answer.
OUT_OF_SCOPE = "out_of_scope"
#: The kind of datasets that hold answers which people labelled.
PAIRS = "show_hide"
# In a dataset's record: the snapshots that pairs were imported for, by hash.
_SNAPSHOTS = "snapshots"
#: The kind of datasets that are a part of what a client of the service had evaluated. They are
#: found by their id alone: no list shows them, no run takes one by itself.
EVALUATED = "eval"
#: In such an item's details: the client's answer, the contexts that it was made from (objects of
#: ``text``, ``chunk_hash``, ``page_url`` and ``reference``, what is known of them), and what it
#: cites, chunks by hash; absent: markers in the answer say it.
GIVEN_ANSWER, GIVEN_CONTEXTS, GIVEN_CITATIONS = "given_answer", "given_contexts", "given_citations"
#: In such an item's details: the chunk (by hash) and the page that it looks like it is about.
BESIDE_CHUNK, BESIDE_PAGE = "beside_chunk", "beside_page"
#: In the details of an item of kind ``traffic``: what production answered, masked (absent:
#: nothing), the page that it cites, the user's rating on the dump's scale, and who asked, by a
#: number that is of this dataset only.
PRODUCTION_ANSWER, PRODUCTION_PAGE = "production_answer", "production_page_url"
USER_RATING, ASKER = "user_rating", "asker"


@dataclass(frozen=True)
class Item:
    """One question of a dataset.

    Relevant chunks are named by hash and pages by URL, so an item outlives every reindex. For
    show/hide pairs ``details`` holds answer, context, ground_truth_show and rationale.
    """

    item_id: str
    question: str
    reference_answer: str | None = None
    chunk_hashes: tuple[str, ...] = ()
    page_urls: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """What the question comes from: questions of one page are not independent.

        Labelled pairs often name no page; those with one context, or else one question, belong
        together.
        """
        if self.page_urls:
            return self.page_urls[0]
        if ASKER in self.details:
            # Answers from one page stand or fall together; without one, those to one user.
            return str(self.details.get(PRODUCTION_PAGE) or f"asker {self.details[ASKER]}")
        if "ground_truth_show" not in self.details:
            return str(self.details.get(BESIDE_PAGE) or self.item_id)
        context = self.details.get("context") or ""
        fragments = [context] if isinstance(context, str) else [str(part) for part in context]
        shared = fold(" ".join(fragments)) or fold(self.question)
        return f"text {text_hash(shared)[:16]}" if shared else self.item_id

    @property
    def out_of_scope(self) -> bool:
        """Whether no chunk is meant to answer it, so that a refusal is the right answer."""
        judged = self.chunk_hashes or self.page_urls
        return self.details.get("type") == OUT_OF_SCOPE and not judged

    def as_json(self) -> dict[str, Any]:
        """Return what the dataset's hash is taken over."""
        return {
            "id": self.item_id,
            "question": self.question,
            "reference_answer": self.reference_answer,
            "chunk_hashes": list(self.chunk_hashes),
            "page_urls": list(self.page_urls),
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class DatasetInfo:
    """A stored dataset without its items."""

    id: str
    name: str
    kind: str
    n_items: int

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {self.n_items} items, {self.id[:12]})"


def save_dataset(
    engine: Engine,
    name: str,
    kind: str,
    items: Sequence[Item],
    source: Mapping[str, Any] | None = None,
    *,
    renew: bool = False,
    snapshot: str | None = None,
) -> DatasetInfo:
    """Store a dataset and return it; the same items under the same kind are stored once.

    ``renew``: a dataset that is there already gets this name and source and counts as the newest.
    ``snapshot``: sha256 of the dump that it is imported for, added to those it was imported for
    before.

    Raises:
        RagBenchError: no items, or two items of one id.
    """
    dataset_id = _checked_address(name, kind, items)
    record: dict[str, Any] = dict(source or {})
    with engine.begin() as connection:
        stored = connection.execute(
            select(dataset.c.source).where(dataset.c.id == dataset_id).with_for_update()
        ).scalar()
        bound = dict.fromkeys((stored or {}).get(_SNAPSHOTS, []))
        if snapshot:
            bound[snapshot] = None
        if bound:
            record[_SNAPSHOTS] = list(bound)
        described = {"name": name, "source": record}
        added = connection.execute(
            upsert(dataset)
            .values(id=dataset_id, kind=kind, n_items=len(items), **described)
            .on_conflict_do_nothing()
            .returning(dataset.c.id)
        ).scalar()
        if not added and renew:
            connection.execute(
                update(dataset)
                .where(dataset.c.id == dataset_id)
                .values(**described, created_at=func.now())
            )
        elif not added and snapshot:
            connection.execute(
                update(dataset)
                .where(dataset.c.id == dataset_id)
                .values(source={**(stored or {}), _SNAPSHOTS: list(bound)})
            )
        if added:
            _add_items(connection, dataset_id, items)
    return get_dataset(engine, dataset_id)


def add_dataset(connection: Connection, name: str, kind: str, items: Sequence[Item]) -> DatasetInfo:
    """Store a dataset as a part of a transaction, unless it is there; nothing of it is changed.

    Raises:
        RagBenchError: as of `save_dataset`.
    """
    dataset_id = _checked_address(name, kind, items)
    added = connection.execute(
        upsert(dataset)
        .values(id=dataset_id, kind=kind, n_items=len(items), name=name, source={})
        .on_conflict_do_nothing()
        .returning(dataset.c.id)
    ).scalar()
    if added:
        _add_items(connection, dataset_id, items)
    return DatasetInfo(dataset_id, name, kind, len(items))


def address_of(kind: str, items: Sequence[Item]) -> str:
    """Return the id of the dataset that has these items."""
    return content_hash([kind, [item.as_json() for item in items]])


def _checked_address(name: str, kind: str, items: Sequence[Item]) -> str:
    if not items:
        raise RagBenchError(f"The dataset {name!r} has no items.")
    ids = [item.item_id for item in items]
    if len(set(ids)) < len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1})[:5]
        raise RagBenchError(f"The dataset {name!r} has several items of one id: {', '.join(twice)}")
    return address_of(kind, items)


def _add_items(connection: Connection, dataset_id: str, items: Sequence[Item]) -> None:
    connection.execute(insert(dataset_item), item_values(dataset_id, items))


def item_values(dataset_id: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return the rows of a dataset's items."""
    return [
        {
            "dataset_id": dataset_id,
            "item_id": item.item_id,
            "position": position,
            "question": item.question,
            "reference_answer": item.reference_answer,
            "chunk_hashes": list(item.chunk_hashes),
            "page_urls": list(item.page_urls),
            "details": dict(item.details),
        }
        for position, item in enumerate(items)
    ]


def get_dataset(engine: Engine, dataset_id: str) -> DatasetInfo:
    """Return a dataset by its full id; RagBenchError if there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(dataset).where(dataset.c.id == dataset_id)).one_or_none()
    if row is None:
        raise RagBenchError(f"There is no dataset {dataset_id}.")
    return DatasetInfo(row.id, row.name, row.kind, row.n_items)


def source_of(engine: Engine, dataset_id: str) -> dict[str, Any]:
    """Return the record of how a dataset was made; RagBenchError if there is no such dataset."""
    with engine.connect() as connection:
        row = connection.execute(
            select(dataset.c.source).where(dataset.c.id == dataset_id)
        ).one_or_none()
    if row is None:
        raise RagBenchError(f"There is no dataset {dataset_id}.")
    return dict(row.source or {})


def find_dataset(engine: Engine, reference: str) -> DatasetInfo | None:
    """Return the dataset of this id, unique id prefix, or name (the newest of that name)."""
    with engine.connect() as connection:
        row = connection.execute(
            select(dataset)
            .where(dataset.c.name == reference)
            .order_by(dataset.c.created_at.desc(), dataset.c.id)
            .limit(1)
        ).one_or_none()
        if row is None and len(reference) >= _SHORTEST_PREFIX:
            found = connection.execute(
                select(dataset).where(func.starts_with(dataset.c.id, reference)).limit(2)
            ).all()
            row = found[0] if len(found) == 1 else None
    return DatasetInfo(row.id, row.name, row.kind, row.n_items) if row else None


def newest_dataset(engine: Engine, kind: str) -> DatasetInfo | None:
    """Return the newest dataset of a kind; None if there is none."""
    query = select(dataset).where(dataset.c.kind == kind)
    return _newest(engine, query)


def pairs_for(engine: Engine, dump_sha256: str) -> DatasetInfo | None:
    """Return the labelled pairs of a snapshot: the newest imported ones, else the data folder's.

    They are a snapshot's if they were imported for it, or for one that has at least half of the
    chunks of the smaller of the two.
    """
    query = (
        select(dataset)
        .where(dataset.c.kind == PAIRS)
        .order_by(
            dataset.c.source.has_key("file").desc(), dataset.c.created_at.desc(), dataset.c.id
        )
    )
    with engine.connect() as connection:
        for row in connection.execute(query).all():
            bound = row.source.get(_SNAPSHOTS, [])
            if dump_sha256 in bound or any(
                _same_knowledge(connection, dump_sha256, other) for other in bound
            ):
                return DatasetInfo(row.id, row.name, row.kind, row.n_items)
    return None


def bound_to(engine: Engine, dataset_id: str) -> list[str]:
    """Return the hashes of the snapshots that a dataset was imported for, oldest first."""
    return list(source_of(engine, dataset_id).get(_SNAPSHOTS, []))


def _same_knowledge(connection: Connection, one: str, other: str) -> bool:
    hashes = [select(chunk.c.chunk_hash).where(chunk.c.dump_sha256 == sha) for sha in (one, other)]
    sizes = [
        connection.execute(select(func.count()).select_from(part.subquery())).scalar_one()
        for part in hashes
    ]
    shared = connection.execute(
        select(func.count()).select_from(intersect(*hashes).subquery())
    ).scalar_one()
    return bool(shared) and 2 * shared >= min(sizes)


def newest_dataset_about(
    engine: Engine, dump_sha256: str, kinds: Sequence[str]
) -> DatasetInfo | None:
    """Return the newest dataset of these kinds with a question about a snapshot's chunks."""
    query = select(dataset).where(dataset.c.kind.in_(kinds), _about(dump_sha256))
    return _newest(engine, query)


def is_about(engine: Engine, dataset_id: str, dump_sha256: str) -> bool:
    """Whether any question of a dataset is about a chunk of this snapshot."""
    query = select(dataset).where(dataset.c.id == dataset_id, _about(dump_sha256))
    return _newest(engine, query) is not None


def _about(dump_sha256: str) -> ColumnElement[bool]:
    return exists().where(
        dataset_item.c.dataset_id == dataset.c.id,
        chunk.c.chunk_hash == any_(dataset_item.c.chunk_hashes),
        chunk.c.dump_sha256 == dump_sha256,
    )


def _newest(engine: Engine, query: Select[Any]) -> DatasetInfo | None:
    ordered = query.order_by(dataset.c.created_at.desc(), dataset.c.id).limit(1)
    with engine.connect() as connection:
        row = connection.execute(ordered).one_or_none()
    return DatasetInfo(row.id, row.name, row.kind, row.n_items) if row else None


def list_datasets(engine: Engine) -> list[DatasetInfo]:
    """Return all datasets, newest first; not those that are `EVALUATED` for clients."""
    query = select(dataset).where(dataset.c.kind != EVALUATED).order_by(dataset.c.created_at.desc())
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [DatasetInfo(row.id, row.name, row.kind, row.n_items) for row in rows]


def items_of(engine: Engine, dataset_id: str, limit: int | None = None) -> list[Item]:
    """Return the items of a dataset in its own order, the first ``limit`` of them."""
    query = (
        select(dataset_item)
        .where(dataset_item.c.dataset_id == dataset_id)
        .order_by(dataset_item.c.position)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [_item(row) for row in connection.execute(query)]


def get_item(engine: Engine, dataset_id: str, item_id: str) -> Item | None:
    """Return one item of a dataset; None: it has none of this id."""
    with engine.connect() as connection:
        return item_in(connection, dataset_id, item_id)


def item_in(connection: Connection, dataset_id: str, item_id: str) -> Item | None:
    """Return one item as `get_item` does, in a transaction."""
    query = select(dataset_item).where(
        dataset_item.c.dataset_id == dataset_id, dataset_item.c.item_id == item_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _item(row)


def _item(row: Row[Any]) -> Item:
    return Item(
        item_id=row.item_id,
        question=row.question,
        reference_answer=row.reference_answer,
        chunk_hashes=tuple(row.chunk_hashes),
        page_urls=tuple(row.page_urls),
        details=row.details,
    )
