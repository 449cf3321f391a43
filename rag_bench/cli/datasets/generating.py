"""``rag-bench generate-dataset``: questions written from the chunks, and files to annotate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_bench.cli.app import (
    app,
    check_stage,
    console,
    errors,
    open_engine,
    open_sweep,
    progress_bars,
)
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import DatasetInfo
    from rag_bench.store.snapshots import SnapshotInfo

MODES = ("synthetic", "export-annotation")


@app.command("generate-dataset")
def generate_dataset(
    mode: Annotated[
        str,
        typer.Option(
            help="synthetic: a model writes questions from the chunks. export-annotation: write a "
            "dataset as a file in which people mark what is wrong."
        ),
    ] = "synthetic",
    max_questions: Annotated[
        int | None,
        typer.Option(
            "--max-questions",
            "--num-samples",
            help="Ask for so many at most, about a sample of the chunks; empty: about all.",
            min=1,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The JSON file to write; export-annotation needs it."),
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Say what would be asked, and ask nothing.")
    ] = False,
    skip_existing_dataset: Annotated[
        str,
        typer.Option(
            help="A dataset's file, id or name: keep its questions, ask about the other chunks."
        ),
    ] = "",
    generation_attempts: Annotated[
        int,
        typer.Option(help="Go on so often where the model does not answer.", min=1),
    ] = 3,
    model: Annotated[
        str, typer.Option(help="Who writes; empty: DATASET_MODEL, else the first judge.")
    ] = "",
    critic_model: Annotated[str, typer.Option(help="Who criticises; empty: the writer.")] = "",
    critics: Annotated[bool, typer.Option(help="Leave out what the critics reject.")] = True,
    types: Annotated[
        str,
        typer.Option(
            help="Comma-separated: simple, paraphrased, misspelt, conditional, two_chunk, "
            "out_of_scope; or all."
        ),
    ] = "simple",
    questions_per_chunk: Annotated[int, typer.Option(min=1, max=10)] = 1,
    near_duplicate_threshold: Annotated[
        float | None,
        typer.Option(help="Cosine from which two questions are one.", min=0.01, max=1.0),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again where a reply could not be used.")
    ] = False,
    dataset: Annotated[
        str, typer.Option(help="export-annotation: dataset id or name; empty: newest synthetic.")
    ] = "",
) -> None:
    """Generate a dataset of questions, or export one to be annotated.

    Killed, it goes on where it stopped; run again, it asks nothing. What people marked with 0 in
    an exported file is left out when it is imported: rag-bench import-dataset FILE.
    """
    if mode not in MODES:
        raise RagBenchError(f"--mode is {mode!r}; it can be {' or '.join(MODES)}.")
    if mode == "export-annotation":
        _export(output, dataset)
        return
    if dataset:
        raise RagBenchError("--dataset is for export-annotation; see --skip-existing-dataset.")
    from rag_bench.llm.config.providers import Providers, Role
    from rag_bench.questions.plan import parse_types
    from rag_bench.source.question_files.dataset_export import refuse_touched
    from rag_bench.store import snapshots

    if output:
        refuse_touched(output)  # before anything is paid for
    names = [name.strip() for name in types.split(",") if name.strip()]
    kinds = _all_types() if names == ["all"] else [kind.value for kind in parse_types(names)]
    providers = Providers.from_environment()
    [writer, *more] = providers.resolve_models(Role.dataset, model or None)
    if model and more:
        raise RagBenchError("--model names one model: a dataset has one writer.")
    config: dict[str, Any] = {
        "model": writer,
        "critics": critics,
        "types": kinds,
        "questions_per_chunk": questions_per_chunk,
        "retry_failed": retry_failed,
    }
    if critic_model:
        config["critic_model"] = providers.resolve_models(Role.dataset, critic_model)[0]
    if max_questions:
        config["max_questions"] = max_questions
    if near_duplicate_threshold:
        config["near_duplicate_threshold"] = near_duplicate_threshold
    engine = open_engine()
    snapshot = snapshots.require_current(engine)
    if skip_existing_dataset:
        config["extends"] = _known_dataset(engine, snapshot, skip_existing_dataset).id
    if check_only:
        _check(engine, snapshot, config)
        return
    _materialize(config, generation_attempts)
    _show(engine, output)


def _materialize(config: dict[str, Any], attempts: int) -> None:
    """Materialize the asset; again where the model did not answer, until nothing is left."""
    sweep = open_sweep()
    for attempt in range(1, attempts + 1):
        with progress_bars():
            result = sweep.materialize(
                "synthetic dataset", ["synthetic_dataset"], ops={"synthetic_dataset": config}
            )
        waiting = any("Materialize again" in error for error in result.errors)
        if not waiting or attempt == attempts:
            check_stage(result)
            return
        errors.print(f"attempt {attempt}: {result.errors[0]}", highlight=False)


def _all_types() -> list[str]:
    from rag_bench.questions.writer import QuestionType

    return [kind.value for kind in QuestionType]


def _known_dataset(engine: Engine, snapshot: SnapshotInfo, reference: str) -> DatasetInfo:
    """Return a stored dataset of questions; a file is imported first."""
    from rag_bench.source.question_files.dataset_export import makers
    from rag_bench.source.question_files.dataset_files import read_gold
    from rag_bench.store import datasets, snapshots

    path = Path(reference)
    if path.is_file():
        items = read_gold([path], snapshots.chunks_of(engine, snapshot.sha256))
        source = {"file": path.name, **makers(items)}
        return datasets.save_dataset(engine, path.stem, "questions", items, source)
    found = datasets.find_dataset(engine, reference)
    if found is None:
        raise RagBenchError(f"There is no dataset or file {reference!r}; see rag-bench datasets.")
    return found


def _check(engine: Engine, snapshot: SnapshotInfo, config: dict[str, Any]) -> None:
    """Say what would be asked, and what of it is there already."""
    from rag_bench.questions.plan import parse_types
    from rag_bench.questions.recipe import Recipe
    from rag_bench.questions.synthetic import wishes_of
    from rag_bench.store import datasets, snapshots, synthetic
    from rag_bench.store.vectors import coverage
    from rag_bench.tiers.base.text_vectors import TextVectors

    chunks = snapshots.chunks_of(engine, snapshot.sha256)
    recipe = Recipe(
        writer=config["model"],
        critic=(config.get("critic_model") or config["model"]) if config["critics"] else None,
        types=parse_types(config["types"]),
        questions_per_chunk=config["questions_per_chunk"],
        max_questions=config.get("max_questions"),
        extends=config.get("extends"),
    )
    vectors = TextVectors(engine, get_settings())
    before = datasets.items_of(engine, recipe.extends) if recipe.extends else []
    wishes = wishes_of(recipe, chunks, before)
    saved = synthetic.saved_items(engine, recipe.hash)
    # A second chunk is part of an id, and is only known when the vectors are.
    made = {(item.chunk_hash, item.item_id.split("_")[2]) for item in saved.values()}
    left = [w for w in wishes if (w.chunk.chunk_hash, str(w.n)) not in made]
    present, wanted = coverage(
        engine, vectors.identity.key, vectors.chunk_hashes([chunk.text for chunk in chunks])
    )
    typer.echo(f"snapshot {snapshot.sha256[:12]} ({snapshot.name}): {len(chunks)} chunks")
    typer.echo(f"chunk embeddings: {present} of {wanted} (missing ones are made)")
    typer.echo(f"writer {recipe.writer}, critic {recipe.critic or 'none'}")
    if before:
        typer.echo(f"kept from {config['extends'][:12]}: {len(before)} questions")
    for kind, n in Counter(wish.type.value for wish in wishes).items():
        typer.echo(f"  {kind:<13} {n:>6} questions")
    typer.echo(
        f"{len(wishes)} questions to write, {len(wishes) - len(left)} of them asked for before; "
        "nothing was asked now"
    )


def _show(engine: Engine, output: Path | None) -> None:
    """Say what came of it, and write the file."""
    from rag_bench.source.question_files.dataset_export import export_questions, write_rows
    from rag_bench.store import datasets, snapshots

    info = datasets.newest_dataset(engine, "synthetic")
    if info is None:
        raise RagBenchError("The run ended without a dataset; see it in the UI.")
    record = datasets.source_of(engine, info.id)
    console.print(f"dataset {info}", highlight=False)
    counts = ("asked", "kept", "unusable", "rejected", "not_criticised", "duplicate")
    for name, found in record["by_type"].items():
        said = ", ".join(f"{found[count]} {count.replace('_', ' ')}" for count in counts)
        typer.echo(f"  {name}: {said}{_round_trip(found['round_trip'])}")
    for critic, n in record["rejected_by"].items():
        typer.echo(f"  rejected by {critic}: {n}")
    for warning in record["warnings"]:
        typer.echo(f"note: {warning}")
    if output:
        snapshot = snapshots.require_current(engine)
        chunks = snapshots.chunks_of(engine, snapshot.sha256)
        write_rows(output, export_questions(datasets.items_of(engine, info.id), chunks))
        typer.echo(f"written to {output}")


def _round_trip(trip: dict[str, Any] | None) -> str:
    if not trip or trip["hit@10"]["value"] is None:
        return ""
    found = ", ".join(f"{k} {trip[k]['value']:.2f}" for k in ("hit@1", "hit@10"))
    return f"; own chunk found: {found} of {trip['hit@1']['n_scored']}"


def _export(output: Path | None, reference: str) -> None:
    from rag_bench.source.question_files.dataset_export import export_annotation, write_rows
    from rag_bench.store import datasets, snapshots

    if output is None:
        raise RagBenchError("export-annotation needs --output, the file to write.")
    engine = open_engine()
    if reference:
        found = datasets.find_dataset(engine, reference)
        if found is None:
            raise RagBenchError(f"There is no dataset {reference!r}; see rag-bench datasets.")
    else:
        found = datasets.newest_dataset(engine, "synthetic")
        if found is None:
            raise RagBenchError(
                "There is no synthetic dataset yet: run rag-bench generate-dataset, or name "
                "another by --dataset."
            )
    snapshot = snapshots.current_snapshot(engine)
    chunks = snapshots.chunks_of(engine, snapshot.sha256) if snapshot else []
    items = datasets.items_of(engine, found.id)
    write_rows(output, export_annotation(items, chunks))
    console.print(f"dataset {found}", highlight=False)
    typer.echo(f"{len(items)} questions written to {output}")
    typer.echo(
        "Set is_question_ok, is_answer_ok or is_chunk_ok to 0 where something is wrong, then: "
        f"rag-bench import-dataset {output} --default"
    )
