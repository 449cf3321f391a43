"""Chunks that nearly repeat each other: on which pages, and which one is found more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.parts import Page, heading, join, mark, paragraph, said
from rag_bench.dashboard.page.tables import Cell, Col, number_cell, table
from rag_bench.dashboard.texts import beginnings
from rag_bench.store.evaluations import uses
from rag_bench.tiers.traffic.analytics import newest
from rag_bench.tiers.traffic.near_duplicates import TIER

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context

_SHOWN = 50
_START = 160  # characters of a chunk that the table shows


def near_duplicates_part(context: Context, used_id: int, made: Page) -> None:
    """Add the pairs, or how to get them."""
    words = context.words
    made.add(heading(words("near_duplicates")))
    found = newest(context.engine, TIER)
    if found is None:
        command = Markup("<code>near_duplicates</code>")
        made.add(said(join([words("no_near_duplicates"), " ", command]), "empty"))
        return
    result = found.inputs["result"]
    given = {n: result[n] for n in ("pairs", "chunks_in_pairs", "chunks")}
    limits = {n: f"{result[n]:g}" for n in ("cosine", "containment")}
    made.add(paragraph(words("near_duplicates_sum", **given, **limits)))
    if not result["pairs"]:
        return
    pairs = uses.near_pairs(context.engine, found.id, used=used_id, limit=_SHOWN)
    texts = beginnings(context, [one.text for pair in pairs for one in pair.chunks], _START)
    rows: list[list[Any]] = []
    for n, pair in enumerate(pairs):
        row: list[Any] = [number_cell(pair.cosine), number_cell(pair.containment)]
        most = max(one.retrieved or 0 for one in pair.chunks)
        leads = len({one.retrieved for one in pair.chunks}) > 1
        for one, text in zip(pair.chunks, texts[2 * n : 2 * n + 2], strict=True):
            more = mark(words("found_more")) if leads and one.retrieved == most else ""
            where = join([one.page_url or "", more, Markup("<br>"), text])
            row += [Cell(where, one.chunk_hash), number_cell(one.retrieved)]
        rows.append(row)
    columns: list[Col | str] = [Col(words(t), numeric=True) for t in ("cosine", "containment")]
    for letter in ("A", "B"):
        columns += [f"{words('chunk')} {letter}", Col(words("times_found"), numeric=True)]
    caption = words("near_duplicates_caption", shown=len(pairs), pairs=result["pairs"])
    made.add(table("near-duplicates", columns, rows, words, caption=caption))
