"""Answers of the pipeline under test, per generation model: tiers 2 and 3 before any judge.

Tier 2 gives the generator the whole relevant chunks (the forerunner cut them to 500 characters);
tier 3 what retrieval found. The answer is taken before the show/hide gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag_bench.answer_sources import source_of, why_nothing
from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import Answer, answer_question
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers import registry
from rag_bench.tiers.answers.ahead import cells_ahead
from rag_bench.tiers.answers.asked import (
    added_inputs,
    answer_vectors,
    asked_of,
    encode_soon,
    rehearse,
)
from rag_bench.tiers.answers.contexts import Context, contexts_of
from rag_bench.tiers.answers.earlier import Answers, first_answers
from rag_bench.tiers.answers.measuring import measured_cases, metrics_of
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import (
    Blocked,
    Declared,
    Measured,
    Nothing,
    Planned,
    Roles,
    Task,
    Work,
    n_retryable,
)
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.retrieval.retrieval import NotRetrievedError


@dataclass(frozen=True)
class Asking:
    """What a tier asks every generation model, and what the cache answers in its place.

    Attributes:
        asked: each question with each repeat, in the order of the cases.
        contexts: by item.
    """

    asked: Sequence[tuple[Item, int]]
    contexts: Mapping[str, Context]

    @property
    def of_model(self) -> list[tuple[Item, int]]:
        """What a model is asked: all that the cache does not answer."""
        return [(item, n) for item, n in self.asked if not self.contexts[item.item_id].cached]

    def results(self, replies: Sequence[Answer | CaseError]) -> list[Answer | CaseError]:
        """Return a result for all that was asked: a model's reply, or the cache's answer."""
        replied = {
            (item.item_id, repeat): reply
            for (item, repeat), reply in zip(self.of_model, replies, strict=True)
        }
        return [
            self.contexts[item.item_id].cached or replied[item.item_id, repeat]
            for item, repeat in self.asked
        ]


def answer_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per generation model: every question, with each repeat. An answer source says
    itself what there is to do for it.
    """
    kind = bench.dataset.kind
    planned: dict[str, Planned[str]] = {
        key: Nothing(key, why, key) for key in keys if (why := why_nothing(key, step.tier, kind))
    }
    for key in keys:
        if key not in planned and (source := source_of(key)):
            planned[key] = registry.resolve(source.tasks)(bench, models, step, key)
    asked = [key for key in keys if key not in planned]
    planned |= {task.key: task for task in _of_models(bench, models, step, asked)}
    return [planned[key] for key in keys]


def _of_models(
    bench: Bench, models: Models, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    if not keys:
        return []
    try:
        contexts, source = contexts_of(bench, step.tier)
    except NotRetrievedError as error:
        return [Blocked(model, str(error)) for model in keys]
    asking = Asking(asked_of(bench, step.tier), contexts)
    return [
        Task(
            model,
            step.tier,
            step.kind,
            (
                step.kind,
                step.tier,
                model,
                step.version,
                source,
                *models.asked_otherwise(bench.settings, model, Role.generation),
                *added_inputs(step.tier, bench.wanted),
            ),
            step.version,
            partial(_work, bench, models, step, asking, model),
            Roles(generation_model=model),
            asked=model,
            inputs={**source, **models.revision_inputs(model)},
        )
        for model in keys
    ]


def _work(bench: Bench, models: Models, step: Declared, asking: Asking, model: str) -> Work:
    """Return the jobs of one model: one per question and repeat that the cache does not answer."""

    async def job(item: Item, repeat: int) -> Answer:
        context = asking.contexts[item.item_id]
        if context.error:
            raise context.error
        async with models.chat_models.case(
            Role.generation,
            item.item_id,
            metric=f"tier_{step.tier}",
            repeat=repeat,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            answer = await answer_question(
                models.chat_models, model, item.question, context.fragments
            )
            return replace(answer, flags=(*answer.flags, *call.flags))

    def measure(replies: Sequence[Answer | CaseError]) -> Measured:
        results = asking.results(replies)
        vectors = answer_vectors(bench, asking.asked, results)
        given = {item_id: context.fragments for item_id, context in asking.contexts.items()}
        cases = measured_cases(
            step.tier,
            asking.asked,
            results,
            given,
            vectors,
            bench.twins,
            bench.wanted,
        )
        return Measured(
            metrics_of(bench, step.tier, cases, vectors),
            cases,
            n_scored=sum(case.error_code is None for case in cases),
            n_retryable=n_retryable(results),
            inputs={"answers_hash": Answers(first_answers(cases)).hash},
        )

    jobs = [partial(job, item, repeat) for item, repeat in asking.of_model]
    outlook = partial(_read_by_judges, asking)
    return Work(
        jobs,
        measure,
        partial(rehearse, bench, step.tier, asking.asked),
        outlook,
        heard=partial(encode_soon, bench),
        ahead=lambda replies: cells_ahead(bench, models, step.tier, model, outlook(replies)),
        release=bench.stop_encoding,
    )


def _read_by_judges(asking: Asking, replies: Sequence[Answer | CaseError]) -> dict[str, Case]:
    """Return what judges will read: the first answer to each question that has one."""
    return {
        item.item_id: Case(
            item.item_id, answer=result.text, retrieved=_retrieved(asking.contexts[item.item_id])
        )
        for (item, repeat), result in zip(asking.asked, asking.results(replies), strict=True)
        if repeat == 0 and isinstance(result, Answer)
    }


def _retrieved(context: Context) -> list[dict[str, str]]:
    return [{"chunk_hash": f.chunk_hash, "page_url": f.page_url} for f in context.fragments]
