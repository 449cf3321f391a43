"""What users asked, from the current snapshot's log: to be put into drafts of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.forms import choices, search_box
from rag_bench.dashboard.page.parts import Page, heading, link, paragraph, said
from rag_bench.dashboard.page.tables import Col, long_cell, number_cell, pager, shown_page, table
from rag_bench.dashboard.questions.drafts import Putting, all_of_them
from rag_bench.dashboard.tabs.common import moment
from rag_bench.dashboard.texts import (
    SEARCHED,
    holding,
    masking_note,
    names_shown,
    search_note,
    searchable,
    shown,
)
from rag_bench.privacy.given_names import place_of
from rag_bench.store.drafts import sources
from rag_bench.store.snapshots import current_snapshot

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.store.drafts.sources import UsersQuestion

_PER_PAGE = 50


def users_page(context: Context) -> Page:
    """Return the page."""
    words, view, made = context.words, context.view, Page()
    made.add(paragraph(link(words("back_to_questions"), view.link("questions", **_ELSEWHERE))))
    made.add(heading(words("users_asked")), paragraph(words("users_asked_help")))
    snapshot, search = current_snapshot(context.engine), view.get("search")
    if snapshot is None:
        made.add(said(words("users_asked_none"), "empty"))
        return made
    made.add(choices(search_box("search", words("search_text"), search)), masking_note(context))
    if not searchable(context, search):
        made.add(said(words("search_masked"), "warn"))
        return made
    with context.engine.connect() as connection:
        may = (
            sources.users_questions(connection, snapshot.sha256, search=search, limit=SEARCHED)
            if search
            else []
        )
        fits = holding(context, [one.question for one in may], search)
        fitting = [one for one, does in zip(may, fits, strict=True) if does]
        total = len(fitting) if search else sources.n_users_questions(connection, snapshot.sha256)
        offset = (shown_page(view, total, _PER_PAGE) - 1) * _PER_PAGE
        found = fitting[offset : offset + _PER_PAGE]
        if not search:
            found = sources.users_questions(
                connection, snapshot.sha256, limit=_PER_PAGE, offset=offset
            )
        source = sources.source_of_log(snapshot.sha256)
        putting = Putting.of(context, connection, source, [one.case_id for one in found])
    made.add(search_note(context, len(may)))
    if not total:
        made.add(said(words("users_asked_none" if not search else "no_questions_fit"), "empty"))
        return made
    made.add(putting.form({}))
    made.add(_table(context, found, putting), pager(view, total, _PER_PAGE, words))
    all_of_them(context, made)
    return made


#: What a link away from here takes off an address.
_ELSEWHERE: dict[str, None] = {"rows": None, "search": None, "page": None}


def source_id_named(context: Context, name: str) -> str:
    """Return the id of a user's question that is named by it or by what stands for it."""
    place, snapshot = place_of(name), current_snapshot(context.engine)
    if place is None or snapshot is None:
        return name
    with context.engine.connect() as connection:
        found = sources.users_questions(connection, snapshot.sha256, place=place, limit=1)
    return found[0].source_id if found and _names(context, found) == [name] else name


def _names(context: Context, found: list[UsersQuestion]) -> list[str]:
    """Return what stands for the ids of users' questions."""
    names = names_shown(context, [one.source_id for one in found])
    return [
        name if name == one.source_id else f"{name}~{one.place}"
        for one, name in zip(found, names, strict=True)
    ]


def _table(context: Context, found: list[UsersQuestion], putting: Putting) -> object:
    words = context.words
    texts = shown(context, [one.question for one in found])
    rows: list[list[Any]] = [
        [
            name,
            long_cell(text),
            putting.cell(one.case_id, "question", name),
            moment(one.asked_at),
            number_cell(one.score, 0 if float(one.score or 0).is_integer() else 2),
        ]
        for one, name, text in zip(found, _names(context, found), texts, strict=True)
    ]
    columns: list[Col | str] = [words("question_id"), words("question"), words("draft_name")]
    columns += [words("when"), Col(words("rating"), numeric=True)]
    return table("users-questions", columns, rows, words, caption=words("users_asked"))
