"""Is a judge still the same? The same requests asked again, against how it repeats itself.

Of every case there are draws: scores of the very same request at different times. If nothing has
changed, a case's draws are exchangeable, whatever the noise of the judge is: any of them might have
been the new ones. So the test permutes, case by case, which draws are the new ones (an exact
permutation test of exchangeability within blocks; Good 2005, "Permutation, Parametric and Bootstrap
Tests of Hypotheses", chapter 3; the p-value of random permutations by Phipson and Smyth 2010). A
judge without noise is found by few verdicts that moved, a noisy one by more.

Two things may change: the level (the new scores are higher or lower), and the verdicts without the
level (the new scores are farther from the old ones than the old ones from each other). Both are
tested, and Holm's correction makes one p of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.paired.p_values import holm
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric, Scale

if TYPE_CHECKING:
    import numpy as np

#: A weekly test at 1 % gives a false alarm about every second year.
ALPHA = 0.01
POWER = 0.8
#: Fewer cases cannot show anything at that level: no change of four verdicts would.
LEAST_CASES = 5
#: Asked unless somebody wants to see smaller changes, and at most: the simulation of what can be
#: seen grows with them.
USUAL_CASES, MOST_CASES = 30, 300
#: Draws of the reference that are used: the earliest, so that a slow drift is not followed.
MOST_REFERENCE = 4
_PERMUTATIONS = 4_999
_SIMULATED = 400
_SIMULATED_PERMUTATIONS = 999
_ROUNDING = 1e-9

Draws = Sequence[Sequence[float]]
"""Scores by case, then by draw; every case has as many."""


@dataclass(frozen=True)
class Canary:
    """What asking again has shown, in points of the rubric's scale.

    Attributes:
        n_cases: that have all draws.
        n_reference, n_new: draws of each.
        shift: mean of the new scores minus that of the reference, with a 95 % interval over cases.
        moved: cases whose new scores differ from all of the reference's.
        noise: mean distance of two draws of one case by the same judge: of the reference, or, if it
            has one only, of the new ones; None: both have one.
        distance: mean distance of a new draw to one of the reference.
        p_shift, p_scatter: that the level, and the verdicts, are the same.
        p: of both, by Holm.
        changed: p is below `ALPHA`.
        detectable: in how many cases the verdict has to move by one point, all in one direction,
            for this test to find it with a chance of 80 %; None: not even in all, or not asked.
    """

    n_cases: int
    n_reference: int
    n_new: int
    shift: Metric
    moved: int
    noise: float | None
    distance: float
    p_shift: float
    p_scatter: float
    p: float
    changed: bool
    detectable: int | None

    def as_json(self) -> dict[str, Any]:
        """Return it for the record."""
        return {**vars(self), "shift": self.shift.to_json(), "alpha": ALPHA}


def examine(
    reference: Draws, new: Draws, *, scale: Scale, seed: int = 0, plan: bool = True
) -> Canary:
    """Compare new draws with those of the reference, case by case.

    Args:
        reference: one or more draws of each case; the first `MOST_REFERENCE` are used.
        new: one or more draws of the same cases.
        scale: least and greatest score.
        seed: of the permutations.
        plan: also say what could be found (``detectable``), which takes most of the time.

    Raises ValueError for fewer than `LEAST_CASES` cases, or draws that are not as many everywhere.
    """
    import numpy as np

    old = np.asarray([list(row)[:MOST_REFERENCE] for row in reference], dtype=np.float64)
    now = np.asarray([list(row) for row in new], dtype=np.float64)
    if old.ndim != 2 or now.ndim != 2 or len(old) != len(now) or not now.size or not old.size:
        raise ValueError("each case needs as many draws as the others, old ones and new ones")
    if len(old) < LEAST_CASES:
        raise ValueError(f"{len(old)} cases are too few: {LEAST_CASES} at least")
    draws = np.concatenate([old, now], axis=1)
    places = _places(len(old), old.shape[1], now.shape[1], _PERMUTATIONS, seed)
    p_shift, p_scatter = (float(p[0]) for p in _p_values(draws[None], places))
    p = min(holm([p_shift, p_scatter]))
    width = scale[1] - scale[0]
    differences = (now.mean(axis=1) - old.mean(axis=1)).tolist()
    shift = mean_metric(differences, list(range(len(old))), scale=(-width, width), seed=seed)
    pool = old if old.shape[1] > 1 else now
    noise = [
        np.abs(pool[:, a] - pool[:, b]).mean() for a, b in combinations(range(pool.shape[1]), 2)
    ]
    return Canary(
        n_cases=len(old),
        n_reference=old.shape[1],
        n_new=now.shape[1],
        shift=shift,
        moved=int(
            sum(set(a).isdisjoint(b) for a, b in zip(old.tolist(), now.tolist(), strict=True))
        ),
        noise=float(np.mean(noise)) if noise else None,
        distance=float(np.abs(old[:, :, None] - now[:, None, :]).mean()),
        p_shift=p_shift,
        p_scatter=p_scatter,
        p=p,
        changed=p < ALPHA,
        detectable=detectable(pool, old.shape[1], now.shape[1], scale=scale, seed=seed)
        if plan
        else None,
    )


def detectable(
    pool: Draws | np.ndarray, n_reference: int, n_new: int, *, scale: Scale, seed: int = 0
) -> int | None:
    """Return in how many cases a verdict has to move by one point, all in one direction, for a
    change to be found with a chance of 80 %: by simulation, with the noise that ``pool`` has.

    Draws are picked at random of a case's own in the pool; of the moved cases a new one is a point
    lower (higher where it is the least already, which hides from the test of the level). So few
    draws scatter a little less than the judge does: the figure is the best that can be hoped for.
    """
    import numpy as np

    given = np.asarray(pool, dtype=np.float64)
    n = len(given)
    generator = np.random.default_rng([seed, n, n_reference, n_new])
    places = _places(n, n_reference, n_new, _SIMULATED_PERMUTATIONS, seed + 1)
    cases = np.arange(n)[None, :, None]

    def power(moved: int) -> float:
        size = (_SIMULATED, n, n_reference + n_new)
        draws = given[cases, generator.integers(given.shape[1], size=size)]
        order = generator.random((_SIMULATED, n)).argsort(axis=1).argsort(axis=1) < moved
        new = draws[:, :, n_reference:]
        lower = np.where(new - 1 < scale[0], new + 1, new - 1)
        draws[:, :, n_reference:] = np.where(order[:, :, None], lower, new)
        return float((p_of_worlds(draws, places) < ALPHA).mean())

    low, high = 0, n
    if power(n) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def p_of_worlds(draws: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the p that decides (Holm's least of two) of each of several worlds, (worlds,).

    ``draws``: (worlds, cases, draws), the new ones last; ``places``: of `permutations`.
    """
    import numpy as np

    return np.minimum(1.0, 2 * np.asarray(_p_values(draws, places)).min(axis=0))


