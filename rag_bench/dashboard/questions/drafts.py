"""A question goes into drafts of datasets, and out of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.page.parts import (
    Cell,
    Col,
    Page,
    form,
    heading,
    join,
    number_cell,
    paragraph,
    said,
    table,
)
from rag_bench.dashboard.tabs.common import SHORT, moment
from rag_bench.dashboard.texts import case_named, names_of_cases, names_shown
from rag_bench.store.drafts import drafts
from rag_bench.store.drafts.shown import item_names, item_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.dashboard.context import Context

#: Who may change drafts: one of them is enough.
SCOPES = frozenset({Scope.LABEL, Scope.RUN})
_FIRST = "draft"


def add(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Put a case into a draft; say what became of it, with a button that undoes it."""
    words, dataset = context.words, fields.get("dataset", "")
    added = drafts.add_case(
        connection,
        fields.get("draft", ""),
        dataset,
        case_named(context, dataset, fields.get("case", "")),
        context.viewer.user_id,
    )
    item = _item_name(context, connection, added.draft, added.item_id)
    text = words(
        f"draft_{added.outcome}",
        case=fields.get("case", ""),
        draft=added.draft,
        item=item,
        n=added.n_items,
    )
    undo = _take_out(context, added.draft, item, words("undo"))
    return said(join([text, " ", undo if added.outcome == "added" else ""]), "note")


def remove(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Take a case out of a draft."""
    draft, item = fields.get("draft", ""), fields.get("item", "")
    there = item_of(context.engine, drafts.items_of(connection, draft), item)
    removed = drafts.remove_item(connection, draft, there)
    word = "draft_removed" if removed else "draft_was_out"
    return said(context.words(word, item=item, draft=draft), "note")


def of_question(context: Context, dataset_id: str, case_id: str, made: Page) -> None:
    """Add in which drafts a question is, and a form that puts it into one, for who may."""
    words, may = context.words, bool(SCOPES & context.viewer.scopes)
    with context.engine.connect() as connection:
        inside = [
            (draft, _item_name(context, connection, draft, item))
            for draft, item in drafts.drafts_with(connection, dataset_id, case_id)
        ]
        known = drafts.all_drafts(connection)
    lines: list[object] = [
        join(
            [
                words("in_draft", draft=draft),
                " ",
                _take_out(context, draft, item, words("take_out")) if may else "",
            ]
        )
        for draft, item in inside
    ]
    if may:
        first = known[0].name if known else _FIRST
        lines.append(
            form(
                "draft_add",
                words("draft_add"),
                {
                    "dataset": dataset_id,
                    "case": names_of_cases(context, dataset_id, [case_id])[case_id],
                },
                ("draft", words("draft_name"), first, [one.name for one in known]),
            )
        )
    made.add(*(paragraph(line) for line in lines))


def all_of_them(context: Context, made: Page) -> None:
    """Add the drafts that there are, if any, and how one becomes a dataset."""
    words = context.words
    with context.engine.connect() as connection:
        found = drafts.all_drafts(connection)
    if not found:
        return
    made.add(heading(words("drafts")), paragraph(words("drafts_help")))
    rows: list[list[Any]] = [
        [
            one.name,
            number_cell(one.n_items),
            moment(one.changed_at),
            Cell((one.published_id or "")[:SHORT], one.published_id or ""),
        ]
        for one in found
    ]
    columns: list[Col | str] = [
        words("draft_name"),
        Col(words("draft_cases"), numeric=True),
        words("draft_changed"),
        words("draft_published"),
    ]
    made.add(table("drafts", columns, rows, words, caption=words("drafts_caption")))


def _item_name(context: Context, connection: Connection, draft: str, item: str) -> str:
    """Return what stands for a draft's case."""
    if names_shown(context, [item]) == [item]:
        return item
    return item_names(context.engine, drafts.items_of(connection, draft))[item]


def _take_out(context: Context, draft: str, item: str, text: str) -> Markup:
    return form("draft_remove", text, {"draft": draft, "item": item})
