"""Group datasets: gold questions, labelled pairs, and questions that a model writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from rag_bench import progress
from rag_bench.assets.factories.cells import log_progress
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import words_table
from rag_bench.assets.inputs.source import chunk
from rag_bench.resources import DatabaseResource, ModelsResource
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import Item
    from rag_bench.store.snapshots import ChunkRecord

GROUP = "datasets"


class FilesConfig(dg.Config):
    """Which files to read; none: those that come with the project's data."""

    paths: list[str] = Field(
        default=[], description="JSON, JSONL or CSV files; empty: the data folder."
    )
    name: str = Field(default="", description="The dataset's name; empty: after the files.")


def _files(config: FilesConfig, folder: str) -> list[Path]:
    if config.paths:
        return [Path(path) for path in config.paths]
    found = (get_settings().data_dir / folder).glob("*")
    return sorted(p for p in found if p.suffix.startswith(".json") or p.suffix == ".csv")


def _in_reading_order(chunks: "Sequence[ChunkRecord]") -> "list[ChunkRecord]":
    """Order chunks as the data folder's pages have them, the others after in their own order.

    Gold questions name "the second chunk of the page", and a reindex may shuffle the database.
    """
    from rag_bench.demo.corpus import read_corpus

    data_dir = get_settings().data_dir
    if not (data_dir / "corpus").is_dir():
        return list(chunks)
    texts = ((page.url, text) for page in read_corpus(data_dir).pages for text in page.chunks)
    order = {address: position for position, address in enumerate(texts)}
    return sorted(chunks, key=lambda c: (order.get((c.page_url, c.text), len(order)), c.position))


