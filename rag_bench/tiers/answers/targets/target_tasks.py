"""Tier 3 of a live assistant: it is asked the questions and nothing else; what it retrieved by
itself is measured beside its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

from rag_bench.errors import CaseError
from rag_bench.evaluation.metrics.target_retrieval import TargetCase, target_retrieval
from rag_bench.evaluation.types import Metric
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.target_reply import EVENTS_TYPE, read_target_reply
from rag_bench.llm.tasks.pipeline import Answer
from rag_bench.llm.tasks.target import ask_target
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers.ahead import cells_ahead
from rag_bench.tiers.answers.asked import (
    added_inputs,
    answer_vectors,
    asked_of,
    encode_soon,
    rehearse,
)
from rag_bench.tiers.answers.earlier import Answers, first_answers
from rag_bench.tiers.answers.measuring import measured_cases, metrics_of, rows_of
from rag_bench.tiers.answers.targets import target_contexts
from rag_bench.tiers.answers.targets.target_answers import TargetAnswer, read_target_answer
from rag_bench.tiers.answers.targets.target_contexts import Resolver
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Declared, Measured, Roles, Task, Work, n_retryable
from rag_bench.tiers.base.models import Models


def target_task(bench: Bench, models: Models, step: Declared, key: str) -> Task[str]:
    """Return the task of an assistant in tier 3.

    Raises:
        ConfigurationError: no target of this key is configured.
    """
    asking = _Asking(bench, models, step, key)
    return Task(
        key,
        step.tier,
        step.kind,
        (
            step.kind,
            step.tier,
            key,
            step.version,
            {"target": asking.target.content(), "resolver": target_contexts.VERSION},
            *added_inputs(step.tier, bench.wanted),
            *models.revised(key),
        ),
        step.version,
        asking.work,
        Roles(generation_model=key),
        asked=key,
        inputs={"target": asking.target.content(), **models.revision_inputs(key)},
    )


class _Asking:
    """What the jobs of one assistant share."""

    def __init__(self, bench: Bench, models: Models, step: Declared, key: str) -> None:
        self._bench, self._models, self._step, self._key = bench, models, step, key
        self._provider, _ = models.providers.split(key)
        self.target = self._provider.require_target()
        self._asked = asked_of(bench, step.tier)

    @cached_property
    def _resolver(self) -> Resolver:
        return Resolver(self._bench.chunks, self.target.similarity)

    @cached_property
    def _knowledge(self) -> str:
        """What the assistant answers from, as far as we know: where it is another, it is asked
        anew. Ids are those of one index, whatever its texts.
        """
        if self.target.ids is None:
            return self._bench.run.corpus_hash
        return content_hash([[chunk.source_id, chunk.chunk_hash] for chunk in self._bench.chunks])

    def work(self) -> Work:
        """Return a job per question and repeat."""
        bench = self._bench
        outlook = self._read_by_judges
        return Work(
            [partial(self._job, item, repeat) for item, repeat in self._asked],
            self._measure,
            self._rehearse,
            outlook,
            heard=partial(encode_soon, bench),
            ahead=lambda replies: cells_ahead(
                bench, self._models, self._step.tier, self._key, outlook(replies)
            ),
            release=bench.stop_encoding,
        )

    def _rehearse(self) -> None:
        rehearse(self._bench, self._step.tier, self._asked)
        read_target_reply(self.target, b"data: {}", EVENTS_TYPE)
        target_retrieval([TargetCase("", [("a", "b")], 1, 0, ["a"], ["b"], "b", True)])
        if self.target.contexts is not None:
            self._resolver.prepare()

    async def _job(self, item: Item, repeat: int) -> TargetAnswer:
        chat, bench = self._models.chat_models, self._bench
        async with chat.case(
            Role.generation,
            item.item_id,
            metric=f"tier_{self._step.tier}",
            repeat=repeat,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            reply = await ask_target(chat, self._provider, item.question, self._knowledge)
            answer = read_target_answer(self.target, reply, self._resolver)
            return replace(answer, flags=tuple(dict.fromkeys((*answer.flags, *call.flags))))

    def _read_by_judges(self, replies: Sequence[Answer | CaseError]) -> dict[str, Case]:
        return {
            item.item_id: Case(
                item.item_id, answer=result.text, retrieved=rows_of(result, ()), flags=result.flags
            )
            for (item, repeat), result in zip(self._asked, replies, strict=True)
            if repeat == 0 and isinstance(result, Answer)
        }

    def _measure(self, results: Sequence[Answer | CaseError]) -> Measured:
        bench, asked = self._bench, self._asked
        vectors = answer_vectors(bench, asked, results)
        nothing = {item.item_id: () for item, _ in asked}
        cases = measured_cases(
            self._step.tier, asked, results, nothing, vectors, bench.twins, bench.wanted
        )
        metrics = metrics_of(bench, self._step.tier, cases, vectors, cache=False)
        if self.target.names_contexts:
            cases, found = self._with_retrieval(results, cases)
            metrics |= found
        return Measured(
            metrics,
            cases,
            n_scored=sum(case.error_code is None for case in cases),
            n_retryable=n_retryable(results),
            inputs={"answers_hash": Answers(first_answers(cases)).hash},
        )

    def _with_retrieval(
        self, results: Sequence[Answer | CaseError], cases: Sequence[Case]
    ) -> tuple[list[Case], Mapping[str, Metric]]:
        """Return the cases with what their contexts score, and the metrics of repeat 0."""
        first = [
            self._target_case(item, result)
            for (item, repeat), result in zip(self._asked, results, strict=True)
            if repeat == 0
        ]
        scores, metrics = target_retrieval(first)
        scored = [
            case
            if case.repeat or case.error_code
            else replace(case, scores={**case.scores, **scores[case.case_id]})
            for case in cases
        ]
        return scored, metrics

    def _target_case(self, item: Item, result: Answer | CaseError) -> TargetCase:
        contexts: list[tuple[str | None, str | None]] | None = None
        resolved = result.resolved if isinstance(result, TargetAnswer) else ()
        if isinstance(result, TargetAnswer):
            contexts = []
            for one in resolved:
                contexts += [(c.chunk_hash, c.page_url) for c in one.chunks] or [(None, one.page)]
            contexts = self._as_judged(contexts, item)
        return TargetCase(
            item.item_id,
            contexts,
            len(resolved),
            sum(one.by == "nothing" for one in resolved),
            item.chunk_hashes,
            item.page_urls,
            item.cluster,
            not item.out_of_scope,
        )

    def _as_judged(
        self, contexts: Sequence[tuple[str | None, str | None]], item: Item
    ) -> list[tuple[str | None, str | None]]:
        """Return the contexts with the relevant one in place of a twin that was named, once."""
        named = list(dict.fromkeys(chunk for chunk, _ in contexts if chunk))
        judged = self._bench.twins.as_judged(named, item.chunk_hashes)
        place = dict(zip(named, judged, strict=True))
        return [(place[chunk] if chunk else None, page) for chunk, page in contexts]
