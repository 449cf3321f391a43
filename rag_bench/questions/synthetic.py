"""The synthetic dataset: questions that a model writes from the chunks and critics let pass.

Written questions are saved as they are made, critics' replies are in the ledger: a killed run
loses what was in flight, and a rerun asks nothing. A dataset is stored when nothing is left to
ask, so that a half-made one can never be the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.evaluation.question_sets import near_duplicates
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.questions.critics import Opinion, criticise, critics_for, prompt_name
from rag_bench.questions.plan import Wish, deal, with_second_chunks
from rag_bench.questions.recipe import CODE_VERSION, Recipe
from rag_bench.questions.record import Made, Outcome, describe
from rag_bench.questions.writer import (
    QuestionType,
    Source,
    Written,
    write_question,
)
from rag_bench.store import datasets, synthetic
from rag_bench.store.datasets import BESIDE_CHUNK, BESIDE_PAGE, DatasetInfo, Item
from rag_bench.store.synthetic import SyntheticItem
from rag_bench.tiers.base.bench import Progress, silent
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.text_vectors import TextVectors

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import ChunkRecord, SnapshotInfo

#: Chunks looked at for each question: by the round trip, and by the critic of those out of scope.
TOP_K = 10


@dataclass(frozen=True)
class SyntheticReport:
    """What came of it: the dataset with its record, or what is left to ask.

    ``n_new`` questions were asked for now, the others were there already. ``n_unwritten`` and
    ``n_uncriticised`` wait for a model that did not answer; while there are any, ``dataset`` is
    None.
    """

    dataset: DatasetInfo | None
    n_chunks: int
    n_new: int
    n_unwritten: int = 0
    n_uncriticised: int = 0
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Run:
    """One pass over a recipe: where it reads and writes."""

    engine: Engine
    models: Models
    recipe: Recipe
    retry_failed: bool
    run_id: str | None
    progress: Progress

    async def each(
        self, label: str, model: str, jobs: Sequence[Callable[[], Coroutine[Any, Any, Any]]]
    ) -> list[Any]:
        """Run jobs within the provider's limits; return a value or CaseError of each, in order."""
        results: list[Any] = []
        cell: Cell[None] = Cell(model, self.models.provider_of(model), jobs, results.extend)
        await run_cells(
            [cell],
            self.models.slots,
            lambda *_: None,
            lambda done, total: self.progress(label, done, total),
        )
        return results


async def make_dataset(
    engine: Engine,
    models: Models,
    recipe: Recipe,
    snapshot: SnapshotInfo,
    chunks: Sequence[ChunkRecord],
    vectors: TextVectors,
    *,
    retry_failed: bool = False,
    run_id: str | None = None,
    progress: Progress = silent,
) -> SyntheticReport:
    """Write the questions that a recipe wants, have them criticised, store them as a dataset.

    What was made for a chunk stays made, whatever happens to the run or the dump's ids.

    Raises:
        RagBenchError: not one question could be made, or critics and rules left none.
    """
    run = _Run(engine, models, recipe, retry_failed, run_id, progress)
    before = datasets.items_of(engine, recipe.extends) if recipe.extends else []
    wishes = wishes_of(recipe, chunks, before)
    if any(wish.type is QuestionType.two_chunk for wish in wishes):
        everything = vectors.of_chunks([chunk.text for chunk in chunks])
        wishes = with_second_chunks(wishes, chunks, everything)
    n_chunks = len({wish.chunk.chunk_hash for wish in wishes})
    saved, n_new, unanswered = await _write(run, wishes)
    if unanswered:
        if not any(item.question for item in saved.values()):
            raise RagBenchError(f"{recipe.writer} wrote no usable question: {unanswered[0].detail}")
        return SyntheticReport(None, n_chunks, n_new, n_unwritten=len(unanswered))
    # One order whatever the dump's: of near-duplicates the first stays, and the first N questions
    # of the dataset are a sample of it.
    ordered = sorted(wishes, key=lambda wish: content_hash(wish.item_id))
    made = [Made(wish, saved[wish.item_id]) for wish in ordered]
    usable = [one for one in made if one.item.question]
    if not usable and not before:
        why = next((one.item.error_detail for one in made), "the corpus has no text")
        raise RagBenchError(f"{recipe.writer} wrote no usable question: {why}")
    _search(usable, chunks, vectors)
    n_uncriticised = await _criticise(run, usable, chunks)
    if n_uncriticised:
        return SyntheticReport(None, n_chunks, n_new, n_uncriticised=n_uncriticised)
    kept = _without_duplicates(usable, before, recipe.near_duplicate_threshold, vectors)
    if not kept and not before:
        raise RagBenchError(
            f"The critics left none of the {len(usable)} questions of {recipe.writer}. "
            f"Said of the first: {usable[0].why}"
        )
    record = describe(recipe, made, vectors.identity.name, CODE_VERSION) | {
        "dump_sha256": snapshot.sha256,
        "corpus_hash": snapshot.corpus_hash,
    }
    name = f"synthetic_{snapshot.sha256[:8]}_{recipe.writer.replace('/', '_')}"
    items = [*before, *(_item(one, recipe) for one in kept)]
    info = datasets.save_dataset(engine, name, "synthetic", items, record, renew=True)
    return SyntheticReport(info, n_chunks, n_new, record=record)


