"""Chance that falls the same way on every machine and Python."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws made of ``random.Random.random`` only.

    Python promises the same sequence for that method in all versions, and for no other.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._random()

    def below(self, n: int) -> int:
        """Return an integer of 0 to ``n - 1``."""
        return int(self._random() * n)

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values, each as likely as any other."""
        return values[self.below(len(values))]

    def weighted(self, weights: Sequence[float]) -> int:
        """Return an index, drawn in proportion to the weights."""
        return self.cumulative(list(accumulate(weights)))

    def cumulative(self, sums: Sequence[float]) -> int:
        """Return an index, drawn in proportion to the differences of running sums."""
        return min(bisect_right(sums, self._random() * sums[-1]), len(sums) - 1)

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in a random order (Fisher-Yates)."""
        result = list(values)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result
