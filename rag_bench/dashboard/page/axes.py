"""Axes where plotly's own choice would mislead: one value, equal values, none at all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

_CLOSE = 1e-12


def span_of(values: Iterable[object]) -> tuple[float, float] | None:
    """Return the ends of an axis for values that are all alike; None: plotly chooses better.

    Around a single value plotly shows one unit to both sides: costs of 0 from −1 to 1. Here such
    an axis begins at 0 and has the value in its middle; of 0 it ends at 1.
    """
    known = [float(v) for v in values if isinstance(v, Real) and not isinstance(v, bool)]
    known = [value for value in known if value == value]
    if not known or max(known) - min(known) > _CLOSE * max(1.0, *map(abs, known)):
        return None
    value = known[0]
    if not value:
        return 0.0, 1.0
    return (0.0, 2 * value) if value > 0 else (2 * value, 0.0)


def has_values(figure: go.Figure) -> bool:
    """Whether a figure has anything to be seen: axes without a point look like a measured zero."""
    return any(_is_known(value) for trace in figure.data for value in _measured(trace))


def settle(figure: go.Figure) -> go.Figure | None:
    """Give a figure axes that do not mislead; None: it has nothing to show."""
    if not has_values(figure):
        return None
    for side in ("x", "y"):
        axis = figure.layout[f"{side}axis"]
        if axis.range is not None or axis.type == "category":
            continue
        along = _along(figure, side)
        if len({str(value) for value in along if isinstance(value, (str, date))}) == 1:
            axis.type = "category"  # of a single time plotly shows milliseconds around it
            continue
        found = span_of(along)
        # A bar begins at 0 whatever its height.
        if found is not None and not _are_names(figure, side):
            axis.range = [*reversed(found)] if axis.autorange == "reversed" else list(found)
            axis.autorange = None
    return figure


def _along(figure: go.Figure, side: str) -> list[object]:
    """Return all that is drawn along an axis, ends of intervals too."""
    found: list[object] = []
    for trace in figure.data:
        values = list(trace[side] if trace[side] is not None else ())
        found += values
        error = trace[f"error_{side}"] if trace.type in ("scatter", "bar") else None
        for sign, ends in ((1, "array"), (-1, "arrayminus")):
            lengths = (error[ends] if error is not None else None) or ()
            found += [
                value + sign * length
                for value, length in zip(values, lengths, strict=False)
                if isinstance(value, Real) and isinstance(length, Real)
            ]
    return found


def _measured(trace: go.Trace) -> Iterable[object]:
    if trace.type == "heatmap":
        return [value for row in trace.z or () for value in row]
    lying = (trace.type == "bar" and trace.orientation == "h") or _only_names(trace.y)
    values, others = (trace.x, trace.y) if lying else (trace.y, trace.x)
    pairs = zip(
        values if values is not None else (), others if others is not None else (), strict=True
    )
    return [value for value, other in pairs if other is not None]


def _are_names(figure: go.Figure, side: str) -> bool:
    return any(not isinstance(v, Real) and v is not None for v in _along(figure, side))


def _only_names(values: object) -> bool:
    listed = list(values) if values is not None else []  # type: ignore[call-overload]
    return bool(listed) and all(isinstance(value, str) for value in listed)


def _is_known(value: object) -> bool:
    if isinstance(value, Real):
        return float(value) == float(value)
    return isinstance(value, (str, date)) and value != ""
