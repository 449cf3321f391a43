"""Answers of the pipeline under test, per generation model: tiers 2 and 3 before any judge.

Tier 2 gives the generator the whole relevant chunks (the forerunner cut them to 500 characters);
tier 3 what retrieval found. The answer is taken before the show/hide gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import Answer, Fragment, answer_question
from rag_bench.store import evaluations
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation
from rag_bench.tiers.answers import cached_answers, measuring
from rag_bench.tiers.answers.cached_answers import CachedAnswer
from rag_bench.tiers.answers.measuring import Vectors, measured_cases, metrics_of
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.missing import no_answers
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.run_settings import Tier
from rag_bench.tiers.retrieval.retrieval import Ranking, given, rankings

if TYPE_CHECKING:
    pass

CODE_VERSION = "6"


OnDone = Callable[[str, StoredEvaluation], None]
R = TypeVar("R")


@dataclass(frozen=True)
class Context:
    """What a generator is given for one question; ``error`` says why it cannot be.

    With ``cached``, no generator is asked, and ``fragments`` are those of that answer's page.
    """

    fragments: tuple[Fragment, ...] = ()
    error: CaseError | None = None
    cached: CachedAnswer | None = None


async def answer_cells(
    bench: Bench, models: Models, tier: Tier, generation_models: Sequence[str], on_done: OnDone
) -> None:
    """Make, or find already made, the answers of each generation model; report each as it ends.

    Raises:
        RagBenchError: tier 3 without a retrieval of these settings.
    """
    if tier == "3" and bench.run.cached_answers:
        cached_answers.encode_questions(bench)
    contexts, source = contexts_of(bench, tier)
    cells: list[Cell[StoredEvaluation]] = []
    for model in generation_models:
        input_hash = bench.input_hash(
            "answers",
            tier,
            model,
            CODE_VERSION,
            source,
            *models.asked_otherwise(bench.settings, model, Role.generation),
            *added_inputs(tier),
        )
        found = evaluations.find_finished(bench.engine, input_hash, retry_failed=bench.retry_failed)
        if found:
            on_done(model, found)
            continue
        cells.append(make_cell(bench, models, tier, model, contexts, input_hash, source))
    await run_cells(
        cells,
        models.slots,
        lambda cell, result: on_done(cell.key, result),
        lambda done, total: bench.progress(f"tier {tier} answers", done, total),
    )


def added_inputs(tier: Tier) -> tuple[Any, ...]:
    """Return what enters the input hash for metrics that ``CODE_VERSION`` does not count."""
    added = measuring.added_versions(tier)
    return ({"metrics": added},) if added else ()


def contexts_of(bench: Bench, tier: Tier) -> tuple[dict[str, Context], Mapping[str, Any]]:
    """Return what the generator gets for each item, and where it comes from (for the records)."""
    if tier == "2":
        return {item.item_id: _gold_context(bench, item) for item in bench.items}, {}
    found, ranked = rankings(bench)
    contexts = {
        item.item_id: _retrieved_context(bench, ranked.get(item.item_id)) for item in bench.items
    }
    source: dict[str, Any] = {"retrieval_evaluation": found.id}
    if bench.run.cached_answers:
        cached = cached_answers.cached_answers(bench)
        contexts |= {key: Context(hit.fragments, cached=hit) for key, hit in cached.items()}
        source["cache"] = cached_answers.cache_version(cached)
    return contexts, source


def _gold_context(bench: Bench, item: Item) -> Context:
    missing = [h for h in item.chunk_hashes if h not in bench.chunk_by_hash]
    if missing or not item.chunk_hashes:
        what = "has no relevant chunk" if not missing else "names a chunk that is not in the dump"
        return Context(error=CaseError(ErrorCode.INVALID_INPUT, f"the question {what}"))
    return Context(tuple(fragment_of(bench, h) for h in item.chunk_hashes))


def _retrieved_context(bench: Bench, ranking: Ranking | None) -> Context:
    if ranking is None:
        return Context(error=CaseError(ErrorCode.INVALID_INPUT, "retrieval has no such question"))
    chosen = given(bench, ranking)
    if not chosen:
        least = bench.run.retrieval_threshold
        return Context(
            error=CaseError(ErrorCode.INVALID_INPUT, f"no chunk is as similar as {least}")
        )
    return Context(tuple(fragment_of(bench, h) for h in chosen))


def fragment_of(bench: Bench, chunk_hash: str) -> Fragment:
    """Return a chunk of the snapshot as a generator gets it."""
    chunk = bench.chunk_by_hash[chunk_hash]
    return Fragment(chunk_hash, chunk.page_url, chunk.text)


def make_cell(
    bench: Bench,
    models: Models,
    tier: Tier,
    model: str,
    contexts: Mapping[str, Context],
    input_hash: str,
    source: Mapping[str, Any],
) -> Cell[StoredEvaluation]:
    """Return the work of one generation model: a job per question and repeat.

    Questions that the cache answers have none; ``with_cached`` puts their answers in place.
    """
    started = datetime.now(UTC)
    asked = asked_of(bench, tier)

    async def job(item: Item, repeat: int) -> Answer:
        context = contexts[item.item_id]
        if context.error:
            raise context.error
        async with models.chat_models.case(
            Role.generation,
            item.item_id,
            metric=f"tier_{tier}",
            repeat=repeat,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            answer = await answer_question(
                models.chat_models, model, item.question, context.fragments
            )
            return replace(answer, flags=(*answer.flags, *call.flags))

    def finish(replies: list[Answer | CaseError]) -> StoredEvaluation:
        results = with_cached(asked, contexts, replies)
        vectors = _answer_vectors(bench, asked, results)
        given_to = {item_id: context.fragments for item_id, context in contexts.items()}
        cases = measured_cases(tier, asked, results, given_to, vectors, bench.twins)
        metrics = metrics_of(bench, tier, cases, vectors)
        new = NewEvaluation(
            tier=tier,
            kind="answers",
            generation_model=model,
            input_hash=input_hash,
            started_at=started,
            code_version=CODE_VERSION,
            inputs={**source, "answers_hash": answers_hash(first_answers(cases))},
            metrics={name: metric.to_json() for name, metric in metrics.items()},
            n_retryable=sum(isinstance(r, CaseError) and r.retryable for r in results),
            **bench.identity(),
        )
        n_scored = sum(case.error_code is None for case in cases)
        return evaluations.save_evaluation(bench.engine, new, cases, n_scored=n_scored)

    provider = models.provider_of(model)
    jobs = [partial(job, item, r) for item, r in asked if not contexts[item.item_id].cached]
    return Cell(model, provider, jobs, finish, partial(_rehearse, bench, tier))


def _rehearse(bench: Bench, tier: Tier) -> None:
    bench.rehearse_encoding()
    measuring.rehearse(tier)


def asked_of(bench: Bench, tier: Tier) -> list[tuple[Item, int]]:
    """Return what a tier asks every generation model: each question with each repeat."""
    # Tier 2 has nothing to give for a question that no chunk answers: it does not apply there.
    items = [item for item in bench.items if tier == "3" or not item.out_of_scope]
    return [(item, r) for item in items for r in range(bench.run.consistency_runs)]


def with_cached(
    asked: Sequence[tuple[Item, int]], contexts: Mapping[str, Context], replies: Sequence[R]
) -> list[R | CachedAnswer]:
    """Return a result for all that was asked: the jobs' in their order, cached ones between."""
    given = iter(replies)
    return [contexts[item.item_id].cached or next(given) for item, _ in asked]


