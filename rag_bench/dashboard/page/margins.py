"""Room around a plot for the labels of its axes.

Plotly can find it by itself (`automargin`): it draws the labels, measures them and draws all again,
which is half of the time that a page's plots take. So what is known here is said here; only what
plotly may turn upright below a plot is left to it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_bench.dashboard.page.figures import Figure

#: Of the font, in pixels: `figures.py` draws with it.
FONT_SIZE = 13
# Shares of the font's size that a letter takes, wide ones as in the widest of usual fonts.
_NARROW, _USUAL, _LARGE, _SQUARE = 0.4, 0.64, 0.8, 1.05
_GAP, _TITLE = 10, 24
# "−12,345" or "100.00%"; dates are on two lines.
_NUMBERS = 52
_UNDER, _UNDER_DATES = 24, 44
# Half of the last label below the axis lies right of the plot, of a date 40 pixels.
_RIGHT = 36
# Names that stand side by side even on a phone are not turned; and beside a plot that is narrow for
# names at its left, plotly may turn what stands below.
_PHONE, _MUCH = 250, 180


def width_of(text: str) -> float:
    """Return how many pixels a text takes at most in the plots' font."""
    return FONT_SIZE * sum(map(_letter, text))


def _letter(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return _SQUARE
    if letter in "ijlftrI.,:;'|!()[] -·":
        return _NARROW
    if letter in "mwMWЖМШЩЮФЫ@%—…":
        return _SQUARE
    return _LARGE if letter.isupper() or letter in "жмшщюфы" else _USUAL


def make_room(figure: Figure) -> None:
    """Set the margins of a figure whose traces and axes are whole."""
    layout = figure.layout
    margin, x, y = layout["margin"], layout["xaxis"], layout["yaxis"]
    margin["l"] = round(_beside(y, _names(figure, "y"))) + _title(y)
    figure.axis("y", automargin=False)
    names = _names(figure, "x")
    margin["b"], margin["r"] = 40, 20
    if margin["l"] > _MUCH or sum(width_of(name) + _GAP for name in names) > _PHONE:
        # Below names that were turned the title has no room of its own accord.
        figure.axis("x", title={**x.get("title", {}), "standoff": _GAP})
        return
    dates = not names and any(isinstance(v, str) for t in figure.data for v in t.get("x") or ())
    below = 0 if x.get("showticklabels") is False else _UNDER_DATES if dates else _UNDER
    margin["b"], margin["r"] = _GAP + below + _title(x), _RIGHT
    figure.axis("x", automargin=False)


def _names(figure: Figure, side: str) -> list[str]:
    """Return what stands along an axis of names; nothing along numbers and times."""
    if figure.layout[f"{side}axis"].get("type") != "category":
        return []
    along = [value for trace in figure.data for value in trace.get(side) or ()]
    return [*dict.fromkeys(str(value) for value in along if value is not None)]


def _beside(axis: dict[str, Any], names: Iterable[str]) -> float:
    if axis.get("showticklabels") is False:
        return _GAP
    return _GAP + max(map(width_of, names), default=_NUMBERS)


def _title(axis: dict[str, Any]) -> int:
    return _TITLE if axis.get("title", {}).get("text") else 0
