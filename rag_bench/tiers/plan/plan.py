"""What a sweep will ask, before anything is sent: calls, tokens, money, time.

The tiers' own tasks are prepared and their jobs run against a client that only reads the ledger, so
a plan cannot differ from the sweep in what it asks. A request that the ledger answers goes on with
the reply: answers that are there make their judges' requests known. Behind a reply that is not
there yet, requests are counted with a stand-in text and are called unknown: two answers may turn
out alike and share their calls, or not come at all, so their number is the most that it can be.
RAGAS asks several times about a case, of replies before: what follows an unanswered request is
unknown likewise, its number is that of the metric, its length that of the texts it is made from.
Only a judge's replies that cannot be read add to it: it is asked once more about each
(`rag_bench.llm.tasks.asking`).

Estimates, each named as one: a prompt's tokens are its characters by
`rag_bench.llm.transport.records.CHARS_PER_TOKEN`; a completion's are the mean in the ledger, of
this role and model, else of this role, else the longest that is allowed; a call's time is the
median latency in the ledger, of this role and model, else of this model, else of its provider.
Where there is none, time is unknown. So is the cost of a model without a price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.llm.config.providers import Providers
from rag_bench.retrievers import retrievers
from rag_bench.tiers import registry
from rag_bench.tiers.plan.counting import counting
from rag_bench.tiers.plan.lines import Plan
from rag_bench.tiers.registry import Axis

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench


async def plan_sweep(
    bench: Bench,
    providers: Providers,
    default_slots: int,
    generation_models: Sequence[str],
    benchmark_judges: Sequence[str],
    production_judges: Sequence[str],
    tiers: Iterable[str],
    *,
    options: Collection[str] = (),
) -> Plan:
    """Plan the paid part of a sweep; nothing is sent, nothing is stored.

    Args:
        bench: the run's settings.
        providers: for addresses, prices and limits.
        default_slots: calls in flight of a provider that sets none.
        generation_models: as of the sweep, like the judges.
        benchmark_judges: for tiers 2, 3 and judge, and RAGAS.
        production_judges: for tier judge_pipeline.
        tiers: those of the sweep; free ones are passed over.
        options: names of what is asked for, as RAGAS.
    """
    tiers = set(tiers)
    keys_by: dict[Axis, Sequence[Any]] = {
        Axis.NONE: [None],
        Axis.GENERATOR: generation_models,
        Axis.JUDGE: benchmark_judges,
        Axis.GATE: production_judges,
        Axis.PAIR: [(g, j) for g in generation_models for j in benchmark_judges],
        Axis.RETRIEVER: list(retrievers(bench.settings)),
    }
    async with counting(bench.engine, bench.settings, providers, default_slots) as count:
        walk = count.walk(bench)
        for step in registry.steps(tiers, options):
            keys = keys_by[step.by]
            if step.asks(bench, keys):
                await walk.through(step, keys)
    return count.plan([*walk.foreseen.notes, *_without_pairs(bench, tiers), *walk.notes])


def _without_pairs(bench: Bench, tiers: set[str]) -> list[str]:
    """Say what is not known before labelled pairs are stored, which a sweep does itself."""
    if bench.pairs is not None:
        return []
    notes = []
    for step in registry.steps(tiers):
        if registry.PAIRS in step.reads:
            said = "asks more about labelled pairs once they are stored"
            if registry.needs_pairs(step):
                said = "is unknown until labelled pairs are stored"
            notes.append(f"{step.tier} {said} ({registry.PAIRS}, free; a sweep does it itself).")
    return notes
