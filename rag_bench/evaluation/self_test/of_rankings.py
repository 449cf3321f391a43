"""Rankings: the ranks that are stated, who is told apart, who is first, and the first's luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from rag_bench.evaluation.paired.places import places
from rag_bench.evaluation.ranking import Cell as Scored
from rag_bench.evaluation.ranking import rank
from rag_bench.evaluation.self_test.claims import APPROXIMATE, SOME
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import Pages

Truth = Callable[[np.random.Generator], np.ndarray]
#: Points of a score by which the corrected lead of the first may be too large still.
_LEFT = 0.03
#: By how much a stated probability to be the best may be too high, over all samples.
_OFF = 0.05


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [*_places(), *_told_apart()]


def _scores(rng: np.random.Generator, truth: np.ndarray, pages: Pages) -> np.ndarray:
    """Return scores (models, questions): questions are hard for all, and pages suit some models."""
    shape = (len(truth), pages.n, pages.questions)
    hard = 0.7 * rng.standard_normal((1, pages.n, 1)) + 0.5 * rng.standard_normal((1, *shape[1:]))
    page, own = rng.standard_normal((*shape[:2], 1)), rng.standard_normal(shape)
    return (truth[:, None, None] + hard + 0.3 * page + 0.5 * own).reshape(len(truth), -1)


def _normal(k: int, spread: float) -> Truth:
    return lambda rng: spread * rng.standard_normal(k)


def _places() -> list[Cell]:
    worlds: list[tuple[str, Truth]] = [
        ("2 models, true means vary by 0.1", _normal(2, 0.1)),
        ("6 models that are alike", lambda _: np.zeros(6)),
        ("6 models in steps of 0.05", lambda _: 0.05 * np.arange(6)),
        ("6 models, true means vary by 0.1", _normal(6, 0.1)),
        ("6 models, true means vary by 0.3", _normal(6, 0.3)),
    ]

    def look(rng: np.random.Generator, *, drawn: Truth) -> Mapping[str, Seen]:
        truth = drawn(rng)
        names = [f"m{number}" for number in range(len(truth))]
        scores = _scores(rng, truth, SOME)
        found = places(dict(zip(names, scores, strict=True)), SOME.labels)
        if found is None:
            return dict.fromkeys(("ranks", "first", "lead"))
        stated = [found.by_model[name] for name in names]
        above = (truth[None, :] > truth[:, None] + 1e-9).sum(axis=1)
        below = (truth[None, :] < truth[:, None] - 1e-9).sum(axis=1)
        means = scores.mean(axis=1)
        best = int(means.argmax())
        lead = (means[best] - means.mean()) - (truth[best] - truth.mean())
        ranks = zip(stated, above.tolist(), below.tolist(), strict=True)
        return {
            "ranks": all(
                one.low <= 1 + up and one.high >= len(truth) - down for one, up, down in ranks
            ),
            "first": stated[best].first - float(above[best] == 0),
            "lead": float(lead) - found.optimism,
        }

    made = []
    for name, drawn in worlds:
        world = f"{name}, {SOME}"
        seen = partial(look, drawn=drawn)
        of_world = partial(Cell, world=world, look=seen, drawn_as=f"ranks: {world}")
        of_estimate = partial(of_world, promised=0.0, kind="estimate")
        made.append(
            of_world(
                "ranks of all models at once (max-T)",
                promised=0.95,
                at_least=True,
                tolerance=APPROXIMATE,
                part="ranks",
            )
        )
        if "alike" not in name:
            what = "probability of the first to be the best, less how often it is"
            # Too bold is a fault; too careful is none.
            made.append(of_estimate(what, tolerance=_OFF, part="first", at_least=True))
        what = "lead of the first less its luck: points that it is too large still"
        made.append(of_estimate(what, tolerance=_LEFT, part="lead"))
    return made


def _told_apart() -> list[Cell]:
    def look(rng: np.random.Generator, *, k: int) -> Seen:
        names = [f"{number:05}" for number in range(SOME.size)]
        scored: dict[tuple[str, str | None], Scored] = {}
        for number, scores in enumerate(_scores(rng, np.zeros(k), SOME)):
            of_cases = dict(zip(names, scores.tolist(), strict=True))
            scored[f"m{number}", "judge"] = Scored(
                float(scores.mean()), SOME.size, SOME.size, of_cases
            )
        found = rank(scored, dict(zip(names, SOME.labels, strict=True)), judges=["judge"])
        return any(one.tied is False for one in found.standings)

    return [
        Cell(
            "any model told from the first though all are alike, alpha .05",
            f"{k} models, {SOME}",
            0.05,
            partial(look, k=k),
            at_least=True,
            tolerance=APPROXIMATE / 2,
        )
        for k in (2, 6)
    ]
