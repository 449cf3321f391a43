"""What a metric's entry holds: how it is read, where it is shown, what it should reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from rag_bench.evaluation.types import Scale

Kind = Literal["rate", "mean", "count", "summary"]
UNIT: Scale = (0.0, 1.0)
COSINE: Scale = (-1.0, 1.0)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Need(StrEnum):
    """What a case must have, or it is not expected to have the metric."""

    reference = "a reference answer"
    relevant_chunks = "known relevant chunks"
    in_scope = "a question that should be answered"
    out_of_scope = "a question out of scope"
    generated = "an answer that a model gave"  # not the cache
    repeats = "repeats"
    #: The function tells by None that it does not apply to an answer that came back. Without this
    #: need None is a missing score.
    value = "a value"


@dataclass(frozen=True)
class Shown:
    """A column of the leaderboard.

    Attributes:
        tier: Whose values it shows, as results name the tier (``"2"``).
        title: What tables call it.
        place: Columns stand in the order of their places, whatever these are.
        ranks: Models are ranked by the first measured of the columns that have one, in this
            order; the others decide between equals.
        if_measured: It stands only on a board where something has it.
    """

    tier: str
    title: str
    place: int
    ranks: int | None = None
    if_measured: bool = False


@dataclass(frozen=True)
class Target:
    """What a metric should reach: at least ``value`` (at most, where less is better).

    Attributes:
        tier: In which tier.
        value: Met by a value that equals it.
        area: What is measured: targets that are read off the same answers or lists are one area,
            and the report's status counts areas.
        place: Targets and areas stand in the order of their places.
    """

    tier: str
    value: float
    area: str
    place: int


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is.

    Attributes:
        name: Under which it is stored; with ``@k`` if its cutoff is a setting.
        tiers: That compute it, as results name them.
        kind: A ``rate`` is a share of yes among cases (Wilson at the effective size), a ``mean``
            an average of the cases' scores (bootstrap over pages), a ``summary`` a number of the
            whole set.
        scale: Least and greatest value; None: not bounded.
        higher_is_better: None where neither direction is better by itself.
        formula: What it is, in words and symbols, as Markdown.
        source: Paper, library or prompt that it comes from.
        needs: Of a case; others are not expected to have it.
        shown: Columns of the leaderboard.
        targets: What it should reach.

    Raises ValueError for a use that the metric does not allow.
    """

    name: str
    tiers: tuple[str, ...]
    kind: Kind
    scale: Scale | None
    higher_is_better: bool | None
    formula: str = ""
    source: str = ""
    needs: frozenset[Need] = frozenset()
    shown: tuple[Shown, ...] = ()
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        uses: tuple[Shown | Target, ...] = (*self.shown, *self.targets)
        for use in uses:
            if use.tier not in self.tiers:
                raise ValueError(f"{self.name} is not of tier {use.tier}, where it is to be shown")
        if self.targets and self.higher_is_better is None:
            raise ValueError(f"{self.name} has a target, but no direction is better")
        if any(column.ranks is not None for column in self.shown) and not self.higher_is_better:
            raise ValueError(f"models are ranked by what is better when higher, not by {self.name}")


def entries(
    names: Iterable[str],
    tiers: Iterable[str],
    kind: Kind,
    scale: Scale | None,
    higher_is_better: bool | None,
    formula: str,
    *,
    source: str = "",
    needs: Iterable[Need] = (),
    shown: Mapping[str, Shown] = _NOTHING,
    targets: Mapping[str, Target] = _NOTHING,
) -> tuple[MetricSpec, ...]:
    """Return the entries of metrics that differ in their names only, and in what is made of them.

    ``shown``, ``targets``: by name.
    """
    return tuple(
        MetricSpec(
            name,
            tuple(tiers),
            kind,
            scale,
            higher_is_better,
            formula,
            source,
            frozenset(needs),
            (shown[name],) if name in shown else (),
            (targets[name],) if name in targets else (),
        )
        for name in names
    )
