"""An old side that is no longer what was measured: noticed, its cause named, no loss hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from judged_twice import AFTER, BEFORE, MODEL, OLD, PAGES, QUALITY, gold
from measured import metric, store
from sqlalchemy import Engine

from rag_bench.evaluation.instrument.served import FIELD
from rag_bench.evaluation.paired.words import (
    ANEW,
    CANNOT_TELL,
    NOTHING_SEEN,
    STANDS,
    WORLD_CHANGED,
)
from rag_bench.languages.translated import sentence
from rag_bench.releases.again import Fresh, Released, controls, gate_after, questions
from rag_bench.releases.asked import Again, Whole
from rag_bench.releases.reproducing import SideName, reproduction
from rag_bench.reporting.compared.gate import gate_sides
from rag_bench.reporting.compared.policy import DEFAULT_RULES
from rag_bench.reporting.compared.several import of_several
from rag_bench.store.evaluations import Case
from rag_bench.store.evaluations.comparing import find_evaluation

NAMED = f"3.{QUALITY} by {OLD}"
N = PAGES * 2
DAY = "2026-03-01T00:00:00+00:00"
#: Two questions a page: of the first the old side is two grades better, of the second as good.
STORED_A = [5.0, 4.0] * PAGES
STORED_B = [3.0, 4.0] * PAGES


def served(model: str, by: str) -> dict[str, Any]:
    one = {"model": by, "system_fingerprint": None, "calls": 9, "first": DAY, "last": DAY}
    return {FIELD: {model: [one]}}


class Gate:
    """Two sides in the store, with what they give when they are asked again."""

    def __init__(self, engine: Engine, second: Sequence[float] = STORED_B) -> None:
        self.engine, self.data = engine, gold(engine)
        a, b = self.stored(STORED_A, BEFORE), self.stored(second, AFTER)
        of_a, of_b = ([self.found(n)] for n in (a, b))
        sides = (of_several(engine, "model", "m", of) for of in (of_a, of_b))
        first, last = (side for side in sides if side is not None)
        self.a, self.b = a, b
        self.sides = Released(first, last, of_a, of_b)
        self.first = gate_sides(engine, first, last, DEFAULT_RULES)
        [self.asked] = questions(self.first, self.sides)

    def found(self, number: int) -> Any:
        with self.engine.connect() as connection:
            return find_evaluation(connection, number)

    def stored(
        self,
        scores: Sequence[float] | Mapping[str, float],
        settings: str,
        *,
        by: str = "g1-2026-01",
        chunk: str = "c1",
        judged_by: str = "j1-2026-01",
    ) -> int:
        if not isinstance(scores, Mapping):
            # The questions of `gold` are four a page; every second of them is asked here.
            scores = {f"i{2 * n}": value for n, value in enumerate(scores)}
        answers = store(
            self.engine,
            "3",
            "answers",
            {},
            cases=[Case(case, answer="да", retrieved=[{"chunk_hash": chunk}]) for case in scores],
            generation=MODEL,
            dataset_id=self.data,
            settings=settings,
            inputs=served(MODEL, by),
        )
        cases = [Case(case, scores={QUALITY: value}) for case, value in scores.items()]
        inputs = {"answers_evaluation": answers.id, **served(OLD, judged_by)}
        return store(
            self.engine,
            "3",
            "scores",
            {QUALITY: metric(4.0)},
            cases=cases,
            generation=MODEL,
            judge=OLD,
            dataset_id=self.data,
            settings=settings,
            inputs=inputs,
        ).id

    def fresh(self, scores: Mapping[SideName, Mapping[str, float]], **how: Any) -> Fresh:
        """Store what each side gives now, and return it as asking again does."""
        made: list[tuple[SideName, Any, int]] = []
        for side, of in scores.items():
            number = self.stored(of, f"{side}{side}ff0123456789ab", **(how if side == "a" else {}))
            made.append((side, self.found(self.a if side == "a" else self.b), number))
        named = {
            side: {case: {NAMED: value} for case, value in scores.get(side, {}).items()}
            for side in ("a", "b")
        }
        return Fresh(named, made)

    def of(self, side: SideName) -> dict[str, float]:
        cases = (self.sides.a if side == "a" else self.sides.b).cases
        return {case.asked.case_id: case.scores[NAMED] for case in cases}


@pytest.fixture
def world(engine: Engine) -> Gate:
    return Gate(engine)


def test_a_broken_world_is_said_and_the_stored_loss_stands(world: Gate) -> None:
    assert world.first.outcome == "failed"
    assert len(world.asked.cases) == PAGES
    broken = dict.fromkeys(world.asked.cases, 1.0)
    fresh = world.fresh({"a": broken, "b": broken}, by="g1-2026-06", chunk="c9")
    found = reproduction(world.engine, world.sides.a, world.sides.b, fresh)
    # Without it the gate lets go of the loss: both are as bad today.
    hidden = gate_after(world.engine, world.sides, world.first, DEFAULT_RULES, fresh.scores)
    assert hidden.outcome == "held"
    assert hidden.metrics[0].metric.decision.word == CANNOT_TELL
    told = gate_after(
        world.engine, world.sides, world.first, DEFAULT_RULES, fresh.scores, found.metrics
    )
    assert told.outcome == "failed"
    assert told.metrics[0].reason == f"got worse {STANDS}"
    by_side = {one.side: one for one in found.readings}
    assert (by_side["a"].stored, by_side["a"].fresh) == (5.0, 1.0)
    assert by_side["a"].comparison.difference.n_scored == PAGES
    assert (by_side["a"].reproduced, by_side["b"].reproduced) == (False, False)
    assert found.sentences == [
        f"The old side no longer gives its stored scores by {NAMED}: 5.000 when it was measured, "
        "1.000 asked again (40 cases of 40 pages that tell; p = 0.0002).",
        f"The new side no longer gives its stored scores by {NAMED}: 3.000 when it was measured, "
        "1.000 asked again (40 cases of 40 pages that tell; p = 0.0002).",
        WORLD_CHANGED,
        f"Known: {MODEL} is answered for by g1-2026-06 now, by g1-2026-01 then.",
        "Known: 40 of 40 questions are given other chunks than then.",
        ANEW["model"],
        ANEW["chunks"],
    ]
    for line in found.sentences:
        assert sentence(line, "ru") != line, line
    note = Again({"calls": 1, "most_calls": 1, "cost_usd": 0.0, "most_usd": 0.0}, True)
    note.reproduction = found
    assert set(found.sentences) <= set(note.lines())
    assert note.as_json()["reproduction"]["world_changed"] is True


def test_a_release_never_passes_by_answers_of_another_world(engine: Engine) -> None:
    """A loss that cannot be told yet must not become "no worse" because both are broken now."""
    # Eight pages lost and ten gained less: too few to tell.
    second = [STORED_A[n] + (-1.0 if n < 16 else 1.0 if n > 60 and n % 2 else 0) for n in range(N)]
    world = Gate(engine, second)
    assert (world.first.outcome, world.first.metrics[0].outcome) == ("held", "held")
    broken = dict.fromkeys(world.asked.cases, 1.0)
    fresh = world.fresh({"a": broken, "b": broken})
    found = reproduction(world.engine, world.sides.a, world.sides.b, fresh)
    told = gate_after(
        world.engine, world.sides, world.first, DEFAULT_RULES, fresh.scores, found.metrics
    )
    assert told.outcome == "held"
    assert told.metrics[0].reason == f"cannot tell {STANDS}"
    assert NOTHING_SEEN in found.sentences
    assert ANEW["unknown"] in found.sentences


def test_the_other_cases_tell_what_the_chosen_ones_cannot(world: Gate) -> None:
    """Today's model gives the old side just what the new one has: no chosen case says anything."""
    swapped = {"a": dict.fromkeys(world.asked.cases, 3.0)}
    swapped["b"] = dict(swapped["a"])
    fresh = world.fresh(swapped)  # type: ignore[arg-type]
    alone = reproduction(world.engine, world.sides.a, world.sides.b, fresh)
    assert [one.reproduced for one in alone.readings if one.side == "a"] == [None]
    assert alone.sentences == []
    [rest] = controls(world.first, world.sides, [world.asked])
    assert rest.sides == ("a",)
    assert sorted({*rest.cases, *world.asked.cases}) == sorted(world.of("a"))
    assert not set(rest.cases) & set(world.asked.cases)
    others = world.fresh({"a": {case: world.of("a")[case] for case in rest.cases}})
    found = reproduction(world.engine, world.sides.a, world.sides.b, fresh, others)
    [reading] = [one for one in found.readings if one.side == "a"]
    # All eighty: forty fell from 5 to 3, forty stayed at 4.
    assert (reading.stored, reading.fresh) == (4.5, 3.5)
    assert reading.comparison.difference.n_scored == N
    assert found.metrics == {NAMED}
    told = gate_after(
        world.engine, world.sides, world.first, DEFAULT_RULES, fresh.scores, found.metrics
    )
    assert told.outcome == "failed"


