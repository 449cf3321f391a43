"""Users' words as they are shown: masked, unless who looks may see them and asks to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.store.tables import dataset_item

if TYPE_CHECKING:
    from markupsafe import Markup

    from rag_bench.dashboard.context import Context
    from rag_bench.privacy.public_names import PublicNames


_one_at_a_time = threading.Lock()


def unmasked(context: Context) -> bool:
    """Whether words are shown as they are: who looks may, and the address asks for it."""
    return context.viewer.unmasked and context.view.get("unmask") == "1"


def shown(context: Context, texts: Sequence[str]) -> list[str]:
    """Return texts as this viewer sees them."""
    if unmasked(context):
        return list(texts)
    names = public_names(context)
    # What finds names was not made for several threads at once.
    with _one_at_a_time:
        return list(_masked(tuple(texts), names))


def masking_note(context: Context) -> Markup:
    """Return how words are shown here, and how to see them otherwise, for who may."""
    from rag_bench.dashboard.page.parts import join, link, paragraph

    words, view = context.words, context.view
    if unmasked(context):
        return paragraph(
            join([words("words_unmasked"), " ", link(words("mask"), view.link(unmask=None))])
        )
    parts: list[object] = [words("words_masked")]
    if context.viewer.unmasked:
        parts += [" ", link(words("unmask"), view.link(unmask=1))]
    return paragraph(join(parts))


def public_names(context: Context) -> PublicNames:
    """Return the names that the current snapshot's chunks make public."""
    from rag_bench.privacy.public_names import NOBODY
    from rag_bench.store.public_names import public_names_of
    from rag_bench.store.snapshots import current_snapshot

    snapshot = current_snapshot(context.engine)
    return NOBODY if snapshot is None else public_names_of(context.engine, snapshot)


# Looking at the next page and back asks for the same texts; names are found at 200 texts a second.
@lru_cache(maxsize=512)
def _masked(texts: tuple[str, ...], names: PublicNames) -> tuple[str, ...]:
    from rag_bench.privacy.masking import mask_all

    return tuple(mask_all(texts, names))


def question_texts(context: Context, dataset_id: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the questions of some items of a dataset, as they may be shown, by id."""
    columns = dataset_item.c
    query = select(columns.item_id, columns.question).where(
        columns.dataset_id == dataset_id, columns.item_id.in_(list(ids))
    )
    with context.engine.connect() as connection:
        rows = connection.execute(query).all()
    return dict(
        zip([row[0] for row in rows], shown(context, [row[1] for row in rows]), strict=True)
    )