def _answer_vectors(
    bench: Bench, asked: Sequence[tuple[Item, int]], results: Sequence[Answer | CaseError]
) -> Vectors:
    """Return the vectors of all answers and references by their text.

    Both sides are encoded as questions are: e5 wants one prefix on both for plain similarity.
    """
    answers = {result.text for result in results if isinstance(result, Answer)}
    references = {item.reference_answer for item, _ in asked if item.reference_answer}
    texts = sorted(answers | references)
    if not texts:
        return {}
    exact = [bench.encoder_identity.query_text(text) for text in texts]
    bench.embed(exact, "encoding answers")
    return dict(zip(texts, bench.vectors(exact), strict=True))


def answers_of(
    bench: Bench, tier: Tier, generation_model: str
) -> tuple[StoredEvaluation, dict[str, Case]]:
    """Return the stored answers (repeat 0) of a model under exactly these settings.

    Raises:
        RagBenchError: there are none; the message says which settings there are.
    """
    found = evaluations.latest(
        bench.engine,
        tier=tier,
        kind="answers",
        settings_hash=bench.run.hash,
        generation_model=generation_model,
    )
    if found is None:
        raise RagBenchError(no_answers(bench, tier, generation_model))
    return found, first_answers(evaluations.cases_of(bench.engine, found.id))


def first_answers(cases: Sequence[Case]) -> dict[str, Case]:
    """Return each question's repeat 0, which is the one that is judged."""
    return {case.case_id: case for case in cases if case.repeat == 0}


def answers_hash(cases: Mapping[str, Case]) -> str:
    """Return the address of a set of answers and what they were made from: what a judge reads."""
    return content_hash(
        [
            [
                key,
                case.answer,
                case.error_code,
                [row["chunk_hash"] for row in case.retrieved or []],
            ]
            for key, case in sorted(cases.items())
        ]
    )
