"""Plots, as data for the plotly.js that Gradio carries. Plain lists only, no template, no title:
the heading stands above the plot as text, and colours read on a light and a dark ground. Without
any value there is no plot (None): the table beside it says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from rag_bench.dashboard.page.axes import settle, spread_of, without_leaps
from rag_bench.dashboard.page.margins import FONT_SIZE, make_room

Number = float | int | None
#: Told apart by people who see fewer colours (Okabe and Ito), and by shape or pattern besides.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F")
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "x", "pentagon")
_INK = "#7d8590"
_LINE = "rgba(125,133,144,0.35)"
_TALLEST = 900
# A name is drawn towards the middle from points of the outer thirds.
_SIDE = 1 / 3
#: Times as ISO writes them, which reads alike in every language; plotly's own are English.
_TIMES = (
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%Y-%m-%d"},
    {"dtickrange": [60_000, 86_400_000], "value": "%H:%M\n%Y-%m-%d"},
    {"dtickrange": [86_400_000, "M1"], "value": "%Y-%m-%d"},
    {"dtickrange": ["M1", None], "value": "%Y-%m"},
)


#: Properties in which tags are ours; in all others may stand what came from the store.
_OURS = frozenset({"hovertemplate", "texttemplate"})


@dataclass(frozen=True)
class Figure:
    """A plot by plotly's schema, against which a test holds it.

    Plotly's own objects check each property as it is set, which takes longer than the queries.
    """

    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)

    def trace(self, kind: str, **properties: Any) -> None:
        """Add a trace."""
        self.data.append({"type": kind, **properties})

    def axis(self, name: str, **properties: Any) -> None:
        """Set properties of an axis, ``x`` or ``y``, beside those that it has."""
        self.layout[f"{name}axis"] = {**self.layout.get(f"{name}axis", {}), **properties}

    def to_json(self) -> str:
        """Return it as JSON; Gradio asks for it by this name."""
        return json.dumps(_plain({"data": self.data, "layout": self.layout}), ensure_ascii=False)


def _plain(value: Any, name: str = "") -> Any:
    """Return a value without what is not set, with null for what is no number, and with texts that
    are texts: plotly reads some tags in them. ``name``: of the property.
    """
    if isinstance(value, dict):
        return {inner: _plain(one, inner) for inner, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one, name) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and name not in _OURS:
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Mapping[str, Any] | None]],
    axis: str,
    scale: Sequence[float] | None = None,
) -> Figure | None:
    """Return values with their intervals, a group of them per name.

    ``series``: metrics as results have them, by what they are of; None where there is none.
    """
    figure = Figure()
    for n, (_name, metrics) in enumerate(series.items()):
        values = [None if m is None else m["value"] for m in metrics]
        up, down = [], []
        for metric, value in zip(metrics, values, strict=True):
            known = metric is not None and value is not None and metric.get("ci_low") is not None
            up.append(metric["ci_high"] - value if known and metric and value is not None else None)
            down.append(
                metric["ci_low"] - value if known and metric and value is not None else None
            )
        figure.trace(
            "scatter",
            x=values,
            y=short(groups),
            name=short(list(series))[n],
            mode="markers",
            # Those of a group are set apart across: otherwise along, away from their values.
            orientation="h",
            marker={"color": _colour(n), "size": 10, "symbol": _symbol(n)},
            error_x={
                "type": "data",
                "array": up,
                "arrayminus": [None if d is None else -d for d in down],
                "thickness": 1.5,
                "width": 4,
            },
        )
    figure.layout.update(scattermode="group", scattergap=0.6)
    _ruled(figure, axis, "", height=90 + 34 * len(groups) * max(1, min(len(series), 3)))
    _legend_room(figure)
    figure.axis("y", autorange="reversed", type="category")
    if scale:
        figure.axis("x", range=[scale[0], scale[1]])
    return _whole(figure)


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[Number]],
    texts: Sequence[Sequence[str]],
    scale: tuple[float, float] | None = None,
    *,
    middle: float | None = None,
) -> Figure | None:
    """Return a matrix with its numbers written in; an empty cell has no colour.

    ``middle``: what is neither good nor bad, for colours that part there.
    """
    # Light, so that dark numbers are read on every cell in both themes.
    parted = [[0, "#F4A582"], [0.5, "#F7F7F7"], [1, "#92C5DE"]]
    rising = [[0, "#F7FBFF"], [1, "#92C5DE"]]
    figure = Figure()
    figure.trace(
        "heatmap",
        x=short(columns),
        y=short(rows),
        z=[list(row) for row in values],
        text=[list(row) for row in texts],
        texttemplate="%{text}",
        textfont={"color": "#111111"},
        hovertemplate="%{y} · %{x}: %{text}<extra></extra>",
        colorscale=parted if middle is not None else rising,
        zmin=scale[0] if scale else None,
        zmax=scale[1] if scale else None,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    # On a phone the columns' names stand upright below the matrix.
    longest = max((len(name) for name in short(columns)), default=0)
    _ruled(figure, "", "", height=70 + 42 * len(rows) + min(160, 7 * longest))
    figure.axis("y", autorange="reversed", type="category", showgrid=False)
    figure.axis("x", showgrid=False, type="category", side="bottom")
    return _whole(figure)


def points(
    groups: Mapping[str, Sequence[tuple[Number, Number, str]]],
    x_axis: str,
    y_axis: str,
    *,
    line: Sequence[tuple[float, float]] = (),
    line_name: str = "",
    labels: bool | Mapping[str, str] = True,
    small: bool = False,
    scale: Sequence[float] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Figure | None:
    """Return points (x, y, name) by group, and a line through some of them.

    ``sizes``: what the points' areas stand for, by name. ``labels``: whether names stand at the
    points; or what stands there instead, by name, where not all have room. ``small``: many of
    them, at places that mean nothing in numbers. ``scale``: of ``y``, shown where all points are at
    one height.
    """
    figure = Figure()
    if len(line) > 1:
        figure.trace(
            "scatter",
            x=[x for x, _ in line],
            y=[y for _, y in line],
            mode="lines",
            name=line_name,
            line={"dash": "dot", "color": _INK, "shape": "hv"},
            hoverinfo="skip",
        )
    inside = not isinstance(labels, bool)
    ends = spread_of(x for found in groups.values() for x, _, _ in found)
    for n, (group, found) in enumerate(groups.items()):
        names = [name for _, _, name in found]
        written = short(names) if labels is True else [(labels or {}).get(n, "") for n in names]
        figure.trace(
            "scatter",
            x=[x for x, _, _ in found],
            y=[y for _, y, _ in found],
            text=written,
            hovertext=short(names),
            mode="markers+text" if any(written) else "markers",
            # What is given instead of names is short: it stands inside the points.
            textposition="middle center" if inside else [_away_from(ends, x) for x, _, _ in found],
            textfont={"color": "#111111"} if inside else None,
            name=group,
            hovertemplate="%{hovertext}: %{x}, %{y}<extra></extra>",
            marker={
                "color": _colour(n),
                "size": _diameters(found, sizes) if sizes else 5 if small else 11,
                "opacity": 0.75 if small else 1,
                "symbol": _symbol(n),
            },
        )
    _ruled(figure, x_axis, y_axis, height=620 if small else 420)
    if not any(x for found in groups.values() for x, _, _ in found):
        # They lie on the axis, and its labels beside them.
        figure.axis("y", ticks="outside", ticklen=8, tickcolor="rgba(0,0,0,0)")
    if small:
        figure.axis("x", showticklabels=False)
        figure.axis("y", showticklabels=False)
    if scale and spread_of(y for found in groups.values() for _, y, _ in found) is None:
        figure.axis("y", range=[scale[0], scale[1]])
    return _whole(figure)


def columns(
    names: Sequence[str],
    series: Mapping[str, Sequence[Number]],
    x_axis: str,
    y_axis: str,
    *,
    stacked: bool = False,
    lying: bool = False,
) -> Figure | None:
    """Return bars of counts or shares, one kind of them or several beside each other."""
    patterns = ("", "/", ".", "x", "-", "+", "\\", "|")
    figure = Figure()
    for n, (_name, values) in enumerate(series.items()):
        here = {"x": list(values), "y": list(names), "orientation": "h"}
        standing = {"x": list(names), "y": list(values)}
        figure.trace(
            "bar",
            **(here if lying else standing),
            name=short(list(series))[n],
            marker={"color": _colour(n), "pattern": {"shape": patterns[n % len(patterns)]}},
        )
    figure.layout.update(barmode="stack" if stacked else "group")
    _ruled(figure, x_axis, y_axis, height=110 + 26 * len(names) if lying else 360)
    if lying:
        figure.axis("y", autorange="reversed", type="category")
    else:
        figure.axis("x", type="category")
    return _whole(figure)


def lines(
    series: Mapping[str, Sequence[tuple[Any, Number]]],
    x_axis: str,
    y_axis: str,
    *,
    marks: Sequence[tuple[Any, str]] = (),
    level: str = "",
) -> Figure | None:
    """Return values over time or number; ``marks``: where something changed, and what.

    A line does not lead over months that have no value. ``level``: the name of a series that is
    the same everywhere, drawn without points.
    """
    figure = Figure()
    for n, (name, found) in enumerate(series.items()):
        whole = without_leaps(found)
        figure.trace(
            "scatter",
            x=[x for x, _ in whole],
            y=[y for _, y in whole],
            name=_short_pair(name, series),
            mode="lines" if name == level else "lines+markers",
            line={"color": _colour(n), "dash": "dash" if name == level else "solid"},
            marker={"symbol": _symbol(n)},
        )
    _ruled(figure, x_axis, y_axis, height=380)
    _legend_room(figure)
    figure.axis("x", tickformatstops=_TIMES)
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for where, what in marks:
        shapes.append(
            {
                **{"type": "line", "x0": where, "x1": where, "y0": 0, "y1": 1, "yref": "paper"},
                "line": {"dash": "dash", "color": _INK},
            }
        )
        notes.append(
            {
                **{"x": where, "y": 1, "yref": "paper", "text": what},
                **{"showarrow": False, "yanchor": "bottom"},
            }
        )
    figure.layout.update(shapes=shapes, annotations=notes)
    return _whole(figure)


def _whole(figure: Figure) -> Figure | None:
    """Return a figure with honest axes and room for their labels; None: it has nothing to show."""
    settled = settle(figure)
    if settled is not None:
        make_room(settled)
    return settled


def _diameters(
    found: Sequence[tuple[Number, Number, str]], sizes: Mapping[str, int]
) -> list[float]:
    largest = max(sizes.values(), default=1) or 1
    return [8 + 30 * (sizes.get(name, 0) / largest) ** 0.5 for _, _, name in found]


def short(names: Sequence[str]) -> list[str]:
    """Return names of models without their providers, where they stay different."""
    cut = [name.rpartition("/")[2] for name in names]
    return cut if len(set(cut)) == len(set(names)) else list(names)


def _short_pair(name: str, names: Collection[str]) -> str:
    """Return models that stand together without their providers, where they stay different."""
    cut = [" · ".join(part.rpartition("/")[2] for part in one.split(" · ")) for one in names]
    return cut[list(names).index(name)] if len(set(cut)) == len(names) else name


def _colour(n: int) -> str:
    return COLOURS[n % len(COLOURS)]


def _symbol(n: int) -> str:
    """Return a sign; with its colour it is another one for each of the first 64."""
    return _SYMBOLS[(n + n // len(COLOURS)) % len(_SYMBOLS)]


def _away_from(ends: tuple[float, float] | None, x: Number) -> str:
    """Return where a point's name stands: never over the axis, nor cut off at the right."""
    if ends is None or x is None:
        return "top right"
    at = (x - ends[0]) / (ends[1] - ends[0])
    return "top right" if at < _SIDE else "top left" if at > 1 - _SIDE else "top center"


def _legend_room(figure: Figure) -> None:
    """Make a figure as much higher as its names may need, each on a line of its own on a phone."""
    more = 20 * max(0, len(figure.data) - 4)
    figure.layout["height"] = min(figure.layout["height"] + more, _TALLEST)


def _ruled(figure: Figure, x_axis: str, y_axis: str, height: int) -> None:
    axis = {"gridcolor": _LINE, "zerolinecolor": _LINE, "linecolor": _LINE, "automargin": True}
    figure.layout.update(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _INK, "family": "system-ui, sans-serif", "size": FONT_SIZE},
        height=min(height, _TALLEST),
        margin={"t": 30},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        showlegend=len(figure.data) > 1,
        hoverlabel={"namelength": -1},
        dragmode=False,  # or a finger that scrolls the page would zoom
    )
    figure.axis("x", **axis, title={"text": x_axis})
    figure.axis("y", **axis, title={"text": y_axis})
    for trace in figure.data:
        if trace["type"] == "scatter":
            trace["cliponaxis"] = False
