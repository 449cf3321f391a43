"""The one shape of every published number: a value, what it rests on, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rag_bench.evaluation.precision import published, settled

Scale = tuple[float, float]
#: With fewer independent groups of cases than this no interval can be trusted to cover 95 %.
FEW_CLUSTERS = 10


def finite_or_none(value: float | None) -> float | None:
    """Return ``value`` as a Python float, or None if it is missing, NaN or infinite."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Metric:
    """A metric's value over a set of cases.

    ``value``: None when nothing was scored or the measure is undefined (0/0).
    ``n_scored`` of ``n_expected``: cases with a score, and cases that should have one.
    ``ci_low``, ``ci_high``: a 95 % interval; None when the data cannot give one.
    ``low_if_missing``, ``high_if_missing``: the value if every missing case had got the worst,
    or the best, possible result; known only for a measure with a scale.
    ``scale``: the least and greatest possible value, None when unbounded.
    ``n_clusters``: how many independent groups (pages, users) the scored cases come from; None
    where cases are not grouped.
    ``withheld``: ``{reason: cases}`` that the measure is not right for; they are not expected.

    Raises ValueError when the counts contradict each other.
    """

    value: float | None
    n_scored: int
    n_expected: int
    ci_low: float | None = None
    ci_high: float | None = None
    low_if_missing: float | None = None
    high_if_missing: float | None = None
    scale: Scale | None = None
    n_clusters: int | None = None
    withheld: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.n_scored <= self.n_expected:
            raise ValueError(f"{self.n_scored} cases scored of {self.n_expected} expected")
        if self.n_scored == 0 and finite_or_none(self.value) is not None:
            raise ValueError(f"a value ({self.value}) with no case scored")

    @property
    def n_missing(self) -> int:
        """Cases that should have a score and have none."""
        return self.n_expected - self.n_scored

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-safe dictionary; NaN and infinities become None.

        Numbers are rounded to six decimals; without a scale, to six digits where they are small.
        Always ``value, n_scored, n_expected, ci_low, ci_high``; the bounds, the scale and
        ``n_clusters`` only when they are known; ``note`` where the clusters are few, ``withheld``
        where something is.
        """
        result: dict[str, Any] = {
            "value": self._published(self.value),
            "n_scored": int(self.n_scored),
            "n_expected": int(self.n_expected),
            "ci_low": self._published(self.ci_low),
            "ci_high": self._published(self.ci_high),
        }
        low, high = self._published(self.low_if_missing), self._published(self.high_if_missing)
        if low is not None and high is not None:
            result["low_if_missing"], result["high_if_missing"] = low, high
        if self.scale is not None:
            result["scale"] = [float(self.scale[0]), float(self.scale[1])]
        if self.n_clusters is not None:
            result["n_clusters"] = int(self.n_clusters)
            if note := few_clusters_note(result):
                result["note"] = note
        if self.withheld:
            result["withheld"] = dict(self.withheld)
        return result

    def _published(self, value: float | None) -> float | None:
        number = finite_or_none(value)
        if number is None:
            return None
        return published(number) if self.scale is None else settled(number)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metric:
        """Read back what ``to_json`` wrote."""
        scale = data.get("scale")
        return cls(
            value=data["value"],
            n_scored=data["n_scored"],
            n_expected=data["n_expected"],
            ci_low=data["ci_low"],
            ci_high=data["ci_high"],
            low_if_missing=data.get("low_if_missing"),
            high_if_missing=data.get("high_if_missing"),
            scale=None if scale is None else (float(scale[0]), float(scale[1])),
            n_clusters=data.get("n_clusters"),
            withheld=data.get("withheld") or {},
        )


def few_clusters_note(metric: Mapping[str, Any]) -> str | None:
    """Return what to say beside a published number whose cases come from few pages, else None.

    ``metric``: as `Metric.to_json` writes one; of its interval, too, which there may be none of.
    """
    n_clusters = metric.get("n_clusters")
    if n_clusters is None or not metric["n_scored"] or n_clusters >= FEW_CLUSTERS:
        return None
    if metric.get("ci_low") is None or metric.get("ci_high") is None:
        return f"too few pages or users ({n_clusters}) for an interval"
    return f"fewer than {FEW_CLUSTERS} pages or users ({n_clusters}): the interval is too narrow"


def few_pages(metric: Mapping[str, Any]) -> str:
    """Return ``few_clusters_note`` as short as a table's cell has room for; empty if there is none.

    Results of earlier versions do not say how many pages they rest on: nothing is said of them.
    """
    return f"(<{FEW_CLUSTERS} pages: {metric['n_clusters']})" if few_clusters_note(metric) else ""
