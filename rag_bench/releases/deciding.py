"""May it be released? The newest results of a model against the baseline, by the gate's rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.words import GOT_WORSE, PASSED, Outcome
from rag_bench.releases import again
from rag_bench.releases.again import Released
from rag_bench.releases.asked import Again, Whole, told, usd
from rag_bench.releases.replay import CannotReplayError
from rag_bench.releases.reproducing import Fresh, Reproduction, reproduction
from rag_bench.reporting.compared.across import across
from rag_bench.reporting.compared.gate import Gated, gate_sides, measured
from rag_bench.reporting.compared.pinned import as_json, evaluations_of
from rag_bench.reporting.compared.policy import Policy
from rag_bench.reporting.compared.several import of_several
from rag_bench.store.evaluations.comparing import find_evaluation
from rag_bench.store.releases import verdicts
from rag_bench.store.releases.baselines import Baseline, current_baseline

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.models import Models


SAME = "These are the baseline's own results: nothing is new."


@dataclass(frozen=True)
class Asking:
    """Whether, and at what price, a gate asks again before it blocks.

    Attributes:
        ask: False: only its price is told.
        max_calls: where more might be made, none is, and the first verdict stands; a judge's call
            counts twice, as an unreadable reply is asked for once more. None: no cap.
        max_cost_usd: likewise; a price that is not known counts as too high.
    """

    ask: bool = True
    max_calls: int | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A gate's answer for one model; ``first``: what it said before asking again."""

    model: str
    gated: Gated
    first: Outcome
    again: Again = field(default_factory=Again)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "model": self.model,
            "first": self.first,
            "again": self.again.as_json(),
            **self.gated.as_json(),
        }


@dataclass(frozen=True)
class Decided:
    """What is said of a release: the worst of its models'."""

    baseline: Baseline
    settings_hash: str
    verdicts: Sequence[Verdict]

    @property
    def outcome(self) -> Outcome:
        """Failed if a model failed, held if one is held up, passed otherwise."""
        found = {one.gated.outcome for one in self.verdicts}
        return "failed" if "failed" in found else "held" if "held" in found else PASSED

    def as_json(self) -> dict[str, Any]:
        """Return it for programs, as it is stored."""
        return {
            "outcome": self.outcome,
            "baseline": as_json(self.baseline),
            "settings_hash": self.settings_hash,
            "models": [one.as_json() for one in self.verdicts],
        }

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        for one in self.verdicts:
            yield f"{one.model} against {self.baseline.side}"
            yield from one.gated.lines()
            if one.first != one.gated.outcome:
                yield f"  Before it was asked again: {one.first}."
            yield from (f"  {line}" for line in one.again.lines())


async def decide_release(
    engine: Engine,
    settings: Settings,
    models: Models,
    settings_hash: str,
    policy: Policy,
    asking: Asking,
    *,
    model: str = "",
    run_id: str | None = None,
) -> Decided | None:
    """Hold what is measured under a settings hash against the baseline; None: none is pinned.

    Args:
        engine: the database.
        settings: of the environment.
        models: an open client; nothing is sent where nothing is asked again.
        settings_hash: of the release.
        policy: the gate's rules.
        asking: about asking again.
        model: that is released; empty: the baseline's, or all that both have.
        run_id: the Dagster run, for the records.

    Raises:
        RagBenchError: nothing that decides is measured of the model, or of the baseline.
    """
    begun = _first(engine, settings_hash, policy, model)
    if begun is None:
        return None
    pinned, first = begun
    found = []
    for one in first:
        if one.gated.outcome == PASSED:
            found.append(one.verdict)
            continue
        gated, note = await _again(
            engine, settings, models, one.sides, one.gated, one.policy, asking, run_id
        )
        found.append(Verdict(one.model, gated, one.gated.outcome, note))
    return Decided(pinned, settings_hash, found)


def decide_by_stored(
    engine: Engine, settings_hash: str, policy: Policy, *, model: str = ""
) -> Decided | None:
    """Say what `decide_release` says before it asks again: nothing is asked, nothing is paid.

    Raises as it does.
    """
    begun = _first(engine, settings_hash, policy, model)
    if begun is None:
        return None
    pinned, first = begun
    return Decided(pinned, settings_hash, [one.verdict for one in first])


@dataclass(frozen=True)
class _First:
    """What is said of a model by what is stored; ``policy``: the rules that could be held."""

    model: str
    sides: Released
    gated: Gated
    policy: Policy
    note: Again

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.model, self.gated, self.gated.outcome, self.note)


def _first(
    engine: Engine, settings_hash: str, policy: Policy, model: str
) -> tuple[Baseline, list[_First]] | None:
    pinned = current_baseline(engine)
    if pinned is None:
        return None
    found = []
    for name, sides in _released(engine, pinned, settings_hash, model).items():
        if not _newer(sides):
            found.append(_First(name, sides, Gated([], {}), policy, Again(why_not=SAME)))
            continue
        kept, missing = measured(policy, sides.a.metrics | sides.b.metrics)
        first = gate_sides(engine, sides.a, sides.b, kept)
        first = Gated(first.metrics, first.compared, missing)
        found.append(_First(name, sides, first, kept, Again()))
    return pinned, found


