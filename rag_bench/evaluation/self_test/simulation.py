"""How often an interval holds the truth, or a test errs, against what is promised."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: What one drawn world says of a promise: whether it was kept, or by how much an estimate is off;
#: None: nothing was claimed.
Seen = bool | float | None
#: A look at one drawn world; of a world that several promises are about, by their names.
Look = Callable[[np.random.Generator], Seen | Mapping[str, Seen]]
#: An interval is to hold the truth, a test to cry seldom, a plan to have its power, an estimate to
#: be off by nothing on average.
Kind = Literal["interval", "test", "power", "estimate"]

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
        promised: The share of looks in which it is to hold: .95 of an interval, .05 of a test, .8
            of a stated power; of an estimate the mean error, 0.
        look: Draws a world and says whether the interval held (or the test cried).
        at_least: It may hold more often than promised: an interval that is wide, a test that is
            careful; an estimate may be too low. An interval that states exactly 95 % and one that
            states at least 95 % differ.
        outside: Why this world is outside of the stated range of use; such a number is marked
            where it is shown, and is not to hold.
        tolerance: What is allowed besides chance, as the method is an approximation; stated.
        kind: What is promised; by default an interval, or a test where less than half is.
        part: Which promise of a look that tells of several.
        drawn_as: Name of the look that cells share, by which its worlds are drawn.
    """

    group: str
    world: str
    promised: float
    look: Look
    at_least: bool = False
    outside: str | None = None
    tolerance: float = 0.0
    kind: Kind | None = None
    part: str | None = None
    drawn_as: str | None = None

    @property
    def what(self) -> Kind:
        """What is promised."""
        return self.kind or ("interval" if self.promised > 0.5 else "test")

    @property
    def name(self) -> str:
        """Group and world."""
        return f"{self.group}: {self.world}"


#: By what is promised, what is said of one that falls short of it, and of one that does better.
_WORDS: Mapping[Kind, tuple[str, str]] = {
    "interval": ("too narrow", "wider than promised"),
    "test": ("cries too often", "more careful than promised"),
    "power": ("sees less than promised", "sees more than promised"),
    "estimate": ("off", "off"),
}
_BROKEN = ("nothing claimed", *(short for short, _ in _WORDS.values()))


@dataclass(frozen=True)
class Held:
    """What a simulation found: ``held`` of ``claimed`` looks; in the others nothing was claimed.

    ``squares``: of an estimate, of which ``held`` is the sum of errors, the sum of their squares.
    """

    cell: Cell
    runs: int
    claimed: int
    held: float
    squares: float = 0.0

    @property
    def share(self) -> float | None:
        """Of the looks in which something was claimed; of an estimate the mean error."""
        return self.held / self.claimed if self.claimed else None

    @property
    def error(self) -> float:
        """Standard error of the simulation, if the promise were kept exactly."""
        if not self.claimed:
            return math.inf
        if self.cell.what == "estimate":
            return math.sqrt(self.squares / self.claimed / self.claimed)
        p = self.cell.promised
        return math.sqrt(p * (1 - p) / self.claimed)

    @property
    def verdict(self) -> str:
        """``holds``, what is wrong, or ``marked`` outside its range."""
        if self.share is None:
            return "nothing claimed"
        cell = self.cell
        allowed = _ERRORS * self.error + cell.tolerance
        over = self.share - cell.promised
        # An interval must hold the truth often enough; a test must not cry too often.
        too_high = over if cell.at_least else abs(over)
        short = {"test": over, "estimate": too_high}.get(cell.what, -over)
        too_little, too_much = _WORDS[cell.what]
        if short > allowed:
            return "marked" if cell.outside else too_little
        if -short > allowed and not cell.at_least:
            return too_much
        return "holds"

    @property
    def is_kept(self) -> bool:
        """Whether nothing is claimed that does not hold, or it is marked where it is shown."""
        return self.verdict not in _BROKEN


def simulate(cells: Sequence[Cell], *, runs: int = RUNS, seed: int = 0) -> Iterator[Held]:
    """Look at each cell ``runs`` times; the same seed gives the same, whatever cells stand beside.

    Cells of one look are answered by the same worlds.

    Raises:
        ValueError: two cells of one name, which would be one line of a table.
    """
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError(f"two cells have one name: {sorted(names)}")
    drawn: dict[str, list[Seen | Mapping[str, Seen]]] = {}
    for cell in cells:
        name = cell.drawn_as or cell.name
        if name not in drawn:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            drawn[name] = [cell.look(rng) for _ in range(runs)]
        claimed = [float(one) for look in drawn[name] if (one := _part(cell, look)) is not None]
        yield Held(cell, runs, len(claimed), math.fsum(claimed), math.fsum(v * v for v in claimed))


def _part(cell: Cell, look: Seen | Mapping[str, Seen]) -> Seen:
    if isinstance(look, Mapping):
        return look[cell.part or ""]
    return look
