"""What watches the judges: the canary's alarm, and the bridge from one judge to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from rag_bench.evaluation.instrument.bridge import Pair, bridge
from rag_bench.evaluation.instrument.canary import ALPHA, examine
from rag_bench.evaluation.self_test.claims import FEW, SOME, held, holds, intervals
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import GRADES, HIGHEST, LOWEST, Pages, TwoGraders

_SCALE = (float(LOWEST), float(HIGHEST))
_CASES = 24
#: An old judge and a stricter new one.
_JUDGES = TwoGraders(noise=(0.5, 0.5), shift=-0.4)


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [*_canary(), *_bridge()]


def _canary() -> list[Cell]:
    def look(rng: np.random.Generator) -> Mapping[str, Seen]:
        worth = rng.uniform(LOWEST, HIGHEST, (_CASES, 1))
        draws = np.clip(np.rint(worth + 0.4 * rng.standard_normal((_CASES, 5))), *_SCALE)
        found = examine(draws[:, :3].tolist(), draws[:, 3:].tolist(), scale=_SCALE, plan=False)
        return {"alarm": found.changed, "shift": holds(found.shift, 0.0)}

    world = f"{_CASES} cases, 3 draws and 2 new ones, a judge that wavers"
    of_cases = Pages(_CASES, 1, 0.0)
    return [
        Cell(
            f"canary's alarm where nothing changed, alpha {ALPHA:g}",
            world,
            ALPHA,
            look,
            at_least=True,
            tolerance=0.002,
            part="alarm",
            drawn_as=f"canary: {world}",
        ),
        *intervals(
            [("shift of a judge that has not changed", "shift")], world, look, "canary", of_cases
        ),
    ]


def _bridge() -> list[Cell]:
    table = _JUDGES.table
    old, new = _JUDGES.means
    of_old, of_new = (
        math.sqrt(float(table.sum(axis=axis) @ (GRADES - mean) ** 2))
        for axis, mean in ((1, old), (0, new))
    )
    at = 4.0
    linear = new + of_new / of_old * (at - old)
    shift, exact = new - old, float(np.trace(table))

    def look(rng: np.random.Generator, *, pages: Pages) -> Mapping[str, Seen]:
        rows = zip(pages.labels, *_JUDGES.draw(rng, pages).tolist(), strict=True)
        found = bridge(
            [Pair("model", f"{n:05}", page, one, two) for n, (page, one, two) in enumerate(rows)],
            scale=_SCALE,
        )
        _, low, high = (None, None, None) if found.link is None else found.link.at(at)
        return {
            "link": held(low, high, linear),
            "shift": holds(found.shift, shift),
            "exact": holds(found.exact, exact),
        }

    parts = [
        ("mean of 4 carried over a bridge between judges", "link"),
        ("shift between two judges", "shift"),
        ("share of the same score from two judges", "exact"),
    ]
    found: list[Cell] = []
    for pages in (FEW, SOME):
        found += intervals(parts, str(pages), partial(look, pages=pages), "bridge", pages)
    return found
