"""Questions: a list to filter, and one question across all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.forms import choice, choices, search_box
from rag_bench.dashboard.page.parts import Page, heading, join, link, metric_help, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    digits_among,
    long_cell,
    number_cell,
    paged,
    pager,
    table,
)
from rag_bench.dashboard.shell import without_results
from rag_bench.dashboard.tabs.common import measured_line, settings_choice
from rag_bench.dashboard.texts import (
    SEARCHED,
    holding,
    masking_note,
    names_of_cases,
    search_note,
    searchable,
    shown,
    unmasked,
)
from rag_bench.store.evaluations.questions import (
    FILTERS,
    ORDERS,
    Wanted,
    listed,
    that_may_hold,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.columns import Column
    from rag_bench.reporting.leaderboard import Leaderboard

_PER_PAGE = 50
# Of the scale: scores that lie so far apart are different, and a mean in the lowest part is low.
_APART, _LOW = 0.25, 0.5


def page(context: Context) -> Page:
    """Return the page."""
    # They use what tabs share, so they come after this package.
    from rag_bench.dashboard.questions.drafts import all_of_them
    from rag_bench.dashboard.questions.one import one_question
    from rag_bench.dashboard.questions.users import users_page
    from rag_bench.reporting.leaderboard import lead_column

    words, view, made, board = context.words, context.view, Page(), context.board
    if view.get("rows") == "users":
        return users_page(context)
    log = view.link("questions", rows="users", **dict.fromkeys(("search", "page", "case")))
    if board is None:
        made.add(without_results(context), paragraph(link(words("users_asked_link"), log)))
        return made
    lead = lead_column(board.rows)
    may = _may_hold(context, board)
    wanted = _wanted(context, board, lead, may)
    if view.get("case"):
        return one_question(context, board, wanted)
    made.add(
        choices(
            settings_choice(context),
            choice(
                "filter",
                words("show"),
                [(one, words(f"filter_{one}")) for one in FILTERS],
                wanted.filter,
            ),
            choice(
                "sort", words("order"), [(o, words(f"order_{o}")) for o in ORDERS], wanted.order
            ),
            search_box("search", words("search_words"), wanted.search),
        )
    )
    made.add(measured_line(context, board), masking_note(context))
    if not searchable(context, wanted.search):
        made.add(said(words("search_masked"), "warn"))
        return made
    made.add(search_note(context, len(may)))
    _list(context, wanted, lead, made)
    made.add(paragraph(link(words("users_asked_link"), log)))
    all_of_them(context, made)
    return made


def _may_hold(context: Context, board: Leaderboard) -> list[tuple[str, str]]:
    """Return the questions that hold what is searched for, as they were asked, with their ids;
    nothing where nothing is searched for, or where words are shown as they are.
    """
    search = context.view.get("search")
    if not search or unmasked(context):
        return []
    return that_may_hold(context.engine, board.dataset.id, search, limit=SEARCHED)


def _wanted(
    context: Context, board: Leaderboard, lead: Column, may: Sequence[tuple[str, str]]
) -> Wanted:
    view = context.view
    among = None
    if (search := view.get("search")) and not unmasked(context):
        fits = holding(context, [asked for _, asked in may], search)
        among = [one for (one, _), does in zip(may, fits, strict=True) if does or one == search]
    low, high = lead.scale or (0.0, 1.0)
    return Wanted(
        board.settings_hash,
        board.dataset.id,
        lead.tier.removeprefix("tier_"),
        lead.metric,
        view.get("filter") if view.get("filter") in FILTERS else FILTERS[0],
        view.get("sort") if view.get("sort") in ORDERS else ORDERS[0],
        search,
        _APART * (high - low),
        low + _LOW * (high - low),
        among,
    )


def _list(context: Context, wanted: Wanted, lead: Column, made: Page) -> None:
    words, view = context.words, context.view
    found, total = paged(
        view,
        _PER_PAGE,
        lambda offset: listed(context.engine, wanted, limit=_PER_PAGE, offset=offset),
    )
    made.add(
        heading(words("tab_questions")),
        paragraph(words("questions_help", metric=words.title(lead.title))),
    )
    if not total:
        made.add(said(words("no_questions_fit"), "empty"))
        return
    texts = shown(context, [one.question for one in found])
    names = names_of_cases(context, wanted.dataset_id, [one.case_id for one in found])
    digits = digits_among(value for one in found for value in (one.low, one.high))
    rows: list[list[Any]] = [
        [
            Cell(link(names[one.case_id], view.link(case=names[one.case_id])), names[one.case_id]),
            long_cell(text),
            number_cell(one.mean, 2),
            number_cell(one.low, digits),
            number_cell(one.high, digits),
            number_cell(one.failed),
        ]
        for one, text in zip(found, texts, strict=True)
    ]
    columns: list[Col | str] = [words("question_id"), words("question")]
    columns.append(
        Col(
            join([words("mean_of", metric=words.title(lead.title))]),
            metric_help(lead.metric, words),
            True,
        )
    )
    columns += [Col(words(t), numeric=True) for t in ("lowest", "highest", "failed_cases")]
    made.add(table("questions", columns, rows, words, caption=words("questions_caption")))
    made.add(pager(view, total, _PER_PAGE, words))