def store(engine: Engine, found: Decided, run_id: str | None) -> int:
    """Append a verdict to those of the store; returns its number."""
    return verdicts.append(
        engine, found.settings_hash, found.outcome, found.as_json(), run_id=run_id
    )


async def _again(
    engine: Engine,
    settings: Settings,
    models: Models,
    sides: Released,
    first: Gated,
    policy: Policy,
    asking: Asking,
    run_id: str | None,
) -> tuple[Gated, Again]:
    asked = again.questions(first, sides)
    if not asked:
        return first, Again()
    note = Again(n_cases=len({case for one in asked for case in one.cases}))
    more = again.controls(first, sides, asked)
    try:
        note.plan = told(await again.price(engine, settings, models, asked))
        if more:
            price = told(await again.price(engine, settings, models, more))
            note.whole = Whole(len({case for one in more for case in one.cases}), price)
        note.why_not = _why_not(asking, note.plan["most_calls"], note.plan["most_usd"])
        if note.why_not:
            return first, note
        fresh = await again.ask(engine, models, asked, run_id)
        note.asked = True
        found, note.reproduction = _after(engine, sides, first, policy, fresh)
        if note.whole is None or not _unconfirmed(first, found):
            return found, note
        note.whole.why_not = _why_not(asking, *_sum(note.plan, note.whole.plan))
        if note.whole.why_not:
            return found, note
        rest = await again.ask(engine, models, more, run_id)
        note.whole.asked = True
        found, note.reproduction = _after(engine, sides, first, policy, fresh, rest)
    except CannotReplayError as error:
        if note.asked and note.whole is not None:
            note.whole.why_not = str(error)
            return found, note
        note.why_not = str(error)
        return first, note
    return found, note


def _after(
    engine: Engine,
    sides: Released,
    first: Gated,
    policy: Policy,
    fresh: Fresh,
    rest: Fresh | None = None,
) -> tuple[Gated, Reproduction]:
    """Return what is said after asking again, and whether both sides still give their scores."""
    found = reproduction(engine, sides.a, sides.b, fresh, rest)
    return again.gate_after(engine, sides, first, policy, fresh.scores, found.metrics), found


def _unconfirmed(first: Gated, after: Gated) -> bool:
    """Whether a loss that the stored results prove is not said any more."""
    now = {one.metric.name: one.metric.decision.word for one in after.metrics}
    return any(now.get(name) != GOT_WORSE for name in again.proven_losses(first))


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[int, float | None]:
    """Return the most calls and dollars of two prices together; None: not known."""
    costs = [plan["most_usd"] for plan in (one, other) if plan["most_calls"]]
    known = None if None in costs else math.fsum(costs)
    return one["most_calls"] + other["most_calls"], known


def _why_not(asking: Asking, calls: int, cost: float | None) -> str | None:
    if not asking.ask:
        return "only the price was asked for."
    if asking.max_calls is not None and calls > asking.max_calls:
        return f"up to {calls} calls are more than the cap of {asking.max_calls} (max_calls)."
    if asking.max_cost_usd is not None and calls and (cost is None or cost > asking.max_cost_usd):
        said = "an unknown price" if cost is None else f"up to {usd(cost)}"
        return f"{said} is more than the cap of {asking.max_cost_usd} USD (max_cost_usd)."
    return None


def _newer(sides: Released) -> bool:
    """Whether anything is held against anything else."""
    return {one.id for one in sides.of_a} != {one.id for one in sides.of_b}


def _released(
    engine: Engine, pinned: Baseline, settings_hash: str, model: str
) -> dict[str, Released]:
    from rag_bench.store.evaluations import joined

    earlier = [one for one in evaluations_of(engine, pinned) if one.generation_model]
    now = [one for one in joined(engine, settings_hash) if one.generation_model]
    of_one = None
    if not (pinned.side or "").startswith("settings:") and earlier:
        of_one = earlier[0].generation_model
    there = sorted({str(one.generation_model) for one in now})
    known = {str(one.generation_model) for one in earlier}
    chosen = [model] if model else [of_one] if of_one in there else []
    if not chosen:
        chosen = [name for name in there if of_one or name in known]
    found: dict[str, Released] = {}
    for name in chosen:
        a = _side(engine, earlier, of_one or name, "baseline")
        b = _side(engine, now, str(name), settings_hash[:12])
        if a is None or b is None:
            what = "the baseline" if a is None else f"the settings {settings_hash[:12]}"
            raise RagBenchError(f"Of {name} nothing is measured in {what}; there: {_list(there)}.")
        found[str(name)] = Released(*across(engine, a[0], b[0]), a[1], b[1])
    if not found:
        raise RagBenchError(
            f"No model of the baseline {pinned.side} is measured under these settings; there: "
            f"{_list(there)}. Measure it, or name the one that is released."
        )
    return found


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _side(
    engine: Engine, found: Sequence[StoredEvaluation], model: str, name: str
) -> tuple[Any, Sequence[Any]] | None:
    ids = [one.id for one in found if one.generation_model == model]
    with engine.connect() as connection:
        of = [one for n in ids if (one := find_evaluation(connection, n)) is not None]
    side = of_several(engine, "model", f"{model}@{name}", of)
    return None if side is None else (side, of)
