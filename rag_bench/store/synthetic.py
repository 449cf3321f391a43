"""Synthetic questions as they are made, so that a killed run goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from rag_bench.store.tables import synthetic_item

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class SyntheticItem:
    """One attempt at a question for a chunk: a question with its answer, or a coded error."""

    item_id: str
    chunk_hash: str
    question: str | None = None
    reference_answer: str | None = None
    error_code: str | None = None
    error_detail: str | None = None


def save_item(engine: Engine, recipe_hash: str, item: SyntheticItem) -> None:
    """Store one item; a later attempt at the same one replaces it."""
    values = {
        "chunk_hash": item.chunk_hash,
        "question": item.question,
        "reference_answer": item.reference_answer,
        "error_code": item.error_code,
        "error_detail": item.error_detail,
    }
    with engine.begin() as connection:
        connection.execute(
            insert(synthetic_item)
            .values(recipe_hash=recipe_hash, item_id=item.item_id, **values)
            .on_conflict_do_update(index_elements=["recipe_hash", "item_id"], set_=values)
        )


def saved_items(engine: Engine, recipe_hash: str) -> dict[str, SyntheticItem]:
    """Return what was made under a recipe so far, by item id."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(synthetic_item).where(synthetic_item.c.recipe_hash == recipe_hash)
        )
        return {
            row.item_id: SyntheticItem(
                row.item_id,
                row.chunk_hash,
                row.question,
                row.reference_answer,
                row.error_code,
                row.error_detail,
            )
            for row in rows
        }


def forget_failed(engine: Engine, recipe_hash: str) -> None:
    """Drop the failed attempts of a recipe, so that they are made again."""
    with engine.begin() as connection:
        connection.execute(
            delete(synthetic_item).where(
                synthetic_item.c.recipe_hash == recipe_hash,
                synthetic_item.c.error_code.is_not(None),
            )
        )
