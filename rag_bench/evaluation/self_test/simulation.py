"""How often an interval holds the truth, or a test errs, against what is promised."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: What a look at one drawn world gives: whether the promise was kept; None: nothing was claimed.
Look = Callable[[np.random.Generator], bool | None]

#: Of the evaluation that a trial is stored as, and the beginnings of its cases' names.
TIER, PROMISE, POWER = "self_test_statistics", "promise", "power"
#: The least simulations of a cell; below it a miss of two points could be chance.
RUNS = 2000
#: Standard errors of the simulation within which a promise counts as kept.
_ERRORS = 3.0


@dataclass(frozen=True)
class Cell:
    """One estimator in one world.

    Attributes:
        group: What is tried, in words.
        world: In which world.
        promised: The share of looks in which it is to hold: .95 of an interval, .05 of a test.
        look: Draws a world and says whether the interval held (or the test cried).
        at_least: It may hold more often than promised: an interval that is wide, a test that is
            careful. An interval that states exactly 95 % and one that states at least 95 % differ.
        outside: Why this world is outside of the stated range of use; such a number is marked
            where it is shown, and is not to hold.
        tolerance: What is allowed besides chance, as the method is an approximation; stated.
    """

    group: str
    world: str
    promised: float
    look: Look
    at_least: bool = False
    outside: str | None = None
    tolerance: float = 0.0

    @property
    def name(self) -> str:
        """Group and world."""
        return f"{self.group}: {self.world}"


@dataclass(frozen=True)
class Held:
    """What a simulation found: ``held`` of ``claimed`` looks; in the others nothing was claimed."""

    cell: Cell
    runs: int
    claimed: int
    held: int

    @property
    def share(self) -> float | None:
        """Of the looks in which something was claimed."""
        return self.held / self.claimed if self.claimed else None

    @property
    def error(self) -> float:
        """Standard error of the simulation, if the promise were kept exactly."""
        p = self.cell.promised
        return math.sqrt(p * (1 - p) / self.claimed) if self.claimed else math.inf

    @property
    def verdict(self) -> str:
        """``holds``, ``too narrow``, ``wider than promised``, or ``marked`` outside its range."""
        if self.share is None:
            return "nothing claimed"
        cell = self.cell
        allowed = _ERRORS * self.error + cell.tolerance
        # An interval must hold the truth often enough; a test must not cry too often.
        of_interval = cell.promised > 0.5
        short = cell.promised - self.share if of_interval else self.share - cell.promised
        if short > allowed:
            return "marked" if cell.outside else "too narrow" if of_interval else "cries too often"
        if -short > allowed and not cell.at_least:
            return "wider than promised" if of_interval else "more careful than promised"
        return "holds"

    @property
    def is_kept(self) -> bool:
        """Whether nothing is claimed that does not hold, or it is marked where it is shown."""
        return self.verdict not in ("too narrow", "cries too often", "nothing claimed")


def simulate(cells: Sequence[Cell], *, runs: int = RUNS, seed: int = 0) -> Iterator[Held]:
    """Look at each cell ``runs`` times; the same seed gives the same, whatever cells stand beside.

    Raises:
        ValueError: two cells of one name, which would be one line of a table.
    """
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError(f"two cells have one name: {sorted(names)}")
    for cell in cells:
        rng = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
        looks = [cell.look(rng) for _ in range(runs)]
        claimed = [look for look in looks if look is not None]
        yield Held(cell, runs, len(claimed), sum(claimed))