@asset(group_name=GROUP, kinds={"postgres", "json"}, deps=[chunk], code_version="1")
def manual_dataset(
    context: dg.AssetExecutionContext, config: FilesConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Gold questions with reference answers and relevant chunks, written by people.

    Without paths: the questions of the data folder, if they are about the current snapshot; on
    any other snapshot there is nothing to do, and its own default dataset stays as it is.
    """
    from rag_bench.errors import RagBenchError
    from rag_bench.source.question_files.dataset_files import read_dataset, read_gold
    from rag_bench.store import datasets, snapshots

    engine = database.engine
    snapshot = snapshots.require_current(engine)
    chunks = _in_reading_order(snapshots.chunks_of(engine, snapshot.sha256))
    files = _files(config, "gold")
    try:
        items = read_gold(files, chunks) if files else []
    except RagBenchError:
        if config.paths or any(
            i.chunk_hashes for i in read_dataset(files, chunks, strict=False).items
        ):
            raise
        items = []
    if not items:
        note = "the data folder holds no questions about this snapshot"
        context.log.info(note)
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"), metadata={"n_items": 0, "note": note}
        )
    info = datasets.save_dataset(engine, config.name or "gold", "manual", items)
    if snapshot.default_dataset_id is None:
        snapshots.set_default_dataset(engine, snapshot.sha256, info.id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(info.id),
        metadata={
            "dataset": str(info),
            "dataset_id": info.id,
            "n_items": info.n_items,
            "n_pages": len({url for item in items for url in item.page_urls}),
            "preview": words_table(
                ["question", "reference answer"],
                [[item.question, item.reference_answer] for item in items[:8]],
                engine,
            ),
        },
    )


@asset(group_name=GROUP, kinds={"postgres", "json"}, deps=[chunk], code_version="2")
def show_hide_dataset(
    context: dg.AssetExecutionContext, config: FilesConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """Answers that people labelled show or hide, for the production judges.

    Without paths: the pairs of the data folder, if they are about the current snapshot (the
    context of one is found in it); on any other there is nothing to do, and pairs that were
    imported for it are used.
    """
    from rag_bench.source.question_files.dataset_files import read_pairs
    from rag_bench.store import datasets, snapshots

    engine = database.engine
    snapshot = snapshots.require_current(engine)
    files = _files(config, "show_hide")
    items = read_pairs(files) if files else []
    if not config.paths and not _are_about(items, snapshots.chunks_of(engine, snapshot.sha256)):
        items = []
    if not items:
        used = datasets.pairs_for(engine, snapshot.sha256)
        note = "the data folder holds no labelled pairs about this snapshot"
        note += f"; used are {used}" if used else ""
        context.log.info(note)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(used.id if used else "none"),
            metadata={"n_items": 0, "note": note},
        )
    info = datasets.save_dataset(
        engine, config.name or "show_hide", datasets.PAIRS, items, snapshot=snapshot.sha256
    )
    shown = sum(bool(item.details["ground_truth_show"]) for item in items)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(info.id),
        metadata={
            "dataset": str(info),
            "dataset_id": info.id,
            "n_items": info.n_items,
            "n_show": shown,
            "n_hide": info.n_items - shown,
        },
    )


def _are_about(pairs: "Sequence[Item]", chunks: "Sequence[ChunkRecord]") -> bool:
    """Tell whether labelled pairs are about these chunks: one's context is, or none has any."""
    from rag_bench.source.question_files.context_binding import Bound, ContextBinder

    binder = ContextBinder(chunks)
    contexts = [item.details["context"] for item in pairs if item.details["context"]]
    return not contexts or any(binder.bind(context) != Bound() for context in contexts)


def _dataset_id(engine: "Engine", reference: str) -> str:
    from rag_bench.errors import RagBenchError
    from rag_bench.store import datasets

    found = datasets.find_dataset(engine, reference)
    if found is None or found.kind == "show_hide":
        raise RagBenchError(f"There is no dataset of questions {reference!r} to extend.")
    return found.id


class SyntheticConfig(dg.Config):
    """Who writes how many questions of which types, and who criticises them."""

    model: str = Field(
        default="", description="Model key; empty: DATASET_MODEL, else the first benchmark judge."
    )
    questions_per_chunk: int = Field(default=1, ge=1, le=10)
    types: list[str] = Field(
        default=["simple"],
        description="simple, paraphrased, misspelt, conditional, two_chunk, out_of_scope; several "
        "are dealt over the chunks in turn.",
    )
    max_questions: int | None = Field(
        default=None,
        ge=1,
        description="Ask for so many at most, about a sample of the chunks; what is left out "
        "makes the dataset smaller.",
    )
    critics: bool = Field(
        default=True, description="Leave out what the critics reject; about three calls each."
    )
    critic_model: str = Field(
        default="",
        description="Model key; empty: the writer, which may pass its own mistakes.",
    )
    extends: str = Field(
        default="",
        description="Dataset id or name: its questions are kept, its chunks are not asked about.",
    )
    near_duplicate_threshold: float = Field(
        default=0.97,
        gt=0,
        le=1,
        description="Cosine of two questions from which the second is left out; it depends on "
        "the encoder.",
    )
    retry_failed: bool = Field(
        default=False, description="Ask again where a reply could not be used."
    )


@asset(group_name=GROUP, kinds={"postgres", "openai"}, deps=[chunk], code_version="3")
def synthetic_dataset(
    context: dg.AssetExecutionContext,
    config: SyntheticConfig,
    database: DatabaseResource,
    models: ModelsResource,
) -> dg.MaterializeResult:
    """Questions that a model writes from the chunks and critics let pass: of several types, saved
    as made, resumed after a kill. Calls models.
    """
    from rag_bench.assets.inputs.synthetic_description import synthetic_metadata
    from rag_bench.llm.config.providers import Providers, Role
    from rag_bench.questions.plan import parse_types
    from rag_bench.questions.recipe import Recipe
    from rag_bench.questions.synthetic import make_dataset
    from rag_bench.store import datasets, snapshots
    from rag_bench.tiers.base.text_vectors import TextVectors

    engine = database.engine
    snapshot = snapshots.require_current(engine)
    providers = Providers.from_environment()
    writer = config.model or providers.resolve_models(Role.dataset)[0]
    recipe = Recipe(
        writer=writer,
        critic=(config.critic_model or writer) if config.critics else None,
        types=parse_types(config.types),
        questions_per_chunk=config.questions_per_chunk,
        max_questions=config.max_questions,
        extends=_dataset_id(engine, config.extends) if config.extends else None,
        near_duplicate_threshold=config.near_duplicate_threshold,
    )
    with log_progress(context):
        report = models.run(
            engine,
            lambda opened: make_dataset(
                engine,
                opened,
                recipe,
                snapshot,
                snapshots.chunks_of(engine, snapshot.sha256),
                TextVectors(engine, get_settings(), progress.report),
                retry_failed=config.retry_failed,
                run_id=context.run.run_id,
                progress=progress.report,
            ),
        )
    if report.dataset is None:
        raise dg.Failure(
            f"{report.n_unwritten} questions are not written and {report.n_uncriticised} not "
            "criticised yet, as the model did not answer; the others are kept. Materialize again "
            "to go on.",
            allow_retries=False,
        )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(report.dataset.id),
        metadata=synthetic_metadata(
            report,
            datasets.items_of(engine, report.dataset.id),
            providers.models_for(Role.benchmark_judge),
        ),
    )


ASSETS = [manual_dataset, show_hide_dataset, synthetic_dataset]
