"""What a run would ask, before anything is sent: calls by model, tokens, money, time.

The run's own parts and the tiers' own tasks are gone through with a client that reads the ledger
alone, as a sweep's plan does (`rag_bench.tiers.plan.plan` says how what is not known yet counts).
Nothing is stored: not even the questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rag_bench.eval_runs.intake.configured import configured_providers
from rag_bench.eval_runs.intake.estimating import of_plan
from rag_bench.eval_runs.intake.prepared import Prepared
from rag_bench.tiers import registry
from rag_bench.tiers.base.bench import silent
from rag_bench.tiers.plan.counting import counting

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.eval_runs.config import RunConfig
    from rag_bench.eval_runs.executing.benches import Benches
    from rag_bench.eval_runs.executing.parts import Part
    from rag_bench.eval_runs.executing.wanted import Wanted
    from rag_bench.settings import Settings
    from rag_bench.store.datasets import Item
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.plan.counting import Walk
    from rag_bench.tiers.plan.lines import Plan, PlanLine

_SUMMED = ("n_requests", "n_in_ledger", "n_to_send", "n_unknown")
_TOKENS = ("prompt_tokens", "completion_tokens")


def dry_run(engine: Engine, settings: Settings, prepared: Prepared) -> dict[str, Any]:
    """Return what a run would ask, as JSON; nothing is sent and nothing is stored.

    ``n_to_send`` calls will be made, ``n_unknown`` more at most; tokens, money (null: a price is
    unknown) and the seconds of models are of both together. The run's ``seconds`` are of all its
    work, and ``estimate`` says what they rest on.

    Raises:
        RagBenchError: the run cannot be executed as it is asked for.
    """
    plan = plan_of(engine, settings, prepared)
    estimated = of_plan(engine, settings, prepared, plan)
    cost = plan.cost_usd
    n_calls = plan.n_to_send + plan.n_unknown
    return {
        "dry_run": True,
        "n_cases": len(prepared.cases),
        "paid": prepared.paid,
        "config": prepared.config.as_json(),
        "models": [_of_model(model, lines) for model, lines in _by_model(plan)],
        **{name: sum(getattr(line, name) for line in plan.lines) for name in (*_SUMMED, *_TOKENS)},
        "cost_usd": None if cost is None else float(cost),
        "seconds": round(estimated.seconds, 3),
        "estimate": estimated.as_json(),
        "exceeds": {
            "max_calls": _exceeds(n_calls, prepared.max_calls),
            "max_cost_usd": _exceeds(cost, prepared.max_cost_usd),
        },
        "notes": list(plan.notes),
    }


def plan_of(engine: Engine, settings: Settings, prepared: Prepared) -> Plan:
    """Return a run's calls, counted.

    Raises:
        RagBenchError: the run cannot be executed as it is asked for.
    """
    return asyncio.run(_plan(engine, settings, prepared))


async def _plan(engine: Engine, settings: Settings, prepared: Prepared) -> Plan:
    from rag_bench.eval_runs.executing.benches import Benches, generator_of
    from rag_bench.eval_runs.executing.parts import parts_of
    from rag_bench.eval_runs.executing.wanted import Wanted

    config = prepared.config
    wanted = Wanted.of(config)
    benches = Benches(engine, settings, config, wanted, silent)
    shapes = [(one.position, one.given.get("answer") is not None) for one in prepared.cases]
    notes: list[str] = []
    async with counting(engine, settings, configured_providers(), settings.concurrency) as count:
        for part in parts_of(shapes, whole=config.dataset_id is not None):
            bench = _bench(engine, benches, prepared, part)
            walk = count.walk(bench)
            answers = part.given or config.generation_model is not None
            generator = generator_of(config, given=part.given) if answers else None
            await _walk(walk, bench, config, wanted, generator)
            notes += [*walk.foreseen.notes, *walk.notes]
    return count.plan(notes)


async def _walk(
    walk: Walk, bench: Bench, config: RunConfig, wanted: Wanted, generator: str | None
) -> None:
    """Go through the steps that `rag_bench.eval_runs.executing.measuring` goes through.

    ``generator``: what answers; None: it is only searched.
    """
    from rag_bench.eval_runs.executing.benches import retrieves_by_itself
    from rag_bench.eval_runs.executing.measuring import ANSWERS, OwnContexts

    own = generator is not None and retrieves_by_itself(generator)
    if not own:
        await _ask(walk, bench, "tier1_retrieval", None)
    if generator is None:
        return
    judge = config.judge_model or ""
    pair = (generator, judge)
    await walk.through(registry.step_named(ANSWERS), [generator])
    if wanted.ragas_answers:
        await _ask(walk, bench, "tier3_ragas_scores", pair)
    if wanted.ragas_contexts and own:
        from rag_bench.tiers.answers.ragas import ragas_own_context_tasks

        await walk.through_tasks(
            "contexts",
            lambda bench, models: ragas_own_context_tasks(bench, models, OwnContexts(), [pair]),
        )
    elif wanted.ragas_contexts:
        await _ask(walk, bench, "tier3_context_scores", judge)
    if wanted.rubrics:
        await _ask(walk, bench, "tier3_scores", pair)


async def _ask(walk: Walk, bench: Bench, asset: str, key: Any) -> None:
    """Count a step, if it asks anybody."""
    step = registry.step_named(asset)
    if step.asks(bench, [key]):
        await walk.through(step, [key])


def _bench(engine: Engine, benches: Benches, prepared: Prepared, part: Part) -> Bench:
    """Return the bench of a part, whose dataset need not be stored."""
    from rag_bench.eval_runs.executing.light import NAME
    from rag_bench.store.datasets import EVALUATED, DatasetInfo, address_of, get_dataset

    if prepared.config.dataset_id is not None:
        return benches.of_asked(get_dataset(engine, prepared.config.dataset_id))
    items = _items(engine, prepared, part)
    dataset = DatasetInfo(address_of(EVALUATED, items), NAME, EVALUATED, len(items))
    if part.given:
        named = any(item.chunk_hashes for item in items)
        bench = benches.of_given(dataset, snapshot=named or prepared.config.dump_sha256 is not None)
    else:
        bench = benches.of_asked(dataset)
    bench.__dict__["items"] = items
    return bench


def _items(engine: Engine, prepared: Prepared, part: Part) -> list[Item]:
    from rag_bench.eval_runs.executing.parts import chunks_named, item_of
    from rag_bench.store.eval_runs.results import CaseRow, pages_of

    rows = [
        CaseRow(one.position, one.case_id, one.given, one.known)
        for one in map(prepared.cases.__getitem__, part.positions)
    ]
    pages: Mapping[str, str] = {}
    sha256, named = prepared.config.dump_sha256, chunks_named(rows)
    if sha256 is not None and named:
        with engine.connect() as connection:
            pages = pages_of(connection, sha256, named)
    return [item_of(row, pages) for row in rows]


def _by_model(plan: Plan) -> Iterator[tuple[str, Sequence[PlanLine]]]:
    for model in dict.fromkeys(line.model for line in plan.lines):
        yield model, [line for line in plan.lines if line.model == model]


def _of_model(model: str, lines: Sequence[PlanLine]) -> dict[str, Any]:
    costs = [line.cost_usd for line in lines if line.n_to_send or line.n_unknown]
    known = [one for one in costs if one is not None]
    return {
        "model": model,
        "roles": list(dict.fromkeys(line.role for line in lines)),
        **{name: sum(getattr(line, name) for line in lines) for name in (*_SUMMED, *_TOKENS)},
        "cost_usd": float(sum(known, Decimal(0))) if len(known) == len(costs) else None,
        "seconds": sum(line.seconds for line in lines),
    }


def _exceeds(found: Any, most: Any) -> bool | None:
    """Tell whether a limit may be met; None: there is none, or what it limits is not known."""
    return None if found is None or most is None else bool(found > most)
