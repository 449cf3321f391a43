"""Vectors of texts, made where they are missing: all that a tier or an analysis needs of the
encoder, with or without a dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from rag_bench.hashing import text_hash

if TYPE_CHECKING:
    import numpy as np
    from sqlalchemy import Engine

    from rag_bench.retrieval.embed import EmbedReport
    from rag_bench.retrieval.encoder import Encoder
    from rag_bench.retrieval.identity import EncoderIdentity
    from rag_bench.settings import Settings


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(label: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass
class TextVectors:
    """The settings' encoder over the store of vectors; it is loaded when something is missing."""

    engine: Engine
    settings: Settings
    progress: Progress = field(default=silent)
    _rehearsed: bool = field(default=False, init=False)

    @cached_property
    def identity(self) -> EncoderIdentity:
        """The encoder's address, known without loading it."""
        from rag_bench.retrieval.identity import encoder_identity

        return encoder_identity(self.settings)

    @cached_property
    def _encoder(self) -> Encoder:
        from rag_bench.retrieval.encoder import load_encoder

        return load_encoder(self.settings)

    def of_questions(self, questions: Sequence[str]) -> np.ndarray:
        """Return vectors (n, d) of questions as they are searched with."""
        return self._of([self.identity.query_text(q) for q in questions], "encoding questions")

    def of_chunks(self, chunks: Sequence[str]) -> np.ndarray:
        """Return vectors (n, d) of chunks as they are searched in."""
        return self._of([self.identity.passage_text(c) for c in chunks], "encoding chunks")

    def chunk_hashes(self, chunks: Sequence[str]) -> list[str]:
        """Return the addresses of chunks' vectors, of which none need be there."""
        return [text_hash(self.identity.passage_text(text)) for text in chunks]

    def embed(self, exact: Sequence[str], label: str) -> EmbedReport:
        """Make sure that these exact texts (prefix included) have a vector."""
        from rag_bench.retrieval.embed import embed_texts

        return embed_texts(
            self.engine,
            lambda: self._encoder,
            self.identity,
            exact,
            progress=lambda done, total: self.progress(label, done, total),
        )

    def rehearse(self) -> None:
        """Load the encoder and encode a word, so that nothing is left to import for the next text.

        Raises:
            ConfigurationError: as of `load_encoder`.
        """
        if not self._rehearsed:
            self._encoder.encode([self.identity.query_text("проба")])
            self._rehearsed = True

    def stored(self, exact: Sequence[str]) -> np.ndarray:
        """Return the stored vectors (n, d) of exact texts, in their order."""
        from rag_bench.store.vectors import fetch_matrix

        return fetch_matrix(self.engine, self.identity.key, [text_hash(text) for text in exact])

    def _of(self, exact: Sequence[str], label: str) -> np.ndarray:
        self.embed(exact, label)
        return self.stored(exact)
