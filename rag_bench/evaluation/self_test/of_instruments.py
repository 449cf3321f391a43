"""What watches the judges: the canary's alarm, and the bridge from one judge to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np

from rag_bench.evaluation.comparison import compare_paired
from rag_bench.evaluation.instrument.bridge import Bridge, Pair, bridge
from rag_bench.evaluation.instrument.canary import ALPHA, examine
from rag_bench.evaluation.paired.across import widened
from rag_bench.evaluation.self_test.claims import APPROXIMATE, FEW, SOME, held, holds, intervals
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import GRADES, HIGHEST, LOWEST, Pages, TwoGraders

_SCALE = (float(LOWEST), float(HIGHEST))
_CASES = 24
#: An old judge and a stricter new one.
_JUDGES = TwoGraders(noise=(0.5, 0.5), shift=-0.4)


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [*_canary(), *_bridge(), *_across()]


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
        found = _bridged(rng, pages)
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


def _across() -> list[Cell]:
    """A comparison over a bridge: the earlier side was scored by the old judge, the later one by
    the new, and nothing changed.
    """

    def look(rng: np.random.Generator, *, pages: Pages) -> Mapping[str, Seen]:
        link = _bridged(rng, SOME).link
        if link is None:
            return {"interval": None, "alarm": None}
        old, new = _JUDGES.draw(rng, pages)
        names = [f"{number:05}" for number in range(pages.size)]
        carried = [link.carried(score) for score in old.tolist()]
        found = widened(
            compare_paired(
                dict(zip(names, carried, strict=True)),
                dict(zip(names, new.tolist(), strict=True)),
                dict(zip(names, pages.labels, strict=True)),
            ),
            link.error_at(float(old.mean())),
        )
        p = found.p_value
        return {"interval": holds(found.difference, 0.0), "alarm": None if p is None else p < 0.05}

    made: list[Cell] = []
    for pages in (FEW, SOME):
        world = f"{pages}, a bridge of {SOME}"
        seen = partial(look, pages=pages)
        parts = [("difference between sides of two judges, over a bridge", "interval")]
        made += intervals(parts, world, seen, "across", pages)
        made.append(
            Cell(
                "test of sides of two judges where nothing changed, alpha .05",
                world,
                0.05,
                seen,
                at_least=True,
                tolerance=APPROXIMATE / 2,
                part="alarm",
                drawn_as=f"across: {world}",
            )
        )
    return made


def _bridged(rng: np.random.Generator, pages: Pages) -> Bridge:
    rows = zip(pages.labels, *_JUDGES.draw(rng, pages).tolist(), strict=True)
    pairs = [Pair("model", f"{n:05}", page, one, two) for n, (page, one, two) in enumerate(rows)]
    return bridge(pairs, scale=_SCALE)
