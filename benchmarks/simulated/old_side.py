"""How often a gate says that the old side is no longer what was measured; figures for the docs.

200 questions, grades from 1 to 5 or yes and no; only gates whose stored scores say "worse" count,
as only these ask the old side's other questions. By the ordinary test of the chosen questions at
5 %, by those that new scores would have chosen, and by all questions, the latter two at `LEVEL`.

    python benchmarks/simulated/old_side.py
"""

from __future__ import annotations

import math

import numpy as np

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.paired.asked_again import cases_that_decide
from rag_bench.evaluation.paired.reproduced import LEVEL, against_stored, cases_that_count

N, METRICS = 200, frozenset({"m"})
By = dict[str, dict[str, float]]


def by_case(scores: np.ndarray) -> By:
    """Return scores by case and metric."""
    return {str(n): {"m": float(score)} for n, score in enumerate(scores)}


def grades(at: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return whole grades that scatter around where answers are."""
    found: np.ndarray = np.clip(np.round(at + noise * rng.standard_normal(N)), 1, 5)
    return found


def yes_no(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return noughts and ones."""
    found: np.ndarray = (rng.random(N) < rate).astype(float)
    return found


def sides(
    kind: str, noise_b: float, lost: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stored scores of both sides and the old side's new ones. A ``lost`` share of the
    answers is worse since a model was swapped, before the new side was measured.
    """
    worse = rng.random(N) < lost
    if kind == "grades":
        at = np.full(N, 3.0)
        now = np.where(worse, 1.5, at)
        return grades(at, 0.6, rng), grades(now, noise_b, rng), grades(now, 0.6, rng)
    rate = rng.beta(2, 1, N)
    now = np.where(worse, 0.0, rate)
    return yes_no(rate, rng), yes_no(now, rng), yes_no(now, rng)


def told(a: np.ndarray, b: np.ndarray, again: np.ndarray) -> tuple[bool, bool, bool]:
    """Return what each of the three tests says."""
    stored, other, fresh = by_case(a), by_case(b), by_case(again)
    pages = {case: case for case in stored}
    chosen = cases_that_decide(stored, other, METRICS)
    renewed = {case: fresh[case] for case in chosen}
    ordinary = compare_paired(
        {case: stored[case]["m"] for case in chosen},
        {case: fresh[case]["m"] for case in chosen},
        pages,
    )
    counting = cases_that_count(other, renewed, METRICS)
    few = against_stored("m", stored, renewed, sorted(counting), pages)
    every = against_stored("m", stored, fresh, sorted(stored), pages)
    p, p_few, p_every = (
        1.0 if one.p_exact is None else one.p_exact for one in (ordinary, few, every)
    )
    return p < 0.05, p_few < LEVEL, p_every < LEVEL


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    print("scores  new side scatters  lost  gates  ordinary  chosen  all")
    for kind, noise_b, lost, tries in (
        ("grades", 0.6, 0.0, 40_000),
        ("grades", 0.0, 0.0, 40_000),
        ("yes/no", 1.0, 0.0, 40_000),
        *(("grades", 0.6, lost, 400) for lost in (0.1, 0.2, 0.3)),
        *(("yes/no", 1.0, lost, 400) for lost in (0.1, 0.2, 0.3)),
    ):
        found = []
        for _ in range(tries):
            a, b, again = sides(kind, noise_b, lost, rng)
            apart = b - a
            if apart.mean() / apart.std(ddof=1) * math.sqrt(N) <= -1.96:
                found.append(told(a, b, again))
        shares = [sum(one[n] for one in found) / len(found) for n in range(3)]
        said = "  ".join(f"{share:.3f}" for share in shares)
        print(f"{kind}  {noise_b > 0!s:5}  {lost:g}  {len(found)}  {said}", flush=True)