def test_a_side_that_gives_its_scores_again_lets_fresh_answers_decide(world: Gate) -> None:
    again = {case: world.of("a")[case] for case in world.asked.cases}
    fresh = world.fresh({"a": again, "b": again}, judged_by="j1-2026-06")
    [rest] = controls(world.first, world.sides, [world.asked])
    others = world.fresh({"a": {case: world.of("a")[case] for case in rest.cases}})
    found = reproduction(world.engine, world.sides.a, world.sides.b, fresh, others)
    [a] = [one for one in found.readings if one.side == "a"]
    assert a.reproduced is True
    # What is known to have changed is told all the same.
    assert found.known[0].cause == "judge"
    assert f"Known: {OLD} is answered for by j1-2026-06 now, by j1-2026-01 then." in found.sentences


def test_where_no_loss_is_proven_nothing_more_is_asked(engine: Engine) -> None:
    second = [STORED_A[n] - (1.0 if n < 8 else 0.0) for n in range(N)]
    world = Gate(engine, second)
    assert world.first.outcome == "held"
    assert controls(world.first, world.sides, [world.asked]) == []


def test_the_price_of_the_old_side_stands_beside() -> None:
    price = {"calls": 10, "most_calls": 20, "cost_usd": 0.1, "most_usd": 0.2}
    note = Again(price, n_cases=5, why_not="only the price was asked for.", whole=Whole(7, price))
    assert note.as_json()["old_side"] == {
        "asked": False,
        "cases": 7,
        "why_not": None,
        "price": price,
    }
    assert any(
        line.startswith("7 other cases of the old side are asked if") for line in note.lines()
    )
