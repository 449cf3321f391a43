"""Counting what benches would ask, with a client that reads the ledger and sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from rag_bench.answer_sources import source_of
from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.room import limits_of_roles
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.store import calls
from rag_bench.store.eval_runs.model_revisions import revisions
from rag_bench.tiers import registry
from rag_bench.tiers.base.evaluate import Blocked, Nothing, Planned, Task
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.plan.estimates import line_of
from rag_bench.tiers.plan.foreseen import STAND_IN_ANSWER, Foreseen, PlannedBench
from rag_bench.tiers.plan.ledger_only import LedgerOnly, NotSentError, Request, requests
from rag_bench.tiers.plan.lines import Plan
from rag_bench.tiers.registry import Step

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.settings import Settings
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.evaluate import Job

#: Calls of the ledger that estimates go by: how fast a model was lately says more.
_NEWEST = 200_000
_AT_ONCE = 512  # jobs; their lookups in the ledger become a few statements
Makes = Callable[["Bench", Models], Sequence[Planned[Any]]]


@asynccontextmanager
async def counting(
    engine: Engine, settings: Settings, providers: Providers, default_slots: int
) -> AsyncIterator[Counting]:
    """Open the ledger for counting.

    ``default_slots``: calls in flight of a provider that sets none.
    """
    async with calls.CallStore(engine.url.render_as_string(hide_password=False)) as store:
        yield Counting(engine, settings, providers, store, default_slots)


class Counting:
    """What is counted on one or several benches: equal requests are sent once."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        providers: Providers,
        store: calls.CallStore,
        default_slots: int,
    ) -> None:
        self._engine, self._settings = engine, settings
        roles, reask = limits_of_roles(settings), settings.reask_unreadable
        changed = revisions(engine)
        self._chat = LedgerOnly(providers, store, roles, reask, changed)
        chat = cast("ChatModels", self._chat)
        self._models = Models(chat, providers, default_slots, sends=False, revisions=changed)

    @property
    def models(self) -> Models:
        """Models that only count."""
        return self._models

    def walk(self, bench: Bench) -> Walk:
        """Return a walk on a bench."""
        return Walk(bench, self._models, self._chat)

    def plan(self, notes: Sequence[str]) -> Plan:
        """Return what was counted so far, with estimates."""
        models, settings = self._models, self._settings
        with self._engine.connect() as connection:
            usage = calls.usage(connection, newest=_NEWEST)
        assumed = settings.assumed_latency_seconds
        lines = [
            line_of(
                key,
                tally,
                models,
                usage,
                assumed,
                again=asks_again(settings.reask_unreadable, key[1]),
            )
            for key, tally in self._chat.tallies.items()
        ]
        judged = any(
            line.role == Role.benchmark_judge and line.n_to_send + line.n_unknown for line in lines
        )
        said = list(dict.fromkeys(notes))
        if judged and asks_again(settings.reask_unreadable, Role.benchmark_judge):
            said.append(
                "A judge whose reply cannot be read is asked once more; such calls come on top "
                "(RAG_BENCH_REASK_UNREADABLE=none: not)."
            )
        by_model = {line.model: models.provider_of(line.model) for line in lines}
        plan = Plan(lines, tuple(said), by_model)
        if never := plan.assumed:
            each = ", ".join(f"{model} {seconds:g} s" for model, seconds in never.items())
            said.append(
                "The time rests on assumptions, as no call of these models or their providers was "
                f"ever timed: {each} a call (RAG_BENCH_ASSUMED_LATENCY_SECONDS)."
            )
        return replace(plan, notes=tuple(said))


class Walk:
    """Goes through steps on one bench; what one would make is told to the next."""

    def __init__(self, bench: Bench, models: Models, chat: LedgerOnly) -> None:
        self._models, self._chat = models, chat
        self.foreseen = Foreseen(bench)
        self._bench = PlannedBench.of(bench, self.foreseen)
        self.notes: list[str] = []

    async def through(self, step: Step, keys: Sequence[Any]) -> None:
        """Count what a step asks for each of its keys."""
        work = registry.resolve(step.work)
        for key in keys:
            await self.through_tasks(step.asset, partial(_of_key, work, step, key))

    async def through_tasks(self, name: str, made: Makes) -> None:
        """Count what the tasks ask for that ``made`` gives of the bench and the models."""
        self._chat.asset = name
        self.foreseen.watch()
        for one in made(self._bench, self._models):
            self._chat.stand_ins = frozenset(self.foreseen.handed_out)
            if isinstance(one, Task):
                # Answers that are had without a call are judged all the same.
                if one.asked is not None or one.kind == "answers":
                    await self._count(one)
            elif not _is_of_a_source(one):
                self._note(f"{name} asks nothing as it is: {one.why}")

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


def _of_key(work: Any, step: Step, key: Any, bench: Bench, models: Models) -> Any:
    return work(bench, models, step, [key])


def _is_of_a_source(one: Nothing[Any] | Blocked[Any]) -> bool:
    """Tell whether an answer source has nothing here, which changes nothing of what is asked: it
    stands among all models, on every dataset.
    """
    return isinstance(one, Nothing) and source_of(one.generation_model or "") is not None


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