def wishes_of(recipe: Recipe, chunks: Sequence[ChunkRecord], before: Sequence[Item]) -> list[Wish]:
    """Return what is to be written beside the questions that there are already."""
    covered = {h for item in before for h in (*item.chunk_hashes, item.details.get(BESIDE_CHUNK))}
    free = [chunk for chunk in chunks if chunk.chunk_hash not in covered]
    most = recipe.max_questions
    left = None if most is None else max(0, most - len(before))
    return deal(free, recipe.types, recipe.questions_per_chunk, left)


async def _write(
    run: _Run, wishes: Sequence[Wish]
) -> tuple[dict[str, SyntheticItem], int, list[CaseError]]:
    """Return what is saved of all wishes, how many were asked for now, and what was not answered.

    The questions of one chunk are written one after another, as each is told of those before.
    """
    recipe = run.recipe.hash
    if run.retry_failed:
        synthetic.forget_failed(run.engine, recipe)
    saved = synthetic.saved_items(run.engine, recipe)
    n_new, unanswered = 0, list[CaseError]()
    for n in range(run.recipe.questions_per_chunk):
        todo = [wish for wish in wishes if wish.n == n and wish.item_id not in saved]
        asked = _asked_before(wishes, saved, n)
        jobs = [partial(_write_one, run, w, asked.get(w.chunk.chunk_hash, ())) for w in todo]
        results = await run.each("synthetic questions", run.recipe.writer, jobs)
        n_new += len(todo)
        saved |= {one.item_id: one for one in results if isinstance(one, SyntheticItem)}
        failed = [one for one in results if isinstance(one, CaseError)]
        unanswered += failed
        if todo and len(failed) == len(todo):
            break  # nobody is there; the next round would only hear the same
    return saved, n_new, unanswered


def _asked_before(
    wishes: Sequence[Wish], saved: Mapping[str, SyntheticItem], n: int
) -> dict[str, list[str]]:
    """Return the questions numbered below n that there are, by chunk."""
    asked: dict[str, list[str]] = {}
    for wish in wishes:
        item = saved.get(wish.item_id)
        if wish.n < n and item and item.question:
            asked.setdefault(wish.chunk.chunk_hash, []).append(item.question)
    return asked


async def _write_one(run: _Run, wish: Wish, known: Sequence[str]) -> SyntheticItem:
    chat = run.models.chat_models
    second = Source(wish.second.text, wish.second.page_url) if wish.second else None
    address = (wish.item_id, wish.chunk.chunk_hash)
    try:
        if wish.type is QuestionType.two_chunk and second is None:
            raise CaseError(ErrorCode.INVALID_INPUT, "the corpus has no second chunk for this one")
        async with chat.case(
            Role.dataset, wish.item_id, "synthetic_question", wish.n, run.retry_failed, run.run_id
        ):
            written: Written = await write_question(
                chat,
                run.recipe.writer,
                wish.chunk.text,
                wish.chunk.page_url,
                question_type=wish.type,
                second=second,
                known=known,
            )
    except CaseError as error:
        if error.retryable:
            raise
        made = SyntheticItem(*address, error_code=error.code, error_detail=error.detail)
    else:
        made = SyntheticItem(*address, written.question, written.reference_answer)
    synthetic.save_item(run.engine, run.recipe.hash, made)
    return made


