"""Axes where plotly's own choice would mislead: one value, equal values, none at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_bench.dashboard.page.figures import Figure

_CLOSE = 1e-12
_MONTH = re.compile(r"\d{4}-\d{2}")
# What was measured within minutes was measured at once: seconds on the axis say nothing.
_AT_ONCE = timedelta(minutes=10)
_AROUND = timedelta(minutes=5)


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


def spread_of(values: Iterable[float | int | None]) -> tuple[float, float] | None:
    """Return the least and greatest of some values; None: all are alike, or there is none."""
    known = [float(value) for value in values if value is not None]
    if not known or max(known) - min(known) <= _CLOSE * max(1.0, *map(abs, known)):
        return None
    return min(known), max(known)


def without_leaps(
    found: Sequence[tuple[Any, float | int | None]],
) -> list[tuple[Any, float | int | None]]:
    """Return values by month with those between that have none, so that no line leads over them.

    What is not by month stays as it is.
    """
    from rag_bench.analytics.domain import every_month

    if not all(isinstance(x, str) and _MONTH.fullmatch(x) for x, _ in found):
        return list(found)
    known = dict(found)
    return [(month, known.get(month)) for month in every_month(dict.fromkeys(known, 0))]


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
        if (at_once := _moments_at_once(along)) is not None:
            figure.axis(side, range=list(at_once))
            continue
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


def _moments_at_once(along: Sequence[object]) -> tuple[str, str] | None:
    """Return the ends of an axis of times that lie within minutes; None: they do not."""
    if not along or not all(isinstance(value, str) and "T" in value for value in along):
        return None
    try:
        moments = [datetime.fromisoformat(str(value)) for value in along]
    except ValueError:
        return None
    first, last = min(moments), max(moments)
    if first == last or last - first >= _AT_ONCE:
        return None
    return (first - _AROUND).isoformat(), (last + _AROUND).isoformat()


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
