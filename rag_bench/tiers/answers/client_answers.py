"""Answers that a client of the service gave with its questions: ``client/answers``.

They are in the dataset (kind ``eval``), with the contexts that the client's assistant read. Nothing
is asked. ``[n]`` in an answer cites its n-th context, unless the client says what it cites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.metrics.target_retrieval import METRICS as RETRIEVAL
from rag_bench.evaluation.metrics.target_retrieval import TargetCase, target_retrieval
from rag_bench.evaluation.twins import Twins
from rag_bench.llm.tasks.pipeline import INVALID_CITATION, NO_CITATIONS, Fragment, read_answer
from rag_bench.store.datasets import GIVEN_ANSWER as ANSWER
from rag_bench.store.datasets import GIVEN_CITATIONS, GIVEN_CONTEXTS, Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import measuring
from rag_bench.tiers.answers.asked import added_inputs, answer_vectors
from rag_bench.tiers.answers.earlier import Answers, first_answers
from rag_bench.tiers.answers.own_contexts import OwnContexts
from rag_bench.tiers.answers.stored import GIVEN_ANSWER
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Declared, Measured, Roles, Task, Work

if TYPE_CHECKING:
    from rag_bench.evaluation.types import Metric
    from rag_bench.tiers.base.models import Models

#: What is measured of its contexts; by the names that live assistants' have.
_RETRIEVAL = frozenset(metric.name for metric in RETRIEVAL)


@dataclass(frozen=True, kw_only=True)
class ClientAnswer(OwnContexts):
    """An answer that a client gave.

    Attributes:
        contexts: as the dataset holds them: ``text``, ``chunk_hash``, ``page_url``, ``reference``.
    """

    contexts: tuple[Mapping[str, Any], ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return what is stored of its contexts, in their order."""
        return [dict(context) for context in self.contexts]


def client_task(bench: Bench, models: Models | None, step: Declared, key: str) -> Task[str]:
    """Return the task of a client's answers: one to each question. No model is asked."""
    return Task(
        key,
        step.tier,
        step.kind,
        (step.kind, step.tier, key, step.version, *added_inputs(step.tier, bench.wanted)),
        step.version,
        partial(_work, bench, step.tier),
        Roles(generation_model=key),
    )


def read_client_answer(item: Item, texts: Mapping[str, str]) -> ClientAnswer:
    """Return what a client answered to a question.

    Args:
        item: of its dataset.
        texts: of the chunks that it names without their text, by hash.
    """
    contexts = tuple(item.details.get(GIVEN_CONTEXTS) or ())
    fragments = tuple(
        Fragment(
            context.get("chunk_hash") or f"context {number}",
            context.get("page_url") or "",
            context.get("text") or texts.get(context.get("chunk_hash") or "", ""),
        )
        for number, context in enumerate(contexts, start=1)
    )
    read = read_answer(str(item.details[ANSWER]).strip(), fragments, None)
    citations, flags = read.citations, list(read.flags)
    if (named := item.details.get(GIVEN_CITATIONS)) is not None:
        citations = () if read.refused else tuple(dict.fromkeys(named))
        given = {fragment.chunk_hash for fragment in fragments}
        flags = [flag for flag in flags if flag not in (NO_CITATIONS, INVALID_CITATION)]
        if not citations and not read.refused:
            flags.append(NO_CITATIONS)
        elif contexts and not given.issuperset(citations):
            flags.append(INVALID_CITATION)
    return ClientAnswer(
        text=read.text,
        reply=read.reply,
        citations=citations,
        refused=read.refused,
        latency_ms=None,
        flags=(GIVEN_ANSWER, *flags),
        fragments=fragments,
        contexts=contexts,
    )


def _work(bench: Bench, tier: str) -> Work:
    """Return what there is to measure; it has no jobs."""
    asked = [(item, 0) for item in bench.items]

    def measure(_: Sequence[Any]) -> Measured:
        texts = _texts_of(bench)
        found = [read_client_answer(item, texts) for item in bench.items]
        nothing: measuring.Given = {item.item_id: () for item in bench.items}
        vectors = answer_vectors(bench, asked, found)
        # Only what is read of chunks' identity needs to know which of them are one.
        twins = bench.twins if _names_chunks(bench) else Twins()
        cases = measuring.measured_cases(tier, asked, found, nothing, vectors, twins, bench.wanted)
        metrics = measuring.metrics_of(bench, tier, cases, vectors, cache=False)
        if bench.wanted is None or bench.wanted & _RETRIEVAL:
            cases, retrieval = _with_retrieval(bench.items, found, cases, twins)
            metrics |= retrieval
        return Measured(
            metrics,
            cases,
            n_scored=len(cases),
            inputs={"answers_hash": Answers(first_answers(cases)).hash},
        )

    def outlook(_: Sequence[Any]) -> dict[str, Case]:
        texts = _texts_of(bench)
        found = ((item.item_id, read_client_answer(item, texts)) for item in bench.items)
        return {
            item_id: Case(item_id, answer=one.text or None, retrieved=one.rows(), flags=one.flags)
            for item_id, one in found
        }

    return Work([], measure, partial(measuring.rehearse, tier), outlook)


def _texts_of(bench: Bench) -> Mapping[str, str]:
    """Return the texts of chunks where the client named some without their text."""
    contexts = [c for item in bench.items for c in item.details.get(GIVEN_CONTEXTS) or ()]
    if not any("chunk_hash" in context and "text" not in context for context in contexts):
        return {}
    return {chunk_hash: chunk.text for chunk_hash, chunk in bench.chunk_by_hash.items()}


def _names_chunks(bench: Bench) -> bool:
    return bool(bench.snapshot.sha256) and any(item.chunk_hashes for item in bench.items)


def _with_retrieval(
    items: Sequence[Item],
    answers: Sequence[ClientAnswer],
    cases: Sequence[Case],
    twins: Twins,
) -> tuple[list[Case], Mapping[str, Metric]]:
    """Return the cases with what their contexts score by their ids, and the metrics over all."""
    given = [
        (item, answer, case)
        for item, answer, case in zip(items, answers, cases, strict=True)
        if any("chunk_hash" in context for context in answer.contexts)
    ]
    if not given:
        return list(cases), {}
    scores, metrics = target_retrieval([_target_case(item, a, twins) for item, a, _ in given])
    scored = {case.case_id: {**case.scores, **scores[case.case_id]} for _, _, case in given}
    return [replace(case, scores=scored.get(case.case_id, case.scores)) for case in cases], metrics


def _target_case(item: Item, answer: ClientAnswer, twins: Twins) -> TargetCase:
    chunks = [context.get("chunk_hash") for context in answer.contexts]
    pages = [context.get("page_url") for context in answer.contexts]
    named = list(dict.fromkeys(filter(None, chunks)))
    place = dict(zip(named, twins.as_judged(named, item.chunk_hashes), strict=True))
    return TargetCase(
        item.item_id,
        [
            (place[chunk] if chunk else None, page)
            for chunk, page in zip(chunks, pages, strict=True)
        ],
        len(chunks),
        sum(chunk is None for chunk in chunks),
        item.chunk_hashes,
        item.page_urls,
        item.cluster,
        not item.out_of_scope,
    )
