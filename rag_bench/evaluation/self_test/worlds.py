"""Made-up results with a known truth: pages of questions that are alike within a page.

Every world is drawn from a generator that is handed in, so that the same seed gives the same
results on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: The grades of a rubric.
LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True)
class Pages:
    """So many pages with so many questions each; ``alike``: the correlation within a page."""

    n: int
    questions: int
    alike: float

    @property
    def labels(self) -> list[int]:
        """The page of each question."""
        return np.repeat(np.arange(self.n), self.questions).tolist()

    def __str__(self) -> str:
        return f"{self.n} pages x {self.questions}, correlation {self.alike:g}"


def yes_no(rng: np.random.Generator, pages: Pages, rate: float) -> np.ndarray:
    """Return yes and no, shape (pages, questions), whose true share of yes is ``rate``.

    Beta-binomial: a page has a rate of its own, and the correlation within a page is as stated.
    """
    rates = np.full(pages.n, rate)
    if pages.alike > 0:
        size = (1 - pages.alike) / pages.alike
        rates = rng.beta(rate * size, (1 - rate) * size, pages.n)
    return rng.random((pages.n, pages.questions)) < rates[:, None]


def grades(rng: np.random.Generator, pages: Pages, centre: float, spread: float) -> np.ndarray:
    """Return whole grades from 1 to 5, shape (pages, questions); their true mean: `mean_grade`."""
    page = rng.standard_normal((pages.n, 1)) * math.sqrt(pages.alike)
    own = rng.standard_normal((pages.n, pages.questions)) * math.sqrt(1 - pages.alike)
    return np.clip(np.rint(centre + spread * (page + own)), LOWEST, HIGHEST)


@lru_cache(maxsize=64)
def mean_grade(centre: float, spread: float) -> float:
    """Return the true mean of `grades`: of a normal value, rounded and cut to the scale."""
    from scipy.special import ndtr

    borders = np.arange(LOWEST + 0.5, HIGHEST)
    return float(LOWEST + (1 - ndtr((borders - centre) / spread)).sum())


def changes(
    rng: np.random.Generator, pages: Pages, discordant: float, difference: float
) -> np.ndarray:
    """Return how answers of yes and no change: -1, 0 or 1, shape (pages, questions).

    ``discordant``: the share that changes at all; ``difference``: the true mean. Pages have shares
    of their own (Dirichlet), so that changes of one page are correlated as stated.

    Raises:
        ValueError: a difference that so few changes cannot make.
    """
    if abs(difference) > discordant or discordant > 1:
        raise ValueError(f"{discordant} of the answers cannot make a difference of {difference}")
    shares = np.array(
        [(discordant - difference) / 2, 1 - discordant, (discordant + difference) / 2]
    )
    of_pages = np.tile(shares, (pages.n, 1))
    if pages.alike > 0:
        size = (1 - pages.alike) / pages.alike
        # A share of nought stays one; numpy's Dirichlet wants all of them above it.
        drawn = rng.standard_gamma(np.maximum(shares * size, 1e-300), (pages.n, 3))
        drawn[:, shares == 0] = 0.0
        totals = drawn.sum(axis=1, keepdims=True)
        of_pages = np.where(totals > 0, drawn / np.where(totals > 0, totals, 1), of_pages)
    borders = of_pages.cumsum(axis=1)
    where = rng.random((pages.n, pages.questions))
    return (where >= borders[:, :1]).astype(float) + (where >= borders[:, 1:2]) - 1


def before_and_after(rng: np.random.Generator, change: np.ndarray, rate: float) -> np.ndarray:
    """Return yes and no of a first and a second run, shape (2, n), that differ by ``change``."""
    flat = change.ravel()
    first = np.where(flat == 0, rng.random(flat.size) < rate, flat < 0)
    return np.array([first, first + flat > 0.5])


def judged(
    rng: np.random.Generator, truth: np.ndarray, sensitivity: float, specificity: float
) -> np.ndarray:
    """Return what a judge of known error rates says of true yes and no."""
    return rng.random(truth.shape) < np.where(truth, sensitivity, 1 - specificity)
