"""Made-up results with a known truth: pages of questions that are alike within a page.

Every world is drawn from a generator that is handed in, so that the same seed gives the same
results on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

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

    @property
    def size(self) -> int:
        """Questions in all."""
        return self.n * self.questions

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


def uneven(rng: np.random.Generator, pages: Pages, values: np.ndarray) -> tuple[list, list[int]]:
    """Return values and pages of as uneven a set of questions as users' are: of each page the first
    few, one in three pages with one question only.
    """
    kept = rng.integers(1, pages.questions + 1, pages.n)
    kept[rng.random(pages.n) < 1 / 3] = 1
    there = np.arange(pages.questions)[None, :] < kept[:, None]
    rows = np.broadcast_to(np.arange(pages.n)[:, None], there.shape)
    return values[there].tolist(), rows[there].tolist()


@dataclass(frozen=True)
class TwoGraders:
    """Two who grade the same answers from 1 to 5, each with an error of their own.

    An answer has a worth, normal about ``centre``; either sees it with an error (``noise``: its
    deviation) and rounds; the second is ``shift`` stricter or kinder.
    """

    centre: float = 3.7
    spread: float = 1.0
    noise: tuple[float, float] = (0.4, 0.6)
    shift: float = 0.0

    def draw(self, rng: np.random.Generator, pages: Pages) -> np.ndarray:
        """Return both one's grades, shape (2, pages * questions)."""
        page = rng.standard_normal((pages.n, 1)) * math.sqrt(pages.alike)
        own = rng.standard_normal((pages.n, pages.questions)) * math.sqrt(1 - pages.alike)
        worth = self.centre + self.spread * (page + own).ravel()
        errors = np.array(self.noise)[:, None] * rng.standard_normal((2, pages.size))
        shifts = np.array([[0.0], [self.shift]])
        return np.clip(np.rint(worth + shifts + errors), LOWEST, HIGHEST)

    @cached_property
    def table(self) -> np.ndarray:
        """The true share of each pair of grades, (5, 5), by quadrature over the worth."""
        from scipy.special import ndtr

        nodes, weights = np.polynomial.hermite_e.hermegauss(200)
        worth = self.centre + self.spread * nodes
        borders = np.concatenate([[-np.inf], np.arange(LOWEST + 0.5, HIGHEST), [np.inf]])

        def chances(middle: np.ndarray, noise: float) -> np.ndarray:
            return np.diff(ndtr((borders - middle[:, None]) / noise), axis=1)

        first = chances(worth, self.noise[0])
        second = chances(worth + self.shift, self.noise[1])
        found: np.ndarray = np.einsum("n,ni,nj->ij", weights, first, second) / weights.sum()
        return found

    @property
    def means(self) -> tuple[float, float]:
        """The true means of both."""
        values = np.arange(LOWEST, HIGHEST + 1)
        table = self.table
        return float(table.sum(axis=1) @ values), float(table.sum(axis=0) @ values)


#: The grades that a table of two graders has.
GRADES = np.arange(float(LOWEST), float(HIGHEST) + 1)
