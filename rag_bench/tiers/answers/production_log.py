"""The answers that users really got, in place of a generation model: ``production/log``.

A dataset of kind ``traffic`` holds users' questions with production's answers, both masked when it
was made. Nothing is asked: the stored answer is taken with the chunks of the page that it cites, as
a cached answer is (`rag_bench.tiers.answers.stored`). So every judge scores it beside a model that
is asked the same questions; `rag_bench.tiers.answers.apart` says which answers are scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.text import is_answer
from rag_bench.errors import RagBenchError
from rag_bench.store.datasets import PRODUCTION_ANSWER, PRODUCTION_PAGE, USER_RATING, Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import measuring
from rag_bench.tiers.answers.asked import added_inputs, answer_vectors
from rag_bench.tiers.answers.earlier import Answers, first_answers
from rag_bench.tiers.answers.stored import (
    LOGGED_ANSWER,
    UNANSWERED,
    StoredAnswer,
    page_fragments,
)
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Declared, Measured, Roles, Task, Work

if TYPE_CHECKING:
    from rag_bench.llm.tasks.pipeline import Fragment
    from rag_bench.tiers.base.models import Models


@dataclass(frozen=True, kw_only=True)
class LoggedAnswer(StoredAnswer):
    """What production answered to the very question.

    Attributes:
        origin: the page that it cites, and the user's rating if there is one.
    """

    origin: Mapping[str, Any] = field(default_factory=dict)

    def scores(self) -> dict[str, Any]:
        """Return what is stored of its origin with a case."""
        return dict(self.origin)


def logged_task(bench: Bench, models: Models, step: Declared, key: str) -> Task[str]:
    """Return the task of the log: the stored answer to each question. No model is asked, and each
    question has one answer, whatever the number of repeats.
    """
    return Task(
        key,
        step.tier,
        step.kind,
        (step.kind, step.tier, key, step.version, *added_inputs(step.tier)),
        step.version,
        partial(_work, bench, step.tier),
        Roles(generation_model=key),
    )


def _work(bench: Bench, tier: str) -> Work:
    """Return what there is to measure; it has no jobs."""
    given = _pages(bench)
    asked = [(item, 0) for item in bench.items]
    found = [logged_answer(item, given[item.item_id]) for item in bench.items]

    def measure(_: Sequence[Any]) -> Measured:
        vectors = answer_vectors(bench, asked, found)
        cases = measuring.measured_cases(tier, asked, found, given, vectors, bench.twins)
        return Measured(
            measuring.metrics_of(bench, tier, cases, vectors),
            cases,
            n_scored=len(cases),
            inputs={"answers_hash": Answers(first_answers(cases)).hash},
        )

    def outlook(_: Sequence[Any]) -> dict[str, Case]:
        return {
            item.item_id: Case(
                item.item_id,
                answer=answer.text or None,
                retrieved=[{"chunk_hash": f.chunk_hash} for f in answer.fragments],
                flags=answer.flags,
            )
            for item, answer in zip(bench.items, found, strict=True)
        }

    def rehearse() -> None:
        bench.rehearse_encoding()
        measuring.rehearse(tier)

    return Work([], measure, rehearse, outlook, release=bench.stop_encoding)


def logged_answer(item: Item, fragments: tuple[Fragment, ...]) -> LoggedAnswer:
    """Return what production answered to a question; without a text: nothing."""
    text = str(item.details.get(PRODUCTION_ANSWER) or "").strip()
    return LoggedAnswer(
        text=text,
        reply=text,
        citations=(),
        refused=bool(text) and not is_answer(text),
        latency_ms=None,
        flags=(LOGGED_ANSWER,) if text else (LOGGED_ANSWER, UNANSWERED),
        fragments=fragments,
        origin={
            name: item.details[name]
            for name in (PRODUCTION_PAGE, USER_RATING)
            if item.details.get(name) is not None
        },
    )


def _pages(bench: Bench) -> dict[str, tuple[Fragment, ...]]:
    """Return the chunks of the page that each answer cites, nearest to the question first.

    A plan encodes nothing: where there are no vectors yet it counts with the chunks as they stand.
    """
    answered = [item for item in bench.items if item.details.get(PRODUCTION_ANSWER)]
    page_of = {item.item_id: item.details.get(PRODUCTION_PAGE) for item in answered}
    if bench.foreseen is None:
        identity, pages = bench.encoder_identity, set(page_of.values())
        texts = [identity.query_text(item.question) for item in answered]
        passages = [identity.passage_text(c.text) for c in bench.chunks if c.page_url in pages]
        bench.embed([*texts, *passages], "encoding questions")
    found: dict[str, tuple[Fragment, ...]] = {item.item_id: () for item in bench.items}
    for item in answered:
        page = page_of[item.item_id]
        try:
            found[item.item_id] = page_fragments(bench, page, item.question)
        except RagBenchError:
            if bench.foreseen is None:
                raise
            found[item.item_id] = page_fragments(bench, page, None)
    return found
