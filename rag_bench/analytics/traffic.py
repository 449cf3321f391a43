"""The questions that an analysis is about, and the sample it looks at."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.analytics.text import is_answer

SEED = 42


@dataclass(frozen=True)
class Asked:
    """One question.

    ``id``: its id in the source; ``month``: YYYY-MM, None if unknown; ``score``: 1 to 5, the
    user's rating of the answer, None without one; ``group``: what a made question comes from (its
    page).
    """

    id: str
    text: str
    answer: str | None = None
    score: int | float | None = None
    user_id: int | str | None = None
    month: str | None = None
    group: str | None = None

    @property
    def answered(self) -> bool:
        """Whether production answered it."""
        return is_answer(self.answer)

    @property
    def cluster(self) -> Hashable:
        """What resampling takes together: questions of one user, or one page, are not
        independent.
        """
        if self.user_id is not None:
            return "user", self.user_id
        return ("row", self.id) if self.group is None else ("group", self.group)


def sample(n: int, limit: int | None, seed: int = SEED) -> np.ndarray:
    """Return ascending positions of a random sample of ``limit`` of ``n``; all if that is enough.

    Not the first ``limit``: the oldest questions are not like the others.

    Raises:
        ValueError: limit < 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if limit is None or limit >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size=limit, replace=False))


@dataclass(frozen=True)
class Population:
    """How many questions there are, and how many of them were looked at.

    ``n_all``: rows of the source; ``n_blank``: of them without text, never looked at;
    ``n_sampled``: looked at.
    """

    n_all: int
    n_blank: int
    n_sampled: int


def take(asked: Sequence[Asked], limit: int | None) -> tuple[list[Asked], Population]:
    """Return the sampled questions that have a text, in their order, and what they stand for."""
    with_text = [question for question in asked if question.text.strip()]
    chosen = [with_text[position] for position in sample(len(with_text), limit)]
    return chosen, Population(len(asked), len(asked) - len(with_text), len(chosen))
