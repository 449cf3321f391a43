"""Group embeddings: vectors of chunks and of users' questions, addressed by their exact text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import log_progress
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.inputs.source import chunk, question_answer
from rag_bench.hashing import content_hash, text_hash
from rag_bench.resources import DatabaseResource
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.retrieval.identity import EncoderIdentity

GROUP = "embeddings"


@asset(group_name=GROUP, kinds={"postgres", "pytorch"}, deps=[chunk], code_version="1")
def chunk_embeddings(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult:
    """A vector for every chunk, made once per encoder and text; only new texts are encoded.

    `truncated_share` is the share of chunks that are longer than the encoder reads.
    """
    from rag_bench.retrieval.identity import encoder_identity

    encoder = encoder_identity(get_settings())
    return _embed(context, database.engine, encoder, chunk_texts(database.engine, encoder))


@asset(group_name=GROUP, kinds={"postgres", "pytorch"}, deps=[question_answer], code_version="1")
def question_embeddings(
    context: dg.AssetExecutionContext, database: DatabaseResource
) -> dg.MaterializeResult:
    """A vector for every question that users asked: all of them, not only the rated ones."""
    from rag_bench.retrieval.identity import encoder_identity

    encoder = encoder_identity(get_settings())
    return _embed(context, database.engine, encoder, question_texts(database.engine, encoder))


def chunk_texts(engine: "Engine", encoder: "EncoderIdentity") -> list[str]:
    """Return the exact texts encoded for the current snapshot's chunks."""
    from rag_bench.store import snapshots

    snapshot = snapshots.require_current(engine)
    return [encoder.passage_text(row.text) for row in snapshots.chunks_of(engine, snapshot.sha256)]


def question_texts(engine: "Engine", encoder: "EncoderIdentity") -> list[str]:
    """Return the exact texts encoded for the current snapshot's questions of users."""
    from rag_bench.store import snapshots

    snapshot = snapshots.require_current(engine)
    rows = snapshots.questions_of(engine, snapshot.sha256)
    return [encoder.query_text(row.question) for row in rows if row.question.strip()]


def _embed(
    context: dg.AssetExecutionContext,
    engine: "Engine",
    encoder: "EncoderIdentity",
    texts: Sequence[str],
) -> dg.MaterializeResult:
    from rag_bench import progress
    from rag_bench.retrieval.embed import embed_texts
    from rag_bench.retrieval.encoder import load_encoder
    from rag_bench.store.vectors import coverage

    with log_progress(context):
        report = embed_texts(
            engine,
            lambda: load_encoder(get_settings()),
            encoder,
            texts,
            progress=lambda done, total: progress.report(context.asset_key.path[-1], done, total),
        )
    hashes = sorted({text_hash(text) for text in texts})
    present, wanted = coverage(engine, encoder.key, hashes)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(content_hash([encoder.key, hashes])),
        metadata={
            "n_texts": report.n_texts,
            "n_distinct": report.n_distinct,
            "n_encoded": report.n_encoded,
            "n_reused": report.n_reused,
            "truncated_share": report.n_truncated / report.n_distinct if report.n_distinct else 0.0,
            "coverage": present / wanted if wanted else 1.0,
            "seconds": report.seconds,
            "encoder": encoder.name,
            "encoder_key": encoder.key,
        },
    )


ASSETS = [chunk_embeddings, question_embeddings]
