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

    from rag_bench.retrieval.ahead import EncodingAhead
    from rag_bench.retrieval.embed import EmbedReport
    from rag_bench.retrieval.encoder import Encoder
    from rag_bench.retrieval.encoder_process import EncoderProcess
    from rag_bench.retrieval.identity import EncoderIdentity
    from rag_bench.settings import Settings


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(label: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass
class TextVectors:
    """The settings' encoder over the store of vectors; it is loaded when something is missing.

    It is loaded in this process, unless one of its own is running (``start``, ``soon``).
    """

    engine: Engine
    settings: Settings
    progress: Progress = field(default=silent)

    @cached_property
    def identity(self) -> EncoderIdentity:
        """The encoder's address, known without loading it."""
        from rag_bench.retrieval.identity import encoder_identity

        return encoder_identity(self.settings)

    @cached_property
    def _loaded(self) -> Encoder:
        from rag_bench.retrieval.encoder import load_encoder

        return load_encoder(self.settings)

    def _encoder(self) -> Encoder | EncoderProcess:
        from rag_bench.retrieval.encoder_process import running_process

        return running_process(self.settings) or self._loaded

    @cached_property
    def _ahead(self) -> EncodingAhead:
        from rag_bench.retrieval.ahead import EncodingAhead
        from rag_bench.retrieval.embed import embed_texts
        from rag_bench.retrieval.encoder_process import encoder_process

        return EncodingAhead(
            lambda exact: embed_texts(
                self.engine,
                lambda: encoder_process(self.settings).beside_calls,
                self.identity,
                exact,
            ),
            lambda done, given: self.progress("encoding answers", done, given),
        )

    def loaded(self) -> Encoder:
        """Return the encoder in this process; it is loaded once.

        Raises:
            ConfigurationError: there is no such encoder.
        """
        return self._loaded

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
            self._encoder,
            self.identity,
            exact,
            progress=lambda done, total: self.progress(label, done, total),
        )

    def start(self) -> None:
        """Have the encoder loaded by a process of its own, for texts that come while others work
        here; nothing is left to import in this process when they come.

        Raises:
            ConfigurationError: there is no such encoder.
        """
        from rag_bench.retrieval.encoder_process import encoder_process

        self.embed([], "")
        encoder_process(self.settings)

    def soon(self, exact: Sequence[str]) -> None:
        """Have these exact texts encoded beside whatever runs here, by the process of its own.

        Raises:
            Exception: that which ended the encoding of earlier texts.
        """
        self._ahead.add(exact)

    def await_soon(self, exact: Sequence[str]) -> None:
        """Return when none of these exact texts is under way; raises what ``soon`` does."""
        self._ahead.wait(exact)

    def stop_soon(self) -> None:
        """Encode no more of what was given to ``soon``."""
        if ahead := self.__dict__.pop("_ahead", None):
            ahead.stop()

    def stored(self, exact: Sequence[str]) -> np.ndarray:
        """Return the stored vectors (n, d) of exact texts, in their order."""
        from rag_bench.store.vectors import fetch_matrix

        return fetch_matrix(self.engine, self.identity.key, [text_hash(text) for text in exact])

    def _of(self, exact: Sequence[str], label: str) -> np.ndarray:
        self.embed(exact, label)
        return self.stored(exact)