def _search(usable: Sequence[Made], chunks: Sequence[ChunkRecord], vectors: TextVectors) -> None:
    """Note for each question the chunks that retrieval finds, best first."""
    from rag_bench.retrieval.search import top_k

    asked = vectors.of_questions([one.question for one in usable])
    rows = top_k(asked, vectors.of_chunks([chunk.text for chunk in chunks]), TOP_K).indices
    for one, row in zip(usable, rows, strict=True):
        one.found = [chunks[int(place)].chunk_hash for place in row]


async def _criticise(run: _Run, usable: Sequence[Made], chunks: Sequence[ChunkRecord]) -> int:
    """Note what the critics say of each question; return how many wait for an answer."""
    critic = run.recipe.critic
    if critic is None:
        return 0
    texts = {chunk.chunk_hash: chunk.text for chunk in chunks}
    jobs = [partial(_criticise_one, run, critic, one, texts) for one in usable]
    results = await run.each("criticism of questions", critic, jobs)
    for one, result in zip(usable, results, strict=True):
        if isinstance(result, CaseError):
            continue
        one.opinions, one.critic_error = result
        if one.why:
            one.outcome = Outcome.rejected
        elif one.critic_error:
            one.outcome = Outcome.not_criticised
    return sum(isinstance(result, CaseError) for result in results)


async def _criticise_one(
    run: _Run, critic_model: str, made: Made, texts: Mapping[str, str]
) -> tuple[list[Opinion], CaseError | None]:
    """Ask all critics of a question, also after one rejected it: the counts are of all."""
    opinions: list[Opinion] = []
    failed: CaseError | None = None
    wish = made.wish
    out_of_scope = wish.type is QuestionType.out_of_scope
    own = made.found if out_of_scope else [chunk.chunk_hash for chunk in wish.chunks]
    chat = run.models.chat_models
    for critic in critics_for(wish.type):
        try:
            async with chat.case(
                Role.dataset, wish.item_id, prompt_name(critic), 0, run.retry_failed, run.run_id
            ):
                opinion = await criticise(
                    chat,
                    critic_model,
                    critic,
                    wish.type,
                    question=made.question,
                    reference_answer=made.item.reference_answer or "",
                    chunks=[texts[address] for address in own],
                )
        except CaseError as error:
            if error.retryable:
                raise
            failed = failed or error
        else:
            opinions.append(opinion)
    return opinions, failed


def _without_duplicates(
    usable: Sequence[Made], before: Sequence[Item], threshold: float, vectors: TextVectors
) -> list[Made]:
    """Return the questions that passed and repeat none before them; note which repeat which."""
    passed = [one for one in usable if one.outcome is Outcome.kept]
    questions = [item.question for item in before] + [one.question for one in passed]
    ids = [item.item_id for item in before] + [one.wish.item_id for one in passed]
    found = near_duplicates(questions, vectors.of_questions(questions), threshold)
    for place, of in found.items():
        if place >= len(before):  # what is there already stays
            passed[place - len(before)].outcome = Outcome.duplicate
            passed[place - len(before)].repeats = ids[of]
    return [one for one in passed if one.outcome is Outcome.kept]


def _item(made: Made, recipe: Recipe) -> Item:
    wish = made.wish
    details: dict[str, Any] = {"type": wish.type.value, "written_by": recipe.writer}
    if recipe.critic:
        details["criticised_by"] = recipe.critic
        details["critics"] = {one.critic.value: one.value for one in made.opinions}
    hashes = tuple(chunk.chunk_hash for chunk in wish.chunks)
    pages = tuple(dict.fromkeys(chunk.page_url for chunk in wish.chunks))
    if wish.type is QuestionType.out_of_scope:
        # No chunk is relevant; which one it was written beside is only told.
        details |= {BESIDE_CHUNK: hashes[0], BESIDE_PAGE: pages[0]}
        hashes, pages = (), ()
    return Item(wish.item_id, made.question, made.item.reference_answer, hashes, pages, details)
