"""Overview, what got worse: the clear changes first, all of them a click away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.dashboard.page.parts import heading, join, link, metric_help, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    metric_cell,
    metric_digits,
    p_cell,
    pager,
    shown_page,
    table,
)
from rag_bench.dashboard.tabs.common import model_names, settings_name

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.leaderboard import Leaderboard

_PER_PAGE = 50
_SUGGESTED = 20


def changes_part(context: Context, board: Leaderboard) -> list[object]:
    """Return what changed since the measurement before, of every model by every measure."""
    from rag_bench.reporting.details.changes import changes
    from rag_bench.reporting.leaderboard import COLUMNS

    words = context.words
    wanted = tuple((c.tier.removeprefix("tier_"), c.metric) for c in COLUMNS)
    found = context.keep(changes, board.settings_hash, wanted)
    parts: list[object] = [heading(words("what_changed"))]
    if not found:
        return [*parts, paragraph(words("no_earlier")), _measured_again(context)]
    worse = [one for one in found if one.verdict == "worse"]
    better = [one for one in found if one.verdict == "better"]
    parts.append(
        said(
            words("changed_sum", worse=len(worse), better=len(better), all=len(found)),
            "bad" if worse else "note",
        )
    )
    whole = context.view.get("rows") == "all"
    shown = found if whole else [*worse, *better]
    if len(shown) < len(found):
        every = link(words("show_changes", n=len(found)), context.view.link(rows="all"))
    else:
        every = link(words("hide_changes"), context.view.link(rows=None)) if whole else Markup("")
    if not shown:
        return [*parts, paragraph(every)]
    page = shown_page(context.view, len(shown), _PER_PAGE)
    rows = [
        [
            Cell(
                join(
                    [
                        model_names(one.models, words).shown,
                        " ",
                        link(
                            words("open_comparison"),
                            context.view.link("compare", a=one.before_id, b=one.evaluation_id),
                        ),
                    ]
                ),
                one.models,
            ),
            join([one.metric, metric_help(one.metric, words)]),
            metric_cell(one.then, words),
            metric_cell(one.now, words),
            metric_cell(one.comparison.difference.to_json(), words, metric_digits(one.now)),
            p_cell(one.p_adjusted),
            Cell(
                words(f"verdict_{one.verdict.replace(' ', '_')}"),
                tone={"worse": "bad", "better": "good"}.get(one.verdict, ""),
            ),
        ]
        for one in shown[_PER_PAGE * (page - 1) : _PER_PAGE * page]
    ]
    columns: list[Col | str] = [
        words("models"),
        words("measure"),
        Col(words("then"), numeric=True),
        Col(words("now"), numeric=True),
        Col(words("difference"), numeric=True),
        Col(words("p_holm"), numeric=True),
        words("verdict"),
    ]
    parts.append(table("changes", columns, rows, words, caption=words("changes_caption")))
    if len(shown) > _PER_PAGE:
        parts.append(pager(context.view, len(shown), _PER_PAGE, words))
    return [*parts, paragraph(every)]


def _measured_again(context: Context) -> Markup | None:
    """Return a link to the newest settings whose models were measured before; None: there are no
    such.
    """
    from rag_bench.store.evaluations.listing import neighbours_in_time

    shown = {one.settings_hash for one in context.measured}
    again = (one.settings_hash for _, one in context.keep(neighbours_in_time, _SUGGESTED))
    for found in again:
        if found in shown and found != context.settings_hash:
            text = context.words("measured_again_at", settings=settings_name(context, found))
            return paragraph(link(text, context.view.link(settings=found)))
    return None
