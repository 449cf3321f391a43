"""How often a true drop is seen: by pages, questions, their correlation and what changes at all."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.paired.p_values import sign_flips
from rag_bench.evaluation.self_test.worlds import Pages, changes

#: The true drop of the table: what a team would not want to release.
DROP = -0.05
_ALPHA = 0.05
#: Patterns of signs per test; fewer than a published p has, as two thousand tests are made of each.
_PERMUTATIONS = 1000
_LAYOUTS = ((40, 5), (40, 25), (100, 10), (240, 4))
_ALIKE = (0.0, 0.1, 0.2)
_DISCORDANT = (0.15, 0.30)


@dataclass(frozen=True)
class Power:
    """Of ``runs`` true drops ``seen`` were called worse (p below .05, and a drop)."""

    pages: Pages
    discordant: float
    runs: int
    seen: int

    @property
    def share(self) -> float:
        """The power."""
        return self.seen / self.runs

    @property
    def error(self) -> float:
        """Standard error of the simulation."""
        return math.sqrt(self.share * (1 - self.share) / self.runs)


def worlds() -> list[tuple[Pages, float]]:
    """Return the lines of the table: pages with questions, and the share that changes."""
    return [
        (Pages(n, questions, alike), discordant)
        for n, questions in _LAYOUTS
        for discordant in _DISCORDANT
        for alike in _ALIKE
    ]


def power(
    lines: Sequence[tuple[Pages, float]], *, runs: int, seed: int = 0, difference: float = DROP
) -> Iterator[Power]:
    """Draw ``runs`` true differences of each line, and test each as a comparison does."""
    for pages, discordant in lines:
        name = f"{pages}, {discordant:g}"
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        labels, seen = pages.labels, 0
        for _ in range(runs):
            change = changes(rng, pages, discordant, difference).ravel()
            p = sign_flips(change.tolist(), labels, permutations=_PERMUTATIONS).mid
            seen += bool(p < _ALPHA and change.sum() * difference > 0)
        yield Power(pages, discordant, runs, seen)
