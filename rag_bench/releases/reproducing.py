"""Does what is released still give its stored scores? Told from the fresh answers of a gate.

A gate asks both sides anew by today's models. Where a side no longer gives what is stored of it,
the world has changed and not the change under test, and fresh answers of that world say nothing of
the stored comparison: neither that a loss was chance, nor that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.evaluation.comparison import Comparison
from rag_bench.evaluation.instrument.served import differ, served_of
from rag_bench.evaluation.paired.p_values import holm
from rag_bench.evaluation.paired.reproduced import (
    LEVEL,
    ByMetric,
    against_stored,
    cases_that_count,
)
from rag_bench.evaluation.paired.words import ANEW, NOTHING_SEEN, SIDES, WORLD_CHANGED, World
from rag_bench.evaluation.precision import published
from rag_bench.reporting.compared.shapes import number
from rag_bench.reporting.instruments import asked_after, in_words
from rag_bench.store.evaluations.canaries import Change, changes
from rag_bench.store.evaluations.comparing import EvaluationToCompare, find_evaluation
from rag_bench.store.evaluations.finding import cases_of
from rag_bench.store.evaluations.instruments import Measured

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.compared.sides import Side

SideName = Literal["a", "b"]


@dataclass(frozen=True)
class Fresh:
    """What asking again gave.

    ``scores``: by side, then by case, the new scores by the comparison's names. ``made``: the
    evaluations that were asked again, each with its side and the number of what it gave.
    """

    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    made: Sequence[tuple[SideName, EvaluationToCompare, int]]


@dataclass(frozen=True)
class Pair:
    """An evaluation of a side, and what it gave when a part of it was measured anew."""

    side: SideName
    stored: EvaluationToCompare
    fresh: EvaluationToCompare


@dataclass(frozen=True)
class Reading:
    """A side's new scores by a metric against its stored ones, new minus stored.

    ``stored``, ``fresh``: means over the cases that tell. ``p_adjusted``: Holm's, over all metrics
    and sides; None where fewer than two pages tell anything.
    """

    side: SideName
    metric: str
    stored: float | None
    fresh: float | None
    comparison: Comparison
    p_adjusted: float | None

    @property
    def reproduced(self) -> bool | None:
        """Whether nothing shows that the side gives other scores now; None: no case tells."""
        return None if self.p_adjusted is None else self.p_adjusted >= LEVEL

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        found = self.comparison
        return {
            "side": self.side,
            "metric": self.metric,
            "reproduced": self.reproduced,
            "stored": number(self.stored),
            "fresh": number(self.fresh),
            "n_cases": found.difference.n_scored,
            "n_pages": found.n_clusters,
            "p_adjusted": number(self.p_adjusted),
        }

    @property
    def in_words(self) -> str:
        """Say that it is not reproduced."""
        assert self.stored is not None
        assert self.fresh is not None
        assert self.p_adjusted is not None
        n, pages = self.comparison.difference.n_scored, self.comparison.n_clusters
        p = "p < 0.0001" if self.p_adjusted < 0.0001 else f"p = {self.p_adjusted:.4f}"
        return (
            f"{SIDES[self.side]} no longer gives its stored scores by {self.metric}: "
            f"{published(self.stored):.3f} when it was measured, {published(self.fresh):.3f} asked "
            f"again ({n} cases of {pages} pages that tell; {p})."
        )


@dataclass(frozen=True)
class Known:
    """Something that is known to be other than when a side was measured."""

    side: SideName
    cause: World
    in_words: str


@dataclass(frozen=True)
class Reproduction:
    """Whether both sides still give their stored scores, and what is known to have changed."""

    readings: Sequence[Reading] = ()
    known: Sequence[Known] = field(default_factory=tuple)

    @property
    def lost(self) -> list[Reading]:
        """What is not reproduced."""
        return [one for one in self.readings if one.reproduced is False]

    @property
    def metrics(self) -> frozenset[str]:
        """Names of the metrics by which a side is not reproduced."""
        return frozenset(one.metric for one in self.lost)

    @property
    def sentences(self) -> list[str]:
        """It in words; nothing where both sides are reproduced and nothing is known to differ."""
        lost = self.lost
        said = [one.in_words for one in lost]
        if lost:
            said.append(WORLD_CHANGED)
        said += dict.fromkeys(f"Known: {one.in_words}." for one in self.known)
        if lost:
            if not self.known:
                said.append(NOTHING_SEEN)
            causes = dict.fromkeys(one.cause for one in self.known) or {"unknown": None}
            said += [ANEW[cause] for cause in causes]
        return said

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; ``in_words`` is what people are told."""
        return {
            "world_changed": bool(self.lost),
            "scores": [one.as_json() for one in self.readings],
            "known": [
                {"side": one.side, "cause": one.cause, "in_words": one.in_words}
                for one in self.known
            ],
            "in_words": self.sentences,
        }


