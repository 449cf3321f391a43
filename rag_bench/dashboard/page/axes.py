"""Axes where plotly's own choice would mislead: one value, equal values, none at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_bench.dashboard.page.figures import Figure

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


def has_values(figure: Figure) -> bool:
    """Whether a figure has anything to be seen: axes without a point look like a measured zero."""
    return any(_is_known(value) for trace in figure.data for value in _measured(trace))


def settle(figure: Figure) -> Figure | None:
    """Give a figure axes that do not mislead; None: it has nothing to show."""
    if not has_values(figure):
        return None
    for side in ("x", "y"):
        axis = figure.layout.get(f"{side}axis", {})
        if axis.get("range") is not None or axis.get("type") == "category":
            continue
        along = _along(figure, side)
        if len({str(value) for value in along if isinstance(value, (str, date))}) == 1:
            # Of a single time plotly shows milliseconds around it.
            figure.axis(side, type="category")
            continue
        found = span_of(along)
        # A bar begins at 0 whatever its height.
        if found is not None and not _are_names(figure, side):
            turned = axis.get("autorange") == "reversed"
            figure.axis(side, range=[*reversed(found)] if turned else [*found], autorange=None)
    return figure


def _along(figure: Figure, side: str) -> list[object]:
    """Return all that is drawn along an axis, ends of intervals too."""
    found: list[object] = []
    for trace in figure.data:
        values = list(trace.get(side) or ())
        found += values
        error = trace.get(f"error_{side}") or {}
        for sign, ends in ((1, "array"), (-1, "arrayminus")):
            lengths = error.get(ends) or ()
            found += [
                value + sign * length
                for value, length in zip(values, lengths, strict=False)
                if isinstance(value, Real) and isinstance(length, Real)
            ]
    return found


def _measured(trace: dict[str, Any]) -> Iterable[object]:
    if trace["type"] == "heatmap":
        return [value for row in trace.get("z") or () for value in row]
    x, y = trace.get("x") or (), trace.get("y") or ()
    lying = (trace["type"] == "bar" and trace.get("orientation") == "h") or _only_names(y)
    pairs = zip(*((x, y) if lying else (y, x)), strict=True)
    return [value for value, other in pairs if other is not None]


def _are_names(figure: Figure, side: str) -> bool:
    return any(not isinstance(v, Real) and v is not None for v in _along(figure, side))


def _only_names(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _is_known(value: object) -> bool:
    if isinstance(value, Real):
        return float(value) == float(value)
    return isinstance(value, (str, date)) and value != ""
