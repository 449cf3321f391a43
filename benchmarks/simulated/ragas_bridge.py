"""Would RAGAS' scores cross a bridge between two judges? Not from a side that is worse: simulated.

Half of the answers are wholly supported, the others in part. A judge splits an answer into
statements and supports each with probability p^strict, where the old judge's ``strict`` is 1: a
stricter one takes little from good answers and much from bad ones. A bridge is built on 200
answers; then a side that is worse by ``drop`` is scored by both: the true difference is nought.

    python benchmarks/simulated/ragas_bridge.py
"""

from __future__ import annotations

import numpy as np

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.instrument.bridge import Pair, bridge
from rag_bench.evaluation.paired.across import widened

N, RUNS = 200, 300


def supported(drop: float, rng: np.random.Generator) -> np.ndarray:
    """Return how likely a statement of each answer is supported."""
    whole = rng.random(N) < 0.55
    found: np.ndarray = np.clip(np.where(whole, 1.0, rng.beta(3, 1.5, N)) - drop, 0, 1)
    return found


def scored(
    p: np.ndarray, statements: np.ndarray, strict: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the share of each answer's statements that a judge supports."""
    found: np.ndarray = rng.binomial(statements, p**strict) / statements
    return found


def held(strict: float, drop: float, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether the interval across the bridge holds nought, and whether it says "worse"."""
    p, statements = supported(0.0, rng), 1 + rng.poisson(3, N)
    old, new = (scored(p, statements, one, rng) for one in (1.0, strict))
    pairs = [Pair("m", str(i), i, float(old[i]), float(new[i])) for i in range(N)]
    link = bridge(pairs, scale=(0.0, 1.0)).link
    assert link is not None
    p, statements = supported(drop, rng), 1 + rng.poisson(3, N)
    old, new = (scored(p, statements, one, rng) for one in (1.0, strict))
    found = compare_paired(
        {str(i): link.carried(float(old[i])) for i in range(N)},
        {str(i): float(new[i]) for i in range(N)},
        {str(i): i for i in range(N)},
        scale=(-1.0, 2.0),
    )
    difference = widened(found, link.error_at(float(old.mean()))).difference
    low, high = difference.ci_low, difference.ci_high
    assert low is not None
    assert high is not None
    return low <= 0 <= high, high < 0


if __name__ == "__main__":
    rng = np.random.default_rng(5)
    print("strict  worse by  holds nought  says worse")
    for strict in (1.0, 2.0, 3.0):
        for drop in (0.0, 0.1, 0.2):
            told = [held(strict, drop, rng) for _ in range(RUNS)]
            share, worse = (sum(one[n] for one in told) / RUNS for n in (0, 1))
            print(f"{strict:6g}  {drop:8g}  {share:12.2f}  {worse:10.2f}")
