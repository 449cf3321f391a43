"""Users' words as they are shown: masked, unless who looks may see them and asks to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from rag_bench.privacy.given_names import mask_given, masked_json, place_of
from rag_bench.privacy.masking import mask_all
from rag_bench.store.public_names import current_names
from rag_bench.store.tables import dataset_item

if TYPE_CHECKING:
    from markupsafe import Markup

    from rag_bench.dashboard.context import Context
    from rag_bench.privacy.public_names import PublicNames

_BEYOND = 200  # characters
#: Words are looked for in what is shown, so each text that may hold them is masked first: as many.
SEARCHED = 400


def unmasked(context: Context) -> bool:
    """Whether words are shown as they are: who looks may, and the address asks for it."""
    return context.viewer.unmasked and context.view.get("unmask") == "1"


def shown(context: Context, texts: Sequence[str]) -> list[str]:
    """Return texts as this viewer sees them."""
    if unmasked(context):
        return list(texts)
    return list(_masked(tuple(texts), current_names(context.engine)))


def names_shown(context: Context, names: Sequence[str]) -> list[str]:
    """Return names that somebody gave to things (labels, files, ids) as this viewer sees them."""
    if unmasked(context):
        return list(names)
    return list(_masked(tuple(names), current_names(context.engine), given=True))


def as_seen(context: Context, value: Any) -> Any:
    """Return a value of JSON with the names in it as this viewer sees them."""
    return masked_json(value, lambda names: names_shown(context, names), names_too=True)


def names_of_cases(context: Context, dataset_id: str | None, ids: Sequence[str]) -> dict[str, str]:
    """Return what stands for ids of a dataset's cases; `case_named` tells which one is meant.

    ``dataset_id``: None: it is not known, so what stands for two may be the same.
    """
    names = dict(zip(ids, names_shown(context, ids), strict=True))
    hidden = [one for one, name in names.items() if name != one]
    if hidden and dataset_id is not None:
        columns = dataset_item.c
        query = select(columns.item_id, columns.position).where(
            columns.dataset_id == dataset_id, columns.item_id.in_(hidden)
        )
        with context.engine.connect() as connection:
            for one, position in connection.execute(query):
                names[one] = f"{names[one]}~{position + 1}"
    return names


def case_named(context: Context, dataset_id: str, name: str) -> str:
    """Return the id of a dataset's case that is named by it or by what stands for it."""
    place, columns = place_of(name), dataset_item.c
    if place is None:
        return name
    query = select(columns.item_id).where(columns.dataset_id == dataset_id)
    with context.engine.connect() as connection:
        if connection.execute(query.where(columns.item_id == name)).one_or_none():
            return name
        found = connection.execute(query.where(columns.position == place - 1)).scalar_one_or_none()
    if found is None or names_of_cases(context, dataset_id, [found])[found] != name:
        return name
    return str(found)


def searchable(context: Context, search: str) -> bool:
    """Whether words may be searched for: what is masked could be found out by searching for it."""
    return names_shown(context, [search]) == [search]


def holding(context: Context, texts: Sequence[str], search: str) -> list[bool]:
    """Tell which texts hold words as they are shown here: what is masked is found by nobody who
    does not see it, nor a part of it.
    """
    wanted = search.casefold()
    return [wanted in text.casefold() for text in shown(context, texts)]


def search_note(context: Context, n_may: int) -> Markup | None:
    """Return that not all was looked at; None: it was. ``n_may``: texts that may hold the words."""
    from rag_bench.dashboard.page.parts import said

    return said(context.words("search_cut", n=SEARCHED), "warn") if n_may >= SEARCHED else None


def beginnings(context: Context, texts: Sequence[str | None], length: int) -> list[str]:
    """Return how texts begin, on one line, masked before they are cut."""
    # A little more than is shown is looked at, so that nothing is cut in two before it is known.
    read = [" ".join((text or "").split())[: length + _BEYOND] for text in texts]
    return [text[:length] for text in shown(context, read)]


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


# Looking at the next page and back asks for the same texts; names are found at 200 texts a second.
@lru_cache(maxsize=512)
def _masked(texts: tuple[str, ...], names: PublicNames, *, given: bool = False) -> tuple[str, ...]:
    return tuple(mask_given(texts, names) if given else mask_all(texts, names))


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