def reproduction(
    engine: Engine,
    a: Side,
    b: Side,
    fresh: Fresh,
    rest: Fresh | None = None,
) -> Reproduction:
    """Hold the fresh scores of both sides against their stored ones.

    Args:
        engine: the database.
        a: the earlier side, as it was compared.
        b: the later one.
        fresh: what the cases that decide gave when they were asked again.
        rest: what all others of the earlier side gave, if they were asked. By a metric of theirs
            that side is told by all its cases, which no score has chosen.
    """
    stored = {"a": _scores(a), "b": _scores(b)}
    pages = _pages(a, b)
    scores = fresh.scores
    names = sorted({name for of in scores.values() for one in of.values() for name in one})
    whole: ByMetric = {} if rest is None else rest.scores["a"]
    of_whole = {name for one in whole.values() for name in one}
    sides: tuple[tuple[SideName, SideName], ...] = (("a", "b"), ("b", "a"))
    found = [
        _of_all(name, stored, {**scores["a"], **whole}, pages)
        if side == "a" and name in of_whole
        else _of_chosen(side, name, stored[side], scores[side], stored[other], names, pages)
        for side, other in sides
        for name in names
    ]
    tested = [one for one in found if one.comparison.n_clusters > 1]
    adjusted = iter(holm([one.comparison.p_exact or 0.0 for one in tested]))
    readings = [
        replace(one, p_adjusted=next(adjusted)) if one.comparison.n_clusters > 1 else one
        for one in found
    ]
    with engine.connect() as connection:
        pairs = [
            Pair(side, evaluation, again)
            for side, evaluation, n in (*fresh.made, *(rest.made if rest else ()))
            if (again := find_evaluation(connection, n)) is not None
        ]
    found_changes = changes(engine)
    known = [one for pair in pairs for one in _known(engine, pair, found_changes)]
    known += _other_chunks(engine, pairs)
    return Reproduction(readings, list(dict.fromkeys(known)))


def _of_all(
    name: str, stored: Mapping[str, ByMetric], fresh: ByMetric, pages: Mapping[str, Hashable]
) -> Reading:
    paired = [c for c in fresh if name in stored["a"].get(c, {}) and name in stored["b"].get(c, {})]
    return _reading("a", name, stored["a"], fresh, paired, pages)


def _of_chosen(
    side: SideName,
    name: str,
    stored: ByMetric,
    fresh: ByMetric,
    other: ByMetric,
    names: Sequence[str],
    pages: Mapping[str, Hashable],
) -> Reading:
    counting = cases_that_count(other, fresh, names)
    return _reading(side, name, stored, fresh, sorted(counting), pages)


def _reading(
    side: SideName,
    name: str,
    stored: ByMetric,
    fresh: ByMetric,
    counting: Sequence[str],
    pages: Mapping[str, Hashable],
) -> Reading:
    found = against_stored(name, stored, fresh, counting, pages)
    both = [c for c in counting if name in stored.get(c, {}) and name in fresh[c]]
    before, after = (_mean([of[case][name] for case in sorted(both)]) for of in (stored, fresh))
    return Reading(side, name, before, after, found, None)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _scores(side: Side) -> dict[str, Mapping[str, float]]:
    return {case.asked.case_id: case.scores for case in side.cases}


def _pages(a: Side, b: Side) -> dict[str, Hashable]:
    """Return a page for each case; one whose page is not known stands for itself."""
    found: dict[str, Hashable] = {}
    for case in (*a.cases, *b.cases):
        name = case.asked.case_id
        if case.page is not None:
            found[name] = case.page
        else:
            found.setdefault(name, ("case", name))
    return found


def _known(engine: Engine, pair: Pair, found: Sequence[Change]) -> Iterator[Known]:
    """Yield what is known to be other than when a side was measured, told from what is stored."""
    of_stored, of_fresh = (_with_answers(engine, one) for one in (pair.stored, pair.fresh))
    for before, after in zip(of_stored, of_fresh, strict=False):
        judge = after.benchmark_judge_model
        served, serves = served_of(before.inputs), served_of(after.inputs)
        for key in sorted(served.keys() & serves.keys()):
            if differ(served[key], serves[key]):
                then, now = (
                    ", ".join(sorted({one.in_words for one in of[key]})) for of in (served, serves)
                )
                cause: World = "judge" if key == judge else "model"
                yield Known(pair.side, cause, f"{key} is answered for by {now} now, by {then} then")
        for name, what in (("prompt_hash", "prompts"), ("code_version", "code")):
            if getattr(before, name) != getattr(after, name):
                yield Known(pair.side, "code", f"it is measured by other {what} than then")
        if before.embedding_model != after.embedding_model:
            yield Known(pair.side, "chunks", "questions are searched by another encoder than then")
    for change in found:
        judge = pair.stored.benchmark_judge_model
        if change.judge == judge and not _after(pair.stored, change) and _after(pair.fresh, change):
            yield Known(pair.side, "judge", f"{judge} has changed, {in_words(change)}")


def _with_answers(engine: Engine, one: EvaluationToCompare) -> list[EvaluationToCompare]:
    """Return an evaluation and, behind it, that of the answers which it is of."""
    of = one.inputs.get("answers_evaluation")
    if not isinstance(of, int):
        return [one]
    with engine.connect() as connection:
        answers = find_evaluation(connection, of)
    return [one] if answers is None else [one, answers]


def _other_chunks(engine: Engine, pairs: Sequence[Pair]) -> Iterator[Known]:
    """Yield, of either side, how many questions are given other chunks, or the same in another
    order, of those that were asked again.
    """
    found: dict[SideName, dict[tuple[str, str], bool]] = {}
    for pair in pairs:
        before, after = (
            {
                case.case_id: [chunk.get("chunk_hash") for chunk in case.retrieved]
                for case in cases_of(engine, _with_answers(engine, one)[-1].id)
                if case.repeat == 0 and isinstance(case.retrieved, list)
            }
            for one in (pair.stored, pair.fresh)
        )
        for case in before.keys() & after.keys():
            # Several judges read one answer.
            which = (pair.stored.tier, case)
            found.setdefault(pair.side, {})[which] = before[case] != after[case]
    for side, by_case in found.items():
        if n := sum(by_case.values()):
            said = f"{n} of {len(by_case)} questions are given other chunks than then"
            yield Known(side, "chunks", said)


def _after(one: EvaluationToCompare, change: Change) -> bool:
    measured = Measured(
        one.id,
        one.tier,
        one.kind,
        one.generation_model,
        one.benchmark_judge_model,
        one.production_judge_model,
        None,
        one.inputs,
    )
    return asked_after(measured, change)
