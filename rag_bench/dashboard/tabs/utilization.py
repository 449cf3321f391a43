"""Chunk Utilization: which chunks questions find, which none ever does, and would more help."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import Page, heading, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, long_cell, number_cell, paged, pager, table
from rag_bench.dashboard.tabs.analytics import metrics_table, months_part, newest_analysis
from rag_bench.dashboard.tabs.near_duplicates import near_duplicates_part
from rag_bench.dashboard.tabs.vector_map import map_part
from rag_bench.dashboard.texts import beginnings
from rag_bench.evaluation.metrics.source_analytics import UTILIZATION
from rag_bench.store.evaluations import uses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag_bench.dashboard.context import Context

_PER_PAGE = 25
_START = 240  # characters of a chunk that a table shows


def page(context: Context) -> Page:
    """Return the page."""
    words, made = context.words, Page()
    found = newest_analysis(context, UTILIZATION, "rag-bench analyze-chunk-utilization", made)
    if found is None:
        return made
    result = found.inputs["result"]
    made.add(
        said(
            words(
                "utilization_sum",
                **{
                    n: result[n] for n in ("used_chunks", "total_chunks", "question_count", "top_k")
                },
            )
        )
    )
    metrics_table(context, found, "utilization", made)
    curve = result["expected_used_chunks"]
    made.add(heading(words("growth")), paragraph(words("growth_help")))
    made.add(
        figures.lines(
            {
                words("found_chunks"): [(n, value) for n, value in curve],
                words("all_chunks"): [(n, result["total_chunks"]) for n, _ in curve],
            },
            words("questions"),
            words("chunks"),
            level=words("all_chunks"),
        )
    )
    columns: list[Col | str] = [Col(words(t), numeric=True) for t in ("questions", "found_chunks")]
    rows: list[list[Any]] = [[number_cell(n), number_cell(value, 1)] for n, value in curve]
    made.add(table("growth", columns, rows, words, caption=words("growth")))
    counts = in_classes(uses.use_counts(context.engine, found.id))
    made.add(heading(words("how_uneven")), paragraph(words("how_uneven_help")))
    made.add(
        figures.columns(
            [times for times, _ in counts],
            {words("chunks"): [n for _, n in counts]},
            words("times_found"),
            words("chunks"),
        )
    )
    columns = [Col(words(t), numeric=True) for t in ("times_found", "chunks")]
    rows = [[times, number_cell(n)] for times, n in counts]
    made.add(table("use-counts", columns, rows, words, caption=words("how_uneven")))
    months_part(context, result.get("by_month"), made)
    map_part(context, made)
    near_duplicates_part(context, found.id, made)
    _chunks(context, found.id, made)
    return made


def in_classes(counts: Sequence[tuple[int, int]]) -> list[tuple[str, int]]:
    """Return how many chunks were found how often, (times, chunks), by classes that grow: 0, 1, 2,
    3 to 5, 6 to 10, 11 to 20 …, up to the last that has any. A bar for each number would set 49
    and 162 as near to each other as 1 and 2.
    """
    bounds = [0]
    most = max((times for times, _ in counts), default=-1)
    while bounds[-1] < most:
        power = 10 ** ((len(bounds) - 1) // 3)
        bounds.append((1, 2, 5)[(len(bounds) - 1) % 3] * power)
    found = []
    for low, high in zip([0, *(bound + 1 for bound in bounds)], bounds, strict=False):
        n = sum(chunks for times, chunks in counts if low <= times <= high)
        found.append((str(high) if low == high else f"{low}–{high}", n))
    return found if most >= 0 else []


def _chunks(context: Context, evaluation_id: int, made: Page) -> None:
    words, view = context.words, context.view
    never = view.get("filter") == "never"
    order = view.get("sort") if view.get("sort") in uses.ORDERS else uses.ORDERS[0]
    found, total = paged(
        view,
        _PER_PAGE,
        lambda offset: uses.chunk_uses(
            context.engine,
            evaluation_id,
            never=never,
            order=order,
            limit=_PER_PAGE,
            offset=offset,
        ),
    )
    made.add(heading(words("chunks_by_use")), paragraph(words("chunks_by_use_help")))
    made.add(
        choices(
            choice(
                "filter",
                words("show"),
                [("", words("all_chunks")), ("never", words("never_found"))],
                "never" if never else "",
            ),
            choice("sort", words("order"), [(o, words(f"order_{o}")) for o in uses.ORDERS], order),
        )
    )
    # Masked before it is cut: of a telephone that is cut in two nobody knows what it is.
    begun = beginnings(context, [one.text for one in found], 2 * _START)
    texts = [shorten(text, _START, placeholder=" …") for text in begun]
    rows: list[list[Any]] = [
        [
            Cell(one.chunk_hash[:12], one.chunk_hash),
            one.page_url or "",
            number_cell(one.retrieved),
            number_cell(one.first),
            long_cell(text),
        ]
        for one, text in zip(found, texts, strict=True)
    ]
    columns: list[Col | str] = [words("chunk"), words("page_url")]
    columns += [Col(words(t), numeric=True) for t in ("times_found", "as_first")]
    made.add(
        table(
            "chunks", [*columns, words("text_start")], rows, words, caption=words("chunks_by_use")
        )
    )
    made.add(pager(view, total, _PER_PAGE, words))
