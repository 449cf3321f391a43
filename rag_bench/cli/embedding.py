"""``rag-bench generate-embeddings``: vectors of chunks and of users' questions, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli.app import app, check_stage, open_engine, open_sweep, progress_bars
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine


@app.command("generate-embeddings")
def generate_embeddings(
    chunks: Annotated[bool, typer.Option("--chunks", help="Encode the chunks.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Encode the questions of users, all of them.")
    ] = False,
    score: Annotated[
        int | None,
        typer.Option(help="1 or 5: also count the questions that users rated so; all are encoded."),
    ] = None,
    check_coverage: Annotated[
        bool, typer.Option("--check-coverage", help="Only say how many texts have a vector.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Accepted; a vector cannot be stale, so nothing is done."),
    ] = False,
) -> None:
    """Encode what has no vector yet, and say how much of chunks and questions is covered."""
    if score is not None and score not in (1, 5):
        raise RagBenchError(f"--score is {score}; users rate by 1 or 5.")
    if not (chunks or everything or score or check_coverage):
        raise RagBenchError("Name what to encode: --chunks, --all or --score; or --check-coverage.")
    from rag_bench.store import snapshots

    engine = open_engine()
    snapshots.require_current(engine)
    if overwrite:
        typer.echo(
            "note: vectors are addressed by encoder and text, so a changed text or encoder has a "
            "vector of its own and none can be stale; those that are there are kept"
        )
    assets = ["chunk_embeddings"] * chunks + ["question_embeddings"] * bool(everything or score)
    if score and not everything:
        typer.echo("note: questions are encoded together, whatever their score")
    if assets and not check_coverage:
        with progress_bars():
            check_stage(open_sweep().materialize("embeddings", assets))
    _coverage(engine, score)


def _coverage(engine: Engine, score: int | None) -> None:
    from rag_bench.assets.inputs.embeddings import chunk_texts, question_texts
    from rag_bench.retrieval.identity import encoder_identity
    from rag_bench.store import snapshots

    encoder = encoder_identity(get_settings())
    typer.echo(f"encoder {encoder.name}")
    _say(engine, encoder.key, "chunks", chunk_texts(engine, encoder))
    _say(engine, encoder.key, "questions", question_texts(engine, encoder))
    if score:
        rows = snapshots.questions_of(engine, snapshots.require_current(engine).sha256)
        rated = [
            encoder.query_text(row.question)
            for row in rows
            if row.score == score and row.question.strip()
        ]
        _say(engine, encoder.key, f"questions rated {score}", rated)


def _say(engine: Engine, encoder_key: str, what: str, texts: Sequence[str]) -> None:
    """Count rows, as people know their tables; equal texts share a vector."""
    from rag_bench.hashing import text_hash
    from rag_bench.store.vectors import missing

    hashes = [text_hash(text) for text in texts]
    absent = missing(engine, encoder_key, hashes)
    with_vector = sum(text not in absent for text in hashes)
    share = f"{100 * with_vector / len(hashes):.2f} %" if hashes else "nothing to encode"
    typer.echo(f"{what}: {with_vector} of {len(hashes)} have a vector, {share}")
