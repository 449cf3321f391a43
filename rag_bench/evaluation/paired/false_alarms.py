"""How often a gate errs: simulated, per gate and per quarter of weekly gates, with pages.

The very functions decide that decide in a gate: the interval, the sign flips of whole pages, the
three words. So what comes out is the gate's own rate, not that of a formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.paired.asked_again import word_after
from rag_bench.evaluation.paired.decision import decide
from rag_bench.evaluation.paired.words import GOT_WORSE, MARGIN, NO_WORSE, Word

#: Weekly gates in a quarter.
WEEKS = 13


@dataclass(frozen=True)
class World:
    """What a gate is asked about; yes/no answers.

    Attributes:
        pages, per_page: the questions.
        discordant: share of the questions whose two answers differ though nothing got worse.
        stays: share of these that differ whenever they are asked (the change helped some questions
            and hurt as many others); the others differ by the models' own noise.
        together: share of those differing questions that fall the same way as their page.
        loss: share of questions lost for good, a true change for the worse.
        rate: share that the first run gets right.
    """

    pages: int
    per_page: int
    discordant: float = 0.15
    stays: float = 0.0
    together: float = 0.0
    loss: float = 0.0
    rate: float = 0.8


@dataclass(frozen=True)
class Rates:
    """What a gate said in ``runs`` simulations, as shares of them.

    ``alarm``: got worse at the first ask. ``alarm_again``: still, after fresh answers.
    ``passed``, ``passed_again``: no worse than the margin. ``quarter``, ``quarter_again``: share of
    quarters of 13 weekly gates with at least one alarm, simulated as such, each week anew.
    """

    runs: int
    alarm: float
    alarm_again: float
    passed: float
    passed_again: float
    quarter: float
    quarter_again: float

    def error(self, share: float) -> float:
        """Return the Monte-Carlo standard error of a share of the runs."""
        return float(np.sqrt(share * (1 - share) / self.runs))


def simulate(world: World, *, quarters: int, margin: float = MARGIN, seed: int = 0) -> Rates:
    """Return a gate's rates over ``quarters`` x 13 independent gates of one confirmatory metric.

    Every gate draws its questions' answers anew; only a gate that said *got worse*, or could not
    tell, is asked again, as `rag_bench.releases.again` does: the questions that differed, in both
    runs.
    """
    rng = np.random.default_rng(seed)
    words = [gate_words(world, margin, rng) for _ in range(quarters * WEEKS)]
    first = np.array([one == GOT_WORSE for one, _ in words]).reshape(quarters, WEEKS)
    after = np.array([one == GOT_WORSE for _, one in words]).reshape(quarters, WEEKS)
    return Rates(
        quarters * WEEKS,
        float(first.mean()),
        float(after.mean()),
        float(np.mean([one == NO_WORSE for one, _ in words])),
        float(np.mean([one == NO_WORSE for _, one in words])),
        float(first.any(axis=1).mean()),
        float(after.any(axis=1).mean()),
    )


def gate_words(world: World, margin: float, rng: np.random.Generator) -> tuple[Word, Word]:
    """Return the word of one gate, and the word after its cases were asked again."""
    n = world.pages * world.per_page
    page = np.repeat(np.arange(world.pages), world.per_page)
    differs = rng.random(n) < world.discordant
    stays = differs & (rng.random(n) < world.stays)
    lost = rng.random(n) < world.loss
    direction = rng.integers(0, 2, world.pages)[page]
    falls = np.where(rng.random(n) < world.together, direction, rng.integers(0, 2, n))
    right = rng.random(n) < world.rate

    def answers(toss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both runs' yes/no: where they differ ``toss`` says who is right."""
        a = np.where(differs, toss == 0, right)
        b = np.where(differs, toss == 1, right)
        return np.where(lost, 1.0, a), np.where(lost, 0.0, b)

    a, b = answers(falls)
    first = _word(a, b, page, margin)
    if first == NO_WORSE:
        return first, first
    # What only noise told apart falls anew, and need not differ again.
    tossed = rng.integers(0, 2, (2, n))
    noisy = differs & ~stays & ~lost
    fresh_a = np.where(noisy, tossed[0], a)
    fresh_b = np.where(noisy, tossed[1], b)
    pooled_a, pooled_b = (a + fresh_a) / 2, (b + fresh_b) / 2
    return first, word_after(
        _word(fresh_a, fresh_b, page, margin), _word(pooled_a, pooled_b, page, margin)
    )


def _word(a: np.ndarray, b: np.ndarray, page: np.ndarray, margin: float) -> Word:
    found = compare_paired(
        {str(n): float(value) for n, value in enumerate(a)},
        {str(n): float(value) for n, value in enumerate(b)},
        {str(n): int(one) for n, one in enumerate(page)},
        yes_no=bool(np.isin([a, b], (0.0, 1.0)).all()),
        scale=(0.0, 1.0),
    )
    return decide(found, found.p_value, higher_is_better=True, margin=margin, scale=(0.0, 1.0)).word
