"""Models against each other, question by question, by one judge's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Scores = Mapping[str, Mapping[str, float]]
"""By model, then by case; what was not scored is absent."""


@dataclass(frozen=True)
class Duel:
    """How one model does against another on the cases that both have a score for."""

    model: str
    other: str
    won: int
    tied: int
    lost: int

    @property
    def n(self) -> int:
        """Cases that both have."""
        return self.won + self.tied + self.lost

    @property
    def win_rate(self) -> float | None:
        """Share won, a tie being half; None without a common case."""
        return (self.won + self.tied / 2) / self.n if self.n else None


@dataclass(frozen=True)
class Difference:
    """One case that two models have unlike scores for."""

    case_id: str
    first: float
    second: float

    @property
    def size(self) -> float:
        """First minus second."""
        return self.first - self.second


def duels(scores: Scores, models: Sequence[str]) -> list[Duel]:
    """Return every ordered pair of different models."""
    return [_duel(scores, a, b) for a in models for b in models if a != b]


def _duel(scores: Scores, model: str, other: str) -> Duel:
    mine, theirs = scores.get(model, {}), scores.get(other, {})
    common = [(mine[case], theirs[case]) for case in mine.keys() & theirs.keys()]
    won = sum(a > b for a, b in common)
    tied = sum(a == b for a, b in common)
    return Duel(model, other, won, tied, len(common) - won - tied)


def differences(scores: Scores, first: str, second: str) -> list[Difference]:
    """Return the cases where two models' scores differ, the widest apart first."""
    mine, theirs = scores.get(first, {}), scores.get(second, {})
    found = [
        Difference(case, mine[case], theirs[case])
        for case in mine.keys() & theirs.keys()
        if mine[case] != theirs[case]
    ]
    return sorted(found, key=lambda one: (-abs(one.size), one.case_id))


def spread(
    scores: Scores, models: Sequence[str], scale: tuple[float, float] | None
) -> tuple[list[str], dict[str, list[int]]]:
    """Return how often each model has which score: names of the steps, and counts per model.

    Whole scores are steps of their own where a scale has at most eleven; else the scale, or what
    is there, is cut into ten.
    """
    every = [value for model in models for value in scores.get(model, {}).values()]
    if not every:
        return [], {model: [] for model in models}
    low, high = scale if scale else (min(every), max(every))
    if all(float(value).is_integer() for value in every) and high - low <= 10:
        steps = [float(step) for step in range(int(low), int(high) + 1)]
        counts = {m: [list(scores.get(m, {}).values()).count(s) for s in steps] for m in models}
        return [f"{step:g}" for step in steps], counts
    width = (high - low) / 10 or 1.0
    names = [f"{low + width * n:.3g} – {low + width * (n + 1):.3g}" for n in range(10)]
    found = {}
    for model in models:
        counted = [0] * 10
        for value in scores.get(model, {}).values():
            counted[max(0, min(9, int((value - low) / width)))] += 1
        found[model] = counted
    return names, found


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return what nothing else beats: (less is better, more is better) by name, cheapest first.

    Equal points are all kept.
    """
    best = [
        name
        for name, (cost, quality) in points.items()
        if not any(
            (c <= cost and q >= quality) and (c < cost or q > quality) for c, q in points.values()
        )
    ]
    return sorted(best, key=lambda name: (points[name][0], -points[name][1], name))
