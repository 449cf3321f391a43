"""Why did it change? The missing combinations of old and new, planned, measured, and split."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.causes import MOST_CAUSES, Corner, Share, corners, shares
from rag_bench.evaluation.precision import published
from rag_bench.releases.replay import (
    CannotReplayError,
    Conditions,
    NotLookedUpError,
    count,
    factors_of,
    measure,
    mixed,
    replayed,
)
from rag_bench.reporting.compared.sides import Side, of_evaluation
from rag_bench.store.evaluations import latest
from rag_bench.store.evaluations.comparing import EvaluationToCompare, find_evaluation
from rag_bench.tiers.plan.counting import Counting, counting

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.llm.config.providers import Providers
    from rag_bench.settings import Settings
    from rag_bench.tiers.base.models import Models


@dataclass(frozen=True)
class PlannedCorner:
    """One combination; ``evaluation``: it was measured. ``n_calls``: to send, at most.

    ``in_ledger``: distinct requests that the ledger answers for nothing. ``why_not``: it cannot be
    measured. ``not_known``: why calls and price are not known by reading alone.
    """

    from_b: Corner
    evaluation: int | None
    n_calls: int = 0
    in_ledger: int = 0
    cost_usd: float | None = 0.0
    why_not: str | None = None
    not_known: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "from_b": sorted(self.from_b),
            "evaluation": self.evaluation,
            "calls": self.n_calls,
            "in_ledger": self.in_ledger,
            "cost_usd": self.cost_usd,
            "why_not": self.why_not,
            "not_known": self.not_known,
        }


@dataclass(frozen=True)
class Explained:
    """What differs, what is planned, and where all corners are measured each cause's part.

    ``parts``: by metric.
    """

    a: int
    b: int
    causes: Sequence[str]
    corners: Sequence[PlannedCorner]
    notes: Sequence[str]
    parts: dict[str, Sequence[Share]]

    @property
    def n_calls(self) -> int:
        """Calls that the missing corners need, at most."""
        return sum(one.n_calls for one in self.corners)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "causes": list(self.causes),
            "corners": [one.as_json() for one in self.corners],
            "calls": self.n_calls,
            "notes": list(self.notes),
            "parts": {
                metric: [
                    {
                        "cause": one.cause,
                        "part": _number(one.metric.value),
                        "ci_low": _number(one.metric.ci_low),
                        "ci_high": _number(one.metric.ci_high),
                        "p_adjusted": _number(one.p_adjusted),
                        "n_cases": one.metric.n_scored,
                    }
                    for one in found
                ]
                for metric, found in self.parts.items()
            },
        }

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        if len(self.causes) < 2:
            what = f"Only the {self.causes[0]} differs" if self.causes else "Nothing differs"
            yield f"{what}: there is nothing to tell apart."
            return
        yield f"Causes to tell apart: {', '.join(self.causes)}."
        for corner in self.corners:
            new = ", ".join(sorted(corner.from_b)) or "nothing"
            if corner.why_not:
                said = f"cannot be measured: {corner.why_not}"
            elif corner.evaluation is not None:
                said = f"measured (evaluation {corner.evaluation})"
            elif corner.not_known:
                said = f"missing: {corner.not_known}, so its price is not known"
            else:
                cost = (
                    "an unknown price" if corner.cost_usd is None else f"{corner.cost_usd:.4f} USD"
                )
                said = (
                    f"missing: at most {corner.n_calls} calls, {cost}; the ledger has "
                    f"{corner.in_ledger} replies for nothing"
                )
            yield f"  new {new}: {said}"
        yield from self.notes
        for metric, found in self.parts.items():
            yield f"{metric}, each cause's part of the change (Shapley: mean over the orders):"
            for one in found:
                low, high = one.metric.ci_low, one.metric.ci_high
                between = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
                p = "" if one.p_adjusted is None else f", p {one.p_adjusted:.4f}"
                yield f"  {one.cause}: {one.metric.value or 0.0:+.3f}{between}{p}"


def evaluations_to_explain(
    engine: Engine, a: Side, b: Side
) -> tuple[EvaluationToCompare, EvaluationToCompare]:
    """Return the evaluations that two sides are.

    Raises:
        RagBenchError: they are no evaluations, or one was deleted since.
    """
    if a.kind != "evaluation" or b.kind != "evaluation":
        raise RagBenchError(
            "--explain tells the causes of one evaluation apart from those of another: name their "
            "numbers (rag-bench baseline check lists them cell by cell)."
        )
    with engine.connect() as connection:
        first = find_evaluation(connection, int(a.id))
        second = find_evaluation(connection, int(b.id))
    if first is None or second is None:
        raise RagBenchError("One of the evaluations was deleted while they were compared.")
    return first, second


async def explain(
    engine: Engine,
    settings: Settings,
    models: Models,
    a: EvaluationToCompare,
    b: EvaluationToCompare,
    *,
    run: bool = False,
    max_calls: int | None = None,
    metrics: Sequence[str] | None = None,
    run_id: str | None = None,
) -> Explained:
    """Plan the missing corners between two evaluations; with ``run`` measure them and split.

    Args:
        engine: the database.
        settings: of the environment.
        models: an open client; nothing is sent without ``run``.
        a: the earlier evaluation.
        b: the later one.
        run: measure what is missing, if it takes no more calls than ``max_calls``.
        max_calls: None: no cap.
        metrics: only these are split; None: all that both have.
        run_id: the Dagster run, for the records.

    Raises:
        RagBenchError: they cannot be told apart: another dataset, tier, kind, or too many causes.
    """
    causes, wanted, ends = _corners_between(a, b)
    async with counting(engine, settings, models.providers, models.default_slots) as counted:
        planned = await _planned(engine, counted, wanted, ends, run_id)
    notes = _notes(a, b)
    missing = [one for one in planned if one.evaluation is None]
    impossible = [one for one in planned if one.why_not]
    needed = sum(one.n_calls for one in missing)
    if run and missing and not impossible:
        if max_calls is not None and needed > max_calls:
            notes.append(f"Not run: {needed} calls are more than the cap of {max_calls}.")
        else:
            planned = [
                one
                if one.evaluation is not None
                else PlannedCorner(
                    one.from_b, await _measured(engine, models, wanted[one.from_b], run_id)
                )
                for one in planned
            ]
    parts: dict[str, Sequence[Share]] = {}
    if len(causes) > 1 and all(one.evaluation is not None for one in planned):
        parts = _parts(engine, causes, planned, metrics)
    return Explained(a.id, b.id, causes, planned, notes, parts)


def explain_by_stored(
    engine: Engine,
    settings: Settings,
    providers: Providers,
    a: EvaluationToCompare,
    b: EvaluationToCompare,
) -> Explained:
    """Return the plan and, where all corners are measured, the split, as far as the store tells.

    Nothing is sent and nothing is stored; what `explain` does for nothing first is not done, so
    the price of a corner may be ``not_known``. Raises as `explain`.
    """
    causes, wanted, ends = _corners_between(a, b)

    async def looked() -> list[PlannedCorner]:
        async with counting(engine, settings, providers, settings.concurrency) as counted:
            return await _planned(engine, counted, wanted, ends, None, look=True)

    planned = asyncio.run(looked())
    parts: dict[str, Sequence[Share]] = {}
    if len(causes) > 1 and all(one.evaluation is not None for one in planned):
        parts = _parts(engine, causes, planned, None)
    return Explained(a.id, b.id, causes, planned, _notes(a, b), parts)


def causes_between(a: EvaluationToCompare, b: EvaluationToCompare) -> Sequence[str]:
    """Return what differs between two evaluations that can be told apart; raises as `explain`."""
    return _corners_between(a, b)[0]


def _corners_between(
    a: EvaluationToCompare, b: EvaluationToCompare
) -> tuple[Sequence[str], dict[Corner, Conditions], dict[Corner, int]]:
    """Return the causes, the conditions of each corner, and the evaluations of both ends."""
    first, second = Conditions.of(a), Conditions.of(b)
    if (a.tier, a.kind) != (b.tier, b.kind):
        raise RagBenchError("The two are of different tiers or kinds: they have no cause.")
    if a.dataset_id != b.dataset_id or a.settings.get("limit") != b.settings.get("limit"):
        raise RagBenchError("They were asked different questions, which nothing can split.")
    causes = factors_of(first, second)
    if len(causes) > MOST_CAUSES:
        raise RagBenchError(
            f"{len(causes)} things differ ({', '.join(causes)}), which needs {2 ** len(causes)} "
            f"combinations; compare two evaluations that differ in at most {MOST_CAUSES}."
        )
    every = corners(causes)
    ends = {every[0]: a.id, every[-1]: b.id} if causes else {}
    wanted = {corner: mixed(first, second, corner) for corner in every}
    return causes, wanted, ends


async def _planned(
    engine: Engine,
    counted: Counting,
    wanted: dict[Corner, Conditions],
    ends: dict[Corner, int],
    run_id: str | None,
    *,
    look: bool = False,
) -> list[PlannedCorner]:
    found: list[PlannedCorner] = []
    calls = ledger = 0
    cost: float | None = 0.0
    for corner, conditions in wanted.items():
        if corner in ends:
            found.append(PlannedCorner(corner, ends[corner]))
            continue
        try:
            with replayed(engine, conditions, corner=True, run_id=run_id) as bench:
                stored = latest(
                    engine,
                    tier=conditions.tier,
                    kind=conditions.kind,  # type: ignore[arg-type]
                    settings_hash=bench.run.hash,
                    generation_model=conditions.generation_model,
                    benchmark_judge_model=conditions.judge,
                )
                if stored is not None:
                    found.append(PlannedCorner(corner, stored.id))
                    continue
                walk = counted.walk(bench)
                # What is free asks nobody: the models that only count are as good as any.
                await count(bench, counted.models, walk, conditions, look=look)
        except CannotReplayError as error:
            found.append(PlannedCorner(corner, None, why_not=str(error)))
            continue
        except NotLookedUpError as error:
            found.append(PlannedCorner(corner, None, cost_usd=None, not_known=str(error)))
            continue
        # Of what all corners so far need together, the part that this one added.
        plan = counted.plan([])
        now = plan.n_to_send + plan.n_unknown
        has = sum(line.n_in_ledger for line in plan.lines)
        price = None if plan.cost_usd is None else float(plan.cost_usd)
        added = None if price is None or cost is None else price - cost
        found.append(PlannedCorner(corner, None, now - calls, has - ledger, added))
        calls, ledger, cost = now, has, price
    return found


async def _measured(engine: Engine, models: Models, wanted: Conditions, run_id: str | None) -> int:
    with replayed(engine, wanted, corner=True, run_id=run_id) as bench:
        return (await measure(bench, models, wanted)).id


def _parts(
    engine: Engine,
    causes: Sequence[str],
    planned: Sequence[PlannedCorner],
    metrics: Sequence[str] | None,
) -> dict[str, Sequence[Share]]:
    sides: dict[Corner, Side] = {}
    with engine.connect() as connection:
        found = {one.from_b: find_evaluation(connection, one.evaluation or 0) for one in planned}
    for corner, one in found.items():
        assert one is not None, "it is stored"
        sides[corner] = of_evaluation(engine, one)
    shared = set.intersection(*(side.metrics for side in sides.values()))
    clusters = {
        case.asked.case_id: case.page if case.page is not None else ("case", case.asked.case_id)
        for side in sides.values()
        for case in side.cases
    }
    parts: dict[str, Sequence[Share]] = {}
    for name in sorted(shared if metrics is None else shared & set(metrics)):
        scores = {
            corner: {
                case.asked.case_id: case.scores[name] for case in side.cases if name in case.scores
            }
            for corner, side in sides.items()
        }
        if set.intersection(*(set(of) for of in scores.values())):
            parts[name] = shares(scores, causes, clusters)
    return parts


def _notes(a: EvaluationToCompare, b: EvaluationToCompare) -> list[str]:
    versions = [str(one.code_version).partition("-")[0] for one in (a, b)]
    if versions[0] == versions[1]:
        return []
    return ["The two were measured by different code as well; corners are measured by today's."]


def _number(value: float | None) -> float | None:
    return None if value is None else published(value)
