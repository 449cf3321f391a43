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

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from rag_bench.answer_sources import source_of
from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.room import limits_of_roles
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.retrievers import retrievers
from rag_bench.store import calls
from rag_bench.tiers import registry
from rag_bench.tiers.base.evaluate import Blocked, Nothing, Task
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.plan.estimates import line_of
from rag_bench.tiers.plan.foreseen import STAND_IN_ANSWER, Foreseen, PlannedBench
from rag_bench.tiers.plan.ledger_only import LedgerOnly, NotSentError, Request, requests
from rag_bench.tiers.plan.lines import Plan
from rag_bench.tiers.registry import Axis, Step

if TYPE_CHECKING:
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.evaluate import Job

_AT_ONCE = 512  # jobs; their lookups in the ledger become a few statements


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
    url = bench.engine.url.render_as_string(hide_password=False)
    async with calls.CallStore(url) as store:
        chat = LedgerOnly(
            providers, store, limits_of_roles(bench.settings), bench.settings.reask_unreadable
        )
        models = Models(cast("ChatModels", chat), providers, default_slots, sends=False)
        keys_by: dict[Axis, Sequence[Any]] = {
            Axis.NONE: [None],
            Axis.GENERATOR: generation_models,
            Axis.JUDGE: benchmark_judges,
            Axis.GATE: production_judges,
            Axis.PAIR: [(g, j) for g in generation_models for j in benchmark_judges],
            Axis.RETRIEVER: list(retrievers(bench.settings)),
        }
        walk = _Walk(bench, models, chat)
        for step in registry.steps(tiers, options):
            keys = keys_by[step.by]
            if step.asks(bench, keys):
                await walk.through(step, keys)
        notes = [*walk.foreseen.notes, *_without_pairs(bench, tiers), *walk.notes]
    with bench.engine.connect() as connection:
        usage = calls.usage(connection)
    lines = [line_of(key, tally, models, usage) for key, tally in chat.tallies.items()]
    by_model = {line.model: models.provider_of(line.model) for line in lines}
    judged = any(
        line.role == Role.benchmark_judge and line.n_to_send + line.n_unknown for line in lines
    )
    if judged and asks_again(bench.settings.reask_unreadable, Role.benchmark_judge):
        notes.append(
            "A judge whose reply cannot be read is asked once more; such calls come on top "
            "(RAG_BENCH_REASK_UNREADABLE=none: not)."
        )
    return Plan(lines, tuple(notes), by_model)


class _Walk:
    """Goes through the steps of a sweep; what one would make is told to the next."""

    def __init__(self, bench: Bench, models: Models, chat: LedgerOnly) -> None:
        self._models, self._chat = models, chat
        self.foreseen = Foreseen(bench)
        self._bench = PlannedBench.of(bench, self.foreseen)
        self.notes: list[str] = []

    async def through(self, step: Step, keys: Sequence[Any]) -> None:
        """Count what a step asks for each of its keys."""
        self._chat.asset, work = step.asset, registry.resolve(step.work)
        for key in keys:
            self.foreseen.watch()
            for one in work(self._bench, self._models, step, [key]):
                self._chat.stand_ins = frozenset(self.foreseen.handed_out)
                if isinstance(one, Task):
                    # Answers that are had without a call are judged all the same.
                    if one.asked is not None or step.kind == "answers":
                        await self._count(one)
                elif not _is_of_a_source(one):
                    self._note(f"{step.asset} asks nothing as it is: {one.why}")

    async def _count(self, task: Task[Any]) -> None:
        try:
            work = task.prepare()
        except CaseError as error:
            # What is asked about is found by vectors that are not there yet.
            self._note(f"{self._chat.asset} is unknown until texts are encoded ({error.detail}).")
            return
        ended = await _run(work.jobs)
        if work.prompts:
            for place, one in enumerate(ended):
                if isinstance(one.result, NotSentError):
                    # What comes after the first reply that is not there.
                    self._chat.foresee(one.asked, work.prompts(place)[len(one.asked) :])
        if work.outlook:
            results = [
                STAND_IN_ANSWER if isinstance(one.result, NotSentError) else one.result
                for one in ended
            ]
            generator = task.roles.generation_model
            assert generator is not None, f"{task.key}: answers of no generation model"
            self.foreseen.note_answers(task.tier, generator, work.outlook(results))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _is_of_a_source(one: Nothing[Any] | Blocked[Any]) -> bool:
    """Tell whether an answer source has nothing here, which changes nothing of what is asked: it
    stands among all models, on every dataset.
    """
    return isinstance(one, Nothing) and source_of(one.generation_model or "") is not None


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


@dataclass(frozen=True)
class _Ended:
    """How a job ended, and what it asked for."""

    result: Any
    asked: Sequence[Request]


async def _run(jobs: Sequence[Job]) -> list[_Ended]:
    """Return each job's value, or the case error that it ended with."""

    async def one(job: Job) -> _Ended:
        with requests() as asked:
            try:
                return _Ended(await job(), asked)
            except CaseError as error:
                return _Ended(error, asked)

    ended: list[_Ended] = []
    for start in range(0, len(jobs), _AT_ONCE):
        ended += await asyncio.gather(*(one(job) for job in jobs[start : start + _AT_ONCE]))
    return ended
