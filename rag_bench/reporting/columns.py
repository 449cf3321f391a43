"""Columns of the leaderboard, and what models are ranked by: both are declared with the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.metric_spec import Shown

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By tier (``tier_2``), then by metric name."""


@dataclass(frozen=True)
class Column:
    """One shown metric: where it stands in ``metrics`` and what the table calls it."""

    tier: str
    metric: str
    title: str
    scale: tuple[float, float] | None = None

    def of(self, metrics: Metrics) -> Mapping[str, Any] | None:
        """Return a metric's record, None if it was not measured."""
        return metrics.get(self.tier, {}).get(self.metric)


def _declared() -> list[tuple[Shown, Column]]:
    """Return what the metrics' entries say of the leaderboard, in its order."""
    found = [
        (shown, Column(f"tier_{shown.tier}", metric.name, shown.title, metric.scale))
        for metric in CATALOGUE.values()
        for shown in metric.shown
    ]
    return sorted(found, key=lambda pair: (pair[0].place, pair[1].metric))


def _ranked(declared: Iterable[tuple[Shown, Column]]) -> tuple[Column, ...]:
    found = [(shown.ranks, column) for shown, column in declared if shown.ranks is not None]
    return tuple(column for _, column in sorted(found, key=lambda pair: (pair[0], pair[1].metric)))


_DECLARED = _declared()
_ALWAYS = [(shown, column) for shown, column in _DECLARED if not shown.if_measured]
#: Those that stand on every board.
COLUMNS = tuple(column for _, column in _ALWAYS)
#: By what generation models are ranked on every board: the first that was measured; the others
#: decide between equal models.
RANKED_BY = _ranked(_ALWAYS)


def columns_of(rows: Iterable[Metrics], always: Sequence[Column] = COLUMNS) -> list[Column]:
    """Return the columns of a board: those of every one, and in their places such as stand where
    something has them. ``rows``: the metrics of its rows.
    """
    more = _measured(rows)
    if not more:
        return list(always)
    return [c for shown, c in _DECLARED if c in more or not shown.if_measured]


def ranked_by(rows: Iterable[Metrics]) -> tuple[Column, ...]:
    """Return by what the models of a board are ranked, most decisive first."""
    more = _measured(rows)
    return _ranked([(s, c) for s, c in _DECLARED if c in more or not s.if_measured])


def _measured(rows: Iterable[Metrics]) -> set[Column]:
    """Return the columns of some boards only that something in the rows has."""
    optional = [column for shown, column in _DECLARED if shown.if_measured]
    # Rows share their tiers' objects, of which there are far fewer.
    wanted = {column.tier for column in optional}
    tiers: dict[tuple[str, int], Mapping[str, Any]] = {}
    for row in rows:
        for tier in wanted:
            metrics = row.get(tier)
            if metrics:
                tiers[tier, id(metrics)] = metrics
    return {
        column
        for column in optional
        if any(
            tier == column.tier and found.get(column.metric) for (tier, _), found in tiers.items()
        )
    }


def column(tier: str, metric: str) -> Column:
    """Return the column of a tier's metric; one that is not shown is a programming error."""
    wanted = (f"tier_{tier}", metric)
    return next(c for _, c in _DECLARED if (c.tier, c.metric) == wanted)


#: What production judges are chosen by.
SHOW_F1 = column("judge_pipeline", "f1_score")
