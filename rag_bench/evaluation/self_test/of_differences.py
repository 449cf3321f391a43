"""Differences of two runs: their intervals, tests and what they could show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from rag_bench.evaluation.comparison import Comparison, compare_paired, compare_with_baseline
from rag_bench.evaluation.paired.causes import corners, shares
from rag_bench.evaluation.paired.false_alarms import World, gate_words
from rag_bench.evaluation.paired.words import GOT_WORSE, MARGIN, NO_WORSE
from rag_bench.evaluation.self_test.claims import (
    ALONE,
    APPROXIMATE,
    FEW,
    SOME,
    held,
    holds,
)
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import (
    HIGHEST,
    LOWEST,
    Pages,
    TwoGraders,
    before_and_after,
    changes,
)

_DISCORDANT = 0.15
_SCALE = (float(LOWEST), float(HIGHEST))
_GRADES = TwoGraders(noise=(0.6, 0.6), shift=-0.3)
#: Per gate, where nothing changed or just the margin was lost; of the interval's one end.
_OF_A_GATE = 0.025


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [*_differences(), *_graded(), *_causes(), *_families(), *_detectable(), *_gates()]


def _cases(pages: Pages, values: np.ndarray) -> dict[str, float]:
    names = (f"{number:05}" for number in range(pages.size))
    return dict(zip(names, values.ravel().tolist(), strict=True))


def _clusters(pages: Pages) -> dict[str, int]:
    return {f"{number:05}": page for number, page in enumerate(pages.labels)}


def _differences() -> list[Cell]:
    def compared(
        rng: np.random.Generator, pages: Pages, discordant: float, difference: float
    ) -> tuple[float | None, float | None, float | None]:
        change = changes(rng, pages, discordant, difference)
        first, second = before_and_after(rng, change, 0.8)
        cases = [f"{number:05}" for number in range(change.size)]
        found = compare_paired(
            dict(zip(cases, first.tolist(), strict=True)),
            dict(zip(cases, second.tolist(), strict=True)),
            dict(zip(cases, pages.labels, strict=True)),
            yes_no=True,
            scale=(0.0, 1.0),
        )
        return found.difference.ci_low, found.difference.ci_high, found.p_value

    def holds(rng: np.random.Generator, *, pages: Pages, difference: float) -> bool | None:
        low, high, _ = compared(rng, pages, 0.15, difference)
        return held(low, high, difference)

    def cries(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        p = compared(rng, pages, 0.15, 0.0)[2]
        return None if p is None else p < 0.05

    worlds = (ALONE, FEW, SOME)
    return [
        *(
            Cell(
                f"difference of {difference:g} between paired rates, 15 % discordant",
                str(pages),
                0.95,
                partial(holds, pages=pages, difference=difference),
                at_least=True,
                tolerance=APPROXIMATE,
            )
            for difference in (0.0, -0.05)
            for pages in worlds
        ),
        *(
            Cell(
                "paired test where nothing changed, alpha .05",
                str(pages),
                0.05,
                partial(cries, pages=pages),
                at_least=True,
                tolerance=APPROXIMATE / 2,
            )
            for pages in worlds
        ),
    ]


def _graded() -> list[Cell]:
    truth = _GRADES.means[1] - _GRADES.means[0]
    same = TwoGraders(noise=(0.6, 0.6))

    def compared(rng: np.random.Generator, pages: Pages, world: TwoGraders) -> Comparison:
        first, second = world.draw(rng, pages)
        return compare_paired(
            _cases(pages, first), _cases(pages, second), _clusters(pages), scale=_SCALE
        )

    def difference(rng: np.random.Generator, *, pages: Pages) -> Seen:
        return holds(compared(rng, pages, _GRADES).difference, truth)

    def cries(rng: np.random.Generator, *, pages: Pages) -> Seen:
        p = compared(rng, pages, same).p_value
        return None if p is None else p < 0.05

    interval = f"difference of {truth:.2f} between paired grades 1 to 5, pages resampled"
    test = "paired test of grades where nothing changed, alpha .05"
    made: list[tuple[str, float, Callable[..., Seen], float]] = [
        (interval, 0.95, difference, APPROXIMATE),
        (test, 0.05, cries, APPROXIMATE / 2),
    ]
    return [
        Cell(
            group,
            str(pages),
            promised,
            partial(look, pages=pages),
            at_least=True,
            tolerance=tolerance,
        )
        for group, promised, look, tolerance in made
        for pages in (FEW, SOME)
    ]


def _causes() -> list[Cell]:
    # Two causes and what they do together, of which either is due half.
    effects = {frozenset(): 0.0, frozenset("a"): -0.2, frozenset("b"): 0.1}
    effects[frozenset("ab")] = -0.2 + 0.1 + 0.1

    def look(rng: np.random.Generator, *, pages: Pages) -> Seen:
        shared = 0.8 * rng.standard_normal(pages.size)
        names, scores = _clusters(pages), {}
        for corner in corners("ab"):
            page = rng.standard_normal((pages.n, 1)) * math.sqrt(pages.alike)
            own = rng.standard_normal((pages.n, pages.questions)) * math.sqrt(1 - pages.alike)
            scores[corner] = _cases(pages, effects[corner] + shared + 0.5 * (page + own).ravel())
        [first, _] = shares(scores, ["a", "b"], names)
        return holds(first.metric, -0.15)

    return [
        Cell(
            "part of a change that one of two causes has (Shapley)",
            str(pages),
            0.95,
            partial(look, pages=pages),
            at_least=True,
            tolerance=APPROXIMATE,
        )
        for pages in (FEW, SOME)
    ]


def _families() -> list[Cell]:
    def look(rng: np.random.Generator) -> Seen:
        # Six runs that are right equally often, page by page.
        rates = rng.beta(0.8 * 9, 0.2 * 9, (SOME.n, 1))
        runs = {
            f"run {number}": {
                "good": _cases(SOME, (rng.random((SOME.n, SOME.questions)) < rates).astype(float))
            }
            for number in range(6)
        }
        found = compare_with_baseline(runs, "run 0", _clusters(SOME), yes_no=("good",))
        return any(one.verdict != "cannot tell" for one in found)

    return [
        Cell(
            "any of five runs called other than their baseline (Holm), alpha .05",
            str(SOME),
            0.05,
            look,
            at_least=True,
            tolerance=APPROXIMATE / 2,
        )
    ]


def _detectable() -> list[Cell]:
    def yes_no(rng: np.random.Generator, *, pages: Pages) -> Seen:
        def compared(discordant: float, difference: float) -> Comparison:
            change = changes(rng, pages, discordant, difference)
            first, second = before_and_after(rng, change, 0.8).astype(float)
            return compare_paired(
                _cases(pages, first),
                _cases(pages, second),
                _clusters(pages),
                yes_no=True,
                scale=(0.0, 1.0),
            )

        stated = compared(_DISCORDANT, 0.0).minimum_detectable
        if stated is None:
            return None
        # A true difference makes pairs differ that agreed: half of it, where all fall one way.
        return _found(compared(min(1.0, _DISCORDANT + stated / 2), -stated))

    def scores(rng: np.random.Generator, *, pages: Pages) -> Seen:
        def compared(difference: float) -> Comparison:
            page = rng.standard_normal((pages.n, 1)) * math.sqrt(pages.alike)
            own = rng.standard_normal((pages.n, pages.questions)) * math.sqrt(1 - pages.alike)
            first = rng.standard_normal(pages.size)
            second = first + difference + 0.7 * (page + own).ravel()
            return compare_paired(_cases(pages, first), _cases(pages, second), _clusters(pages))

        stated = compared(0.0).minimum_detectable
        return None if stated is None else _found(compared(-stated))

    return [
        Cell(
            f"difference of {what} that is stated to be found in .8",
            str(pages),
            0.8,
            partial(look, pages=pages),
            at_least=True,
            tolerance=0.03,
            kind="power",
        )
        for what, look in (("yes and no", yes_no), ("scores", scores))
        for pages in (ALONE, SOME, Pages(40, 5, 0.2))
    ]


def _found(one: Comparison) -> bool:
    value = one.difference.value
    return one.p_value is not None and one.p_value < 0.05 and value is not None and value < 0


def _gates() -> list[Cell]:
    worlds = (
        ("200 pages x 1, noise", World(200, 1)),
        ("40 pages x 5, half of what differs stays", World(40, 5, stays=0.5, together=1 / 3)),
    )

    def same(rng: np.random.Generator, *, world: World) -> Mapping[str, Seen]:
        first, after = gate_words(world, MARGIN, rng)
        return {"first": first == GOT_WORSE, "after": after == GOT_WORSE}

    def lost(rng: np.random.Generator, *, world: World) -> Mapping[str, Seen]:
        first, after = gate_words(world, MARGIN, rng)
        return {"first": first == NO_WORSE, "after": after == NO_WORSE}

    found = []
    for name, world in worlds:
        gone = World(world.pages, world.per_page, stays=world.stays, loss=MARGIN)
        for group, look in (
            ("gate that fails though nothing changed", partial(same, world=world)),
            ("gate that passes though the margin was lost", partial(lost, world=gone)),
        ):
            # Who asks again has two chances to pass, and must fail twice.
            passes = "passes" in group
            for part, said, promised in (
                ("first", "at first", _OF_A_GATE),
                ("after", "after asking again", 2 * _OF_A_GATE if passes else _OF_A_GATE),
            ):
                found.append(
                    Cell(
                        f"{group}, {said}",
                        name,
                        promised,
                        look,
                        at_least=True,
                        tolerance=APPROXIMATE / 2,
                        part=part,
                        drawn_as=f"{group}: {name}",
                    )
                )
    return found
