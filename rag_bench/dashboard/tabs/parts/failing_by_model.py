"""LLM Comparison, where answers fail: by model, the places of the decision tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.parts import Page, heading, join, link, paragraph
from rag_bench.dashboard.page.tables import Cell, Col, number_cell, table
from rag_bench.dashboard.tabs.common import model_name
from rag_bench.dashboard.texts import names_of_cases
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.failures.tree import PLACES
from rag_bench.reporting.failing import failing

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.failing import Failing

_SHOWN = 3


def failing_part(context: Context, settings_hash: str, judge: str | None, made: Page) -> None:
    """Add where each model's answers fail, by one judge; nothing where nothing was answered."""
    words = context.words
    try:
        found = context.kept.of(context.engine, failing, settings_hash)
    except RagBenchError:
        return
    shown = [one for one in found if one.judge in (judge, None)] or found
    places = [
        place for place in PLACES if any(c.place == place for one in shown for c in one.counts)
    ]
    if not places:
        return
    made.add(heading(words("where_failed")), paragraph(words("where_failed_help")))
    weighted = any(one.weighted for one in shown)
    columns: list[Col | str] = [words("model"), words("place"), Col(words("cases"), numeric=True)]
    columns.append(Col(words("share_of_all"), numeric=True))
    if weighted:
        columns.append(Col(words("share_of_traffic"), numeric=True))
    columns.append(words("some_cases"))
    rows = [row for one in shown for row in _rows(context, one, weighted)]
    made.add(table("failing", columns, rows, words, caption=words("where_failed")))
    made.add(
        figures.bars(
            [one.model for one in shown],
            {words(f"place_{place}"): [_share(one, place) for one in shown] for place in places},
            words("share_of_all"),
        )
    )


def _rows(context: Context, one: Failing, weighted: bool) -> list[list[object]]:
    words = context.words
    rows: list[list[object]] = []
    dataset_id = context.board.dataset.id if context.board else None
    for count in one.counts:
        names = names_of_cases(context, dataset_id, count.cases[:_SHOWN])
        some = [link(c, context.view.link("questions", case=c)) for c in names.values()]
        row: list[object] = [
            Cell(model_name(one.model, words), one.model),
            Cell(words(f"place_{count.place}"), count.place),
            number_cell(len(count.cases), 0),
            number_cell(count.share),
        ]
        if weighted:
            row.append(number_cell(count.traffic_share))
        rows.append([*row, join(some, ", ")])
    return rows


def _share(one: Failing, place: str) -> dict[str, float | None]:
    share = next((count.share for count in one.counts if count.place == place), 0.0)
    return {"value": share, "ci_low": None, "ci_high": None}
