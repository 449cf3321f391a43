"""The synthetic dataset: questions that a model writes from the chunks, saved as they are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rag_bench.errors import CaseError, RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.llm import prompts, question_writer
from rag_bench.llm.providers import Role
from rag_bench.store import datasets, synthetic
from rag_bench.store.datasets import DatasetInfo, Item
from rag_bench.store.synthetic import SyntheticItem
from rag_bench.tiers.bench import Progress, silent
from rag_bench.tiers.cells import Cell, run_cells
from rag_bench.tiers.models import Models

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import ChunkRecord, SnapshotInfo

CODE_VERSION = "1"


@dataclass(frozen=True)
class SyntheticReport:
    """What came of it. ``n_new`` were asked for now, the others were there already."""

    dataset: DatasetInfo
    n_chunks: int
    n_new: int
    n_retryable: int
    errors: dict[str, int]


async def make_dataset(
    engine: Engine,
    models: Models,
    model: str,
    snapshot: SnapshotInfo,
    chunks: Sequence[ChunkRecord],
    *,
    questions_per_chunk: int = 1,
    retry_failed: bool = False,
    run_id: str | None = None,
    progress: Progress = silent,
) -> SyntheticReport:
    """Write ``questions_per_chunk`` questions for every chunk and store them as a dataset.

    What was made for a chunk stays made, whatever happens to the run or the dump's ids.

    Raises:
        RagBenchError: not one question could be made.
    """
    recipe = content_hash(
        [model, questions_per_chunk, CODE_VERSION, prompts.prompt_hash([question_writer.PROMPT])]
    )
    if retry_failed:
        synthetic.forget_failed(engine, recipe)
    known = synthetic.saved_items(engine, recipe)
    wanted = [(chunk, n) for chunk in chunks for n in range(questions_per_chunk)]
    todo = [(c, n) for c, n in wanted if item_id(c.chunk_hash, n) not in known]

    async def job(chunk: ChunkRecord, n: int) -> SyntheticItem:
        made_id = item_id(chunk.chunk_hash, n)
        try:
            async with models.chat_models.case(
                Role.dataset, made_id, "synthetic_question", n, retry_failed, run_id
            ):
                question, reference = await question_writer.write_question(
                    models.chat_models, model, chunk.text, chunk.page_url
                )
        except CaseError as error:
            if error.retryable:
                raise
            made = SyntheticItem(
                made_id, chunk.chunk_hash, error_code=error.code, error_detail=error.detail
            )
        else:
            made = SyntheticItem(made_id, chunk.chunk_hash, question, reference)
        synthetic.save_item(engine, recipe, made)
        return made

    outcome: list[SyntheticItem | CaseError] = []
    cell: Cell[list[SyntheticItem | CaseError]] = Cell(
        model, models.provider_of(model), [partial(job, c, n) for c, n in todo], list
    )
    await run_cells(
        [cell],
        models.slots,
        lambda _, results: outcome.extend(results),
        lambda done, total: progress("synthetic questions", done, total),
    )
    known |= {made.item_id: made for made in outcome if isinstance(made, SyntheticItem)}
    return _finish(engine, model, snapshot, wanted, known, outcome)


def item_id(chunk_hash: str, n: int) -> str:
    """Return the id of a chunk's n-th synthetic question."""
    return f"syn_{chunk_hash[:16]}_{n}"


def _finish(
    engine: Engine,
    model: str,
    snapshot: SnapshotInfo,
    wanted: Sequence[tuple[ChunkRecord, int]],
    known: dict[str, SyntheticItem],
    outcome: Sequence[SyntheticItem | CaseError],
) -> SyntheticReport:
    items: list[Item] = []
    errors: Counter[str] = Counter()
    seen: set[str] = set()
    for chunk, n in wanted:
        made = known.get(item_id(chunk.chunk_hash, n))
        if made is None:
            continue
        if made.error_code:
            errors[made.error_code] += 1
        elif made.question and " ".join(made.question.casefold().split()) not in seen:
            seen.add(" ".join(made.question.casefold().split()))
            items.append(
                Item(
                    made.item_id,
                    made.question,
                    made.reference_answer,
                    (chunk.chunk_hash,),
                    (chunk.page_url,),
                    {"written_by": model},
                )
            )
        else:
            errors["DUPLICATE"] += 1
    failed = [made for made in outcome if isinstance(made, CaseError)]
    errors.update(error.code for error in failed)
    if not items:
        why = failed[0].detail if failed else "no chunk gave a usable question"
        raise RagBenchError(f"{model} wrote no usable question: {why}")
    dataset = datasets.save_dataset(
        engine,
        f"synthetic_{snapshot.sha256[:8]}_{model.replace('/', '_')}",
        "synthetic",
        items,
        {"model": model, "dump_sha256": snapshot.sha256, "corpus_hash": snapshot.corpus_hash},
    )
    return SyntheticReport(
        dataset, len({c.chunk_hash for c, _ in wanted}), len(outcome), len(failed), dict(errors)
    )
