"""A question goes into drafts of datasets, and out of them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.page.forms import form, form_of_rows, row_button
from rag_bench.dashboard.page.parts import Page, heading, join, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, number_cell, table
from rag_bench.dashboard.tabs.common import SHORT, moment
from rag_bench.dashboard.texts import case_named, names_of_cases, names_shown
from rag_bench.privacy.given_names import place_of
from rag_bench.store.drafts import drafts, sources
from rag_bench.store.drafts.shown import item_names, item_of
from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.dashboard.context import Context

#: Who may change drafts: one of them is enough.
SCOPES = frozenset({Scope.LABEL, Scope.RUN})
_FIRST = "draft"


def add(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Put a case of a dataset or of a run, or what a user asked, into a draft; say what became of
    it, with a button that undoes it.
    """
    words, draft, user_id = context.words, fields.get("draft", ""), context.viewer.user_id
    case = fields.get("question") or fields.get("case", "")
    if "question" in fields:
        from rag_bench.dashboard.questions.users import source_id_named

        asked = source_id_named(context, case)
        added = sources.add_users_question(context.engine, connection, draft, asked, user_id)
    elif "run" in fields:
        run_id = fields["run"]
        of_run = case_of_run_named(context, run_id, case)
        added = sources.add_case_of_run(connection, draft, run_id, of_run, user_id)
    else:
        dataset = fields.get("dataset", "")
        of_dataset = case_named(context, dataset, case)
        added = drafts.add_case(connection, draft, dataset, of_dataset, user_id)
    item = _item_name(context, connection, added.draft, added.item_id)
    text = words(f"draft_{added.outcome}", case=case, draft=added.draft, item=item, n=added.n_items)
    undo = _take_out(context, added.draft, item, words("undo"))
    return said(join([text, " ", undo if added.outcome == "added" else ""]), "note")


def remove(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Take a case out of a draft."""
    draft, item = fields.get("draft", ""), fields.get("item", "")
    there = item_of(context.engine, drafts.items_of(connection, draft), item)
    removed = drafts.remove_item(connection, draft, there)
    word = "draft_removed" if removed else "draft_was_out"
    return said(context.words(word, item=item, draft=draft), "note")


@dataclass(frozen=True)
class Putting:
    """Buttons in the rows of a table that put their cases into one draft.

    Attributes:
        known: the names of drafts, the one that was changed last first.
        inside: the drafts that a case is in, by case.
    """

    context: Context
    may: bool
    known: Sequence[str]
    inside: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls, context: Context, connection: Connection, source: str, case_ids: Sequence[str]
    ) -> Putting:
        """Look up what there is to say of some cases. ``source``: as drafts call it."""
        found = drafts.drafts_with_any(connection, source, case_ids)
        return cls(
            context,
            bool(SCOPES & context.viewer.scopes),
            [one.name for one in drafts.all_drafts(connection)],
            {case: [draft for draft, _ in there] for case, there in found.items()},
        )

    def form(self, fields: Mapping[str, str]) -> Markup | None:
        """Return where the draft is named; nothing for who may not. ``fields``: sent besides."""
        if not self.may:
            return None
        words = self.context.words
        first = self.known[0] if self.known else _FIRST
        asked = ("draft", words("draft_into"), first, self.known)
        return form_of_rows("draft", "draft_add", fields, asked)

    def cell(self, case_id: str, field: str, name: str, *, possible: bool = True) -> Cell:
        """Return in which drafts a case is, and its button. ``name``: stands for the case, and is
        sent as ``field``. ``possible``: it has a question.
        """
        words, inside = self.context.words, self.inside.get(case_id, ())
        parts: list[object] = [paragraph(words("in_draft", draft=one)) for one in inside]
        if self.may and possible:
            label = words("draft_put_row", case=name)
            parts.append(row_button("draft", field, name, words("draft_put"), label))
        return Cell(join(parts), ", ".join(inside))


def case_of_run_named(context: Context, run_id: str, name: str) -> str:
    """Return the id of a run's case that is named by it or by what stands for it."""
    place = place_of(name)
    if place is None:
        return name
    with context.engine.connect() as connection:
        wanted = reading.CaseFilter()
        found = reading.cases(connection, run_id, wanted, after=place - 2, limit=1)
    named = names_of_run_cases(context, found)
    return next((one for one, stands in named.items() if stands == name), name)


def names_of_run_cases(context: Context, cases: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what stands for ids of a run's cases, by id; `case_of_run_named` tells which one is
    meant.
    """
    names = names_of_cases(context, None, [case["case_id"] for case in cases])
    return {
        case["case_id"]: name
        if (name := names[case["case_id"]]) == case["case_id"]
        else f"{name}~{case['position'] + 1}"
        for case in cases
    }


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
