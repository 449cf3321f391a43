"""Quality against latency, one mark per retriever, with the intervals of both."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from rag_bench.reporting.retriever_board import RetrieverBoard, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#bab0ac")
#: Beside the colours, which not everybody tells apart. The first is the baseline's alone.
_MARKS = "soD^vP*X"


def plot(board: RetrieverBoard) -> Figure:
    """Draw MRR with its 95 % interval over the latency of one query, from p50 to p95.

    A retriever whose latency was not measured stands at the left edge, and its name says so.
    """
    from matplotlib.figure import Figure as NewFigure

    measure = f"{board.level}_mrr"
    figure = NewFigure(figsize=(7.5, 4.2))
    axes = figure.subplots()
    known = [ms for line in board.lines if (ms := line.cost("p50_query_latency_ms"))]
    edge = min(known, default=1.0) / 2
    for place, line in enumerate(board.lines):
        metric = line.metrics[measure]
        if metric["value"] is None:
            continue
        colour = _COLOURS[place % len(_COLOURS)]
        p50, p95 = (line.cost(f"{q}_query_latency_ms") for q in ("p50", "p95"))
        at = p50 or edge
        if metric["ci_low"] is not None:
            ends = [metric["ci_low"], metric["ci_high"]]
            axes.plot([at, at], ends, color=colour, linewidth=1.4, alpha=0.8)
        if p50 and p95:
            height = metric["value"]
            axes.plot([p50, p95], [height, height], color=colour, linewidth=1.4, alpha=0.8)
        label = line.name if p50 else f"{line.name} (latency not measured)"
        mark = _MARKS[1 + place % (len(_MARKS) - 1)] if line.name != board.baseline else _MARKS[0]
        axes.plot([at], [metric["value"]], mark, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("one query alone, ms (mark: p50, line to p95)", fontsize=8)
    axes.set_ylabel(f"{title_of(measure)}, 95 % interval", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    title = f"Retrievers on {board.dataset.name}, {board.n_judged} questions"
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(visible=True, color="#e5e8ec", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_uri(board: RetrieverBoard) -> str:
    """Return the plot as a PNG inside a URL, so that no file has to travel with a report."""
    buffer = io.BytesIO()
    plot(board).savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
