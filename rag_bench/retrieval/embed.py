"""Encoding what has no vector yet, saved as it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.hashing import text_hash
from rag_bench.progress import report
from rag_bench.retrieval.encoder import EncodedBatch, Progress
from rag_bench.retrieval.identity import EncoderIdentity
from rag_bench.store import vectors
from rag_bench.store.database import only_one

# A kill loses at most this many encoded texts.
SAVE_EVERY = 512


class Encodes(Protocol):
    """An encoder, in this process or in one of its own."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> EncodedBatch: ...


@dataclass(frozen=True)
class EmbedReport:
    """What one pass of ``embed_texts`` did.

    Attributes:
        n_texts: Texts given.
        n_distinct: Different texts among them.
        n_encoded: Encoded now; 0 when nothing was missing.
        n_reused: Distinct texts that had a vector already.
        n_truncated: Distinct texts cut by the encoder's token limit, reused ones included.
        seconds: Wall time, loading the encoder included.
    """

    n_texts: int
    n_distinct: int
    n_encoded: int
    n_reused: int
    n_truncated: int
    seconds: float

    @property
    def truncated_share(self) -> float:
        """The share of distinct texts that were cut; 0 without texts."""
        return self.n_truncated / self.n_distinct if self.n_distinct else 0.0


def embed_texts(
    engine: Engine,
    encoder_loader: Callable[[], Encodes],
    identity: EncoderIdentity,
    texts: Iterable[str],
    progress: Progress | None = None,
) -> EmbedReport:
    """Make sure that each text has a vector, encoding only what is missing.

    The encoder is not loaded when nothing is missing.

    Args:
        engine: The database.
        encoder_loader: Loads the encoder; called at most once.
        identity: Of the encoder that ``encoder_loader`` gives.
        texts: Exact texts to encode: ``identity.query_text`` of questions,
            ``identity.passage_text`` of chunks.
        progress: Called with (missing texts done, missing texts).

    Raises:
        RagBenchError: the loaded encoder is not the one that ``identity`` describes.
    """
    started = time.monotonic()
    given = list(texts)
    by_hash = {text_hash(value): value for value in given}
    missing = vectors.missing(engine, identity.key, by_hash)
    if missing:
        # Two runs that miss the same texts (a sensor's and a person's) would encode them twice.
        with only_one(engine, f"encoding {identity.key}", _say_waiting):
            missing = vectors.missing(engine, identity.key, by_hash)
            _encode(engine, encoder_loader, identity, by_hash, missing, progress)
    n_truncated, _ = vectors.truncated_count(engine, identity.key, by_hash)
    return EmbedReport(
        n_texts=len(given),
        n_distinct=len(by_hash),
        n_encoded=len(missing),
        n_reused=len(by_hash) - len(missing),
        n_truncated=n_truncated,
        seconds=time.monotonic() - started,
    )


def _encode(
    engine: Engine,
    encoder_loader: Callable[[], Encodes],
    identity: EncoderIdentity,
    by_hash: Mapping[str, str],
    missing: Collection[str],
    progress: Progress | None,
) -> None:
    if not missing:
        return
    encoder = encoder_loader()
    if encoder.key != identity.key:
        raise RagBenchError(
            f"The encoder loaded ({encoder.name}) is not the one expected ({identity.name}): "
            "its files changed meanwhile. Run again."
        )
    # Near equal lengths in a block make its batches even; ties by hash, to be repeatable.
    ordered = sorted(missing, key=lambda item: (-len(by_hash[item]), item))
    for start in range(0, len(ordered), SAVE_EVERY):
        block = ordered[start : start + SAVE_EVERY]
        encoded = encoder.encode(
            [by_hash[item] for item in block], _shifted(progress, start, len(ordered))
        )
        vectors.save_vectors(
            engine,
            identity.key,
            identity.name,
            block,
            encoded.vectors,
            encoded.n_tokens,
            encoded.truncated,
        )


def _say_waiting() -> None:
    report("waiting for another run that encodes texts", 0, 1)


def _shifted(progress: Progress | None, offset: int, total: int) -> Progress | None:
    """Return a callback that counts a block's texts as part of all."""
    if progress is None:
        return None
    return lambda done, _: progress(offset + done, total)
