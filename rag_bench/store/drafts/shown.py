"""The words of a draft's cases as they may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_bench.privacy.given_names import placed
from rag_bench.store.public_names import masked, masked_given

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import Item
    from rag_bench.store.drafts.drafts import DraftItem


def words_of(
    engine: Engine, items: Sequence[Item], *, unmasked: bool
) -> list[tuple[str, str | None]]:
    """Return question and reference of each item, masked unless who asks may see them as they are.

    Names that the current snapshot's chunks have are public.
    """
    texts = [(item.question, item.reference_answer) for item in items]
    if unmasked or not texts:
        return texts
    questions = masked(engine, [question for question, _ in texts])
    references = masked(engine, [reference or "" for _, reference in texts])
    return [
        (question, None if given is None else reference)
        for question, reference, (_, given) in zip(questions, references, texts, strict=True)
    ]


def item_names(engine: Engine, items: Sequence[DraftItem]) -> dict[str, str]:
    """Return what stands for the ids of a draft's cases, by id."""
    places = {one.item.item_id: one.place for one in items}
    return placed(places, lambda texts: masked_given(engine, texts))


def origin_names(engine: Engine, items: Sequence[DraftItem]) -> dict[str, str]:
    """Return what stands for the ids that a draft's cases had in their datasets, by id."""
    places = {one.from_case: one.place for one in items}
    return placed(places, lambda texts: masked_given(engine, texts))


def item_of(engine: Engine, items: Sequence[DraftItem], given: str) -> str:
    """Return the id of a draft's case that is named by it or by what stands for it."""
    if any(one.item.item_id == given for one in items):
        return given
    return next((one for one, name in item_names(engine, items).items() if name == given), given)
