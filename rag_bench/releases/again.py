"""Asking again before a gate blocks: fresh answers of the cases that decide, at a stated price."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.paired.asked_again import cases_that_decide, with_fresh, word_after
from rag_bench.evaluation.paired.words import GOT_WORSE, PASSED, STANDS
from rag_bench.releases.replay import FRESH, Conditions, count, measure, replayed
from rag_bench.releases.reproducing import Fresh, SideName
from rag_bench.reporting.compared.across import Carried
from rag_bench.reporting.compared.gate import Gated, Passed, gate_sides, outcome_of
from rag_bench.reporting.compared.policy import Policy
from rag_bench.reporting.compared.shapes import MetricCompared
from rag_bench.reporting.compared.sides import Side
from rag_bench.store.evaluations.comparing import EvaluationToCompare
from rag_bench.store.evaluations.finding import cases_of
from rag_bench.tiers.plan.counting import counting

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings
    from rag_bench.tiers.base.models import Models
    from rag_bench.tiers.plan.lines import Plan


@dataclass(frozen=True)
class Question:
    """One evaluation of either side that is asked again, in part.

    ``names``: by the metric's name there, the name that it has in the comparison. ``carried_a``,
    ``carried_b``: by that name, the bridge that a side's new scores cross as the first ones did.
    ``sides``: those that are asked.
    """

    a: EvaluationToCompare
    b: EvaluationToCompare
    names: Mapping[str, str]
    cases: Sequence[str]
    carried_a: Mapping[str, Carried] = field(default_factory=dict)
    carried_b: Mapping[str, Carried] = field(default_factory=dict)
    sides: Sequence[SideName] = ("a", "b")

    @property
    def asked(self) -> Iterator[tuple[SideName, EvaluationToCompare, Mapping[str, Carried]]]:
        """Its evaluations that are asked, each with its side and with what its scores cross."""
        if "a" in self.sides:
            yield "a", self.a, self.carried_a
        if "b" in self.sides:
            yield "b", self.b, self.carried_b


@dataclass(frozen=True)
class Released:
    """Two sides and the evaluations that they are made of.

    Names are those of `of_several`, and what two judges scored has crossed (`across`).
    """

    a: Side
    b: Side
    of_a: Sequence[EvaluationToCompare]
    of_b: Sequence[EvaluationToCompare]


def questions(found: Gated, sides: Released) -> list[Question]:
    """Return what is asked again: of each metric that does not pass the cases that differ.

    A case that has no partner, or whose metric is of no generation model, cannot be asked again.
    """
    wanted = {one.metric.name for one in found.metrics if one.outcome != PASSED}
    asked = []
    for b in sides.of_b:
        a = next((one for one in sides.of_a if _alike(one, b, sides)), None)
        if a is None or b.generation_model is None or a.generation_model is None:
            continue
        named = _named(a, b, sides)
        names = {name: named[name] for name in b.metrics if named[name] in wanted}
        metrics = frozenset(names.values())
        cases = cases_that_decide(_scores(sides.a), _scores(sides.b), metrics) if names else []
        if cases:
            asked.append(Question(a, b, names, cases, sides.a.carried, sides.b.carried))
    return asked


def proven_losses(found: Gated) -> set[str]:
    """Return the metrics by which a loss is proven that the rules do not let pass."""
    return {
        one.metric.name
        for one in found.metrics
        if one.outcome != PASSED and one.metric.decision.word == GOT_WORSE
    }


def controls(first: Gated, sides: Released, asked: Sequence[Question]) -> list[Question]:
    """Return what tells whether the old side is still itself: all its other cases, where a loss is
    proven by what is stored.

    The cases that decide were chosen by the very scores that are to be tried; all together are not.
    """
    proven = proven_losses(first)
    a, b = _scores(sides.a), _scores(sides.b)
    found = []
    for one in asked:
        names = {name: called for name, called in one.names.items() if called in proven}
        cases = sorted(
            case
            for case in (a.keys() & b.keys()) - set(one.cases)
            if any(called in a[case] and called in b[case] for called in names.values())
        )
        if cases:
            found.append(replace(one, names=names, cases=cases, sides=("a",)))
    return found


async def price(
    engine: Engine, settings: Settings, models: Models, asked: Sequence[Question]
) -> Plan:
    """Return what asking again would send and cost. Sends nothing."""
    notes: list[str] = []
    async with counting(engine, settings, models.providers, models.default_slots) as counted:
        for one in asked:
            for _, evaluation, _ in one.asked:
                wanted = Conditions.of(evaluation)
                with replayed(engine, wanted, only=one.cases, replicate=FRESH) as bench:
                    walk = counted.walk(bench)
                    await count(bench, models, walk, wanted)
                    notes += [*walk.foreseen.notes, *walk.notes]
    return counted.plan(notes)


async def ask(
    engine: Engine, models: Models, asked: Sequence[Question], run_id: str | None = None
) -> Fresh:
    """Ask again."""
    fresh: dict[str, dict[str, dict[str, float]]] = {"a": {}, "b": {}}
    made: list[tuple[SideName, EvaluationToCompare, int]] = []
    for one in asked:
        for side, evaluation, carried in one.asked:
            wanted = Conditions.of(evaluation)
            with replayed(engine, wanted, only=one.cases, replicate=FRESH, run_id=run_id) as bench:
                stored = await measure(bench, models, wanted)
            made.append((side, evaluation, stored.id))
            for case in cases_of(engine, stored.id):
                scores = fresh[side].setdefault(case.case_id, {})
                for name, called in one.names.items():
                    value = case.scores.get(name)
                    if case.repeat == 0 and isinstance(value, (bool, int, float)):
                        crosses = carried.get(called)
                        number = float(value)
                        scores[called] = crosses.link.carried(number) if crosses else number
    return Fresh(fresh, made)


def gate_after(
    engine: Engine,
    sides: Released,
    first: Gated,
    policy: Policy,
    fresh: Mapping[str, Mapping[str, Mapping[str, float]]],
    not_reproduced: Collection[str] = (),
) -> Gated:
    """Return what the gate says after its deciding cases were asked again; see `asked_again`.

    Of the metrics by which a side is ``not_reproduced`` the stored results decide.
    """
    metrics = frozenset(
        name for side in fresh.values() for scores in side.values() for name in scores
    )

    def gated(*, pool: bool) -> Gated:
        a, b = (
            _replaced(side, fresh[name], metrics, pool=pool)
            for name, side in (("a", sides.a), ("b", sides.b))
        )
        return gate_sides(engine, a, b, policy)

    new, pooled = gated(pool=False), gated(pool=True)
    by_name = {one.metric.name: one for one in new.metrics}
    before = {one.metric.name: one for one in first.metrics}
    said = []
    for one in pooled.metrics:
        if one.metric.name not in metrics:
            said.append(before[one.metric.name])
            continue
        if one.metric.name in not_reproduced:
            said.append(_standing(before[one.metric.name]))
            continue
        word = word_after(by_name[one.metric.name].metric.decision.word, one.metric.decision.word)
        metric = _saying(one.metric, word)
        outcome, reason = outcome_of(one.of, metric, one.paired, policy)
        said.append(replace(one, metric=metric, outcome=outcome, reason=reason))
    return replace(pooled, metrics=said, missing=first.missing)


def _standing(one: Passed) -> Passed:
    """Return what was said by the stored results, with the reason why it stands."""
    return replace(one, reason=f"{one.metric.decision.word} {STANDS}")


def _saying(metric: MetricCompared, word: Any) -> MetricCompared:
    if metric.decision.word == word:
        return metric
    reason = "fresh answers of the cases that decided do not say the same"
    return replace(metric, decision=replace(metric.decision, word=word, reason=reason, needed=None))


def _replaced(
    side: Side,
    fresh: Mapping[str, Mapping[str, float]],
    metrics: frozenset[str],
    *,
    pool: bool,
) -> Side:
    cases = [
        replace(case, scores=with_fresh(case.scores, fresh[case.asked.case_id], metrics, pool=pool))
        if case.asked.case_id in fresh
        else case
        for case in side.cases
    ]
    return replace(side, cases=cases)


def _scores(side: Side) -> dict[str, Mapping[str, float]]:
    return {case.asked.case_id: case.scores for case in side.cases}


def _alike(a: EvaluationToCompare, b: EvaluationToCompare, sides: Released) -> bool:
    """Whether two evaluations are of one cell, or of one whose judges a bridge links."""
    if (a.tier, a.kind) != (b.tier, b.kind):
        return False
    judges = (a.benchmark_judge_model, b.benchmark_judge_model)
    return judges[0] == judges[1] or bool(_crossed(a, b, sides))


def _named(a: EvaluationToCompare, b: EvaluationToCompare, sides: Released) -> dict[str, str]:
    """Return, by the metric's name in ``b``, that in the comparison: the end's of a bridge."""
    crossed = _crossed(a, b, sides)
    of_a, of_b = _names(a), _names(b)
    return {
        name: of_a[name] if of_a.get(name) in crossed else called for name, called in of_b.items()
    }


def _crossed(a: EvaluationToCompare, b: EvaluationToCompare, sides: Released) -> set[str]:
    """Return the comparison's names of what crossed between the judges of two evaluations."""
    first, second = a.benchmark_judge_model, b.benchmark_judge_model
    names = {*_names(a).values(), *_names(b).values()}
    return {
        name
        for side, ends in ((sides.a, (first, second)), (sides.b, (second, first)))
        for name, by in side.carried.items()
        if (by.old, by.new) == ends and name in names
    }


def _names(one: EvaluationToCompare) -> dict[str, str]:
    from rag_bench.reporting.compared.several import names_of_model

    return names_of_model(one, one.metrics)