def permutations(n: int, n_reference: int, n_new: int, *, seed: int = 0) -> np.ndarray:
    """Return which draws are called new, for `p_of_worlds` over many worlds."""
    return _places(n, n_reference, n_new, _SIMULATED_PERMUTATIONS, seed)


@lru_cache(maxsize=4)
def _places(n: int, n_old: int, n_new: int, permutations: int, seed: int) -> np.ndarray:
    """Return which draws are called new, (1 + permutations, n, draws) of bool: as it was, first.

    Kept, as all metrics of a judge are examined by the same draws; read-only.
    """
    import numpy as np

    generator = np.random.default_rng([seed, n, n_old, n_new, permutations])
    ranks = generator.random((permutations, n, n_old + n_new)).argsort(axis=2).argsort(axis=2)
    observed = np.zeros((1, n, n_old + n_new), dtype=bool)
    observed[:, :, n_old:] = True
    places = np.concatenate([observed, ranks >= n_old])
    places.flags.writeable = False
    return places


def _p_values(draws: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-values of level (two-sided) and scatter (one-sided) of each of several worlds.

    ``draws``: (worlds, cases, draws); ``places``: of `_places`.
    """
    import numpy as np

    worlds, _, k = draws.shape
    n_new = int(places[0, 0].sum())
    weights = np.where(places, 1.0 / n_new, -1.0 / (k - n_new)).reshape(len(places), -1)
    shifts = np.abs(draws.reshape(worlds, -1) @ weights.T)
    pairs = list(combinations(range(k), 2))
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    apart = np.abs(draws[:, :, first] - draws[:, :, second]).reshape(worlds, -1)
    across = (places[:, :, first] != places[:, :, second]).reshape(len(places), -1)
    scatters = apart @ across.T.astype(np.float64)
    found = []
    for sums in (shifts, scatters):
        as_extreme = (sums[:, 1:] >= sums[:, :1] - _ROUNDING).sum(axis=1)
        found.append((1 + as_extreme) / len(places))
    return found[0], found[1]
