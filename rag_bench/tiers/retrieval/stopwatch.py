"""The time of single queries, warm, part by part."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rag_bench.evaluation.retrievers.retrieval_costs import WHOLE


class Stopwatch:
    """Adds up, in milliseconds, how long the named parts of one query took."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.parts: dict[str, float] = {}
        self._counted = 0.0  # by `count`

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the time of the block to a part."""
        started = self._clock()
        try:
            yield
        finally:
            spent = 1000 * (self._clock() - started)
            self.parts[part] = self.parts.get(part, 0.0) + spent

    def count(self, part: str, ms: float) -> None:
        """Count to a part what it took before, as it need not be done again."""
        self.parts[part] = self.parts.get(part, 0.0) + ms
        self._counted += ms

    def whole(self, ask: Callable[[], object]) -> None:
        """Do all of a query; what was counted without being done is a part of it (`WHOLE`)."""
        with self(WHOLE):
            ask()
        self.parts[WHOLE] += self._counted


Ask = Callable[[str, Stopwatch], object]
"""Answers one query, and counts its parts by the watch."""


def sample(questions: Sequence[str], n: int, *, seed: int = 0) -> list[str]:
    """Return ``n`` of the questions at random, all if there are no more; each at most once."""
    distinct = sorted(set(questions))
    random.Random(seed).shuffle(distinct)
    return distinct[:n]


def timed(
    ask: Ask,
    questions: Sequence[str],
    *,
    warm_up: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[dict[str, float]]:
    """Ask the questions one after the other; return the milliseconds of each one's parts, and of
    the whole of it (`WHOLE`).

    The first ``warm_up`` of them are asked once before and not counted: what loads at first use
    is no part of a query.
    """
    for question in questions[:warm_up]:
        ask(question, Stopwatch(clock))
    found = []
    for question in questions:
        watch = Stopwatch(clock)
        watch.whole(partial(ask, question, watch))
        found.append(watch.parts)
    return found
