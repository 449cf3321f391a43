"""The map of chunks and questions, in the colours of what is known of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import Page, heading, join, paragraph, said
from rag_bench.dashboard.page.tables import Col, number_cell, table
from rag_bench.evaluation.metrics.source_analytics import TOPICS, UTILIZATION
from rag_bench.store.evaluations import uses
from rag_bench.tiers.traffic.analytics import newest
from rag_bench.tiers.traffic.vector_map import TIER

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words

COLOURS = ("used", "answered", "topic", "page")
# More colours are told apart by nobody; more points make a browser slow.
_GROUPS, _POINTS = 7, 4000


def map_part(context: Context, made: Page) -> None:
    """Add the map, or how to get one."""
    words, view = context.words, context.view
    made.add(heading(words("vector_map")))
    found = context.keep(newest, TIER)
    if found is None:
        command = Markup("<code>vector_map</code>")
        made.add(said(join([words("no_map"), " ", command]), "empty"))
        return
    used, topics = (context.keep(newest, tier) for tier in (UTILIZATION, TOPICS))
    points = uses.map_points(
        context.engine,
        found.id,
        used=used.id if used else None,
        topics=topics.id if topics else None,
        limit=_POINTS,
    )
    colour = view.get("kind") if view.get("kind") in COLOURS else COLOURS[0]
    options = [(one, words(f"colour_{one}")) for one in COLOURS]
    made.add(paragraph(words("vector_map_help")))
    made.add(choices(choice("kind", words("coloured_by"), options, colour, ())))
    groups: dict[str, list[Any]] = {}
    named = [(_group(words, colour, point), point) for point in points]
    sizes = Counter(group for group, _ in named)
    kept = {group for group, _ in sizes.most_common(_GROUPS)}
    for group, point in named:
        shown = group if group in kept or len(sizes) <= _GROUPS + 1 else words("other_groups")
        title = point.page_url if point.is_chunk else point.id
        groups.setdefault(shown, []).append((point.x, point.y, title or point.id))
    made.add(figures.points(groups, "", "", labels=False, small=True))
    counts = Counter((group, point.is_chunk) for group, point in named)
    rows: list[list[Any]] = [
        [group, number_cell(counts[group, True]), number_cell(counts[group, False])]
        for group, _ in sizes.most_common()
    ]
    columns: list[Col | str] = [words(f"colour_{colour}")]
    columns += [Col(words(t), numeric=True) for t in ("chunks", "questions")]
    made.add(table("map", columns, rows, words, caption=words("vector_map")))


def _group(words: Words, colour: str, point: uses.Placed) -> str:
    """Return what a point is, by what the map is coloured by."""
    if colour == "page":
        return (point.page_url or words("chunk")) if point.is_chunk else words("map_question")
    if colour == "topic":
        return words("chunk") if point.is_chunk else point.topic or words("map_no_topic")
    if colour == "answered":
        if point.is_chunk:
            return words("chunk")
        return words("map_answered" if point.answered else "map_unanswered")
    if not point.is_chunk:
        return words("map_question")
    if point.retrieved is None:
        return words("chunk")
    return words("map_used" if point.retrieved else "map_never")
