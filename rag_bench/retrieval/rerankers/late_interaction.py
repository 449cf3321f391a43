"""Late interaction: the best matching token of a passage for each token of a question.

MaxSim of Khattab and Zaharia (SIGIR 2020), over the token vectors of the settings' encoder, which
was trained for vectors of whole texts and not for this: a baseline that needs no weights of its
own. Here, other than there, the sum over a question's tokens is divided by their number, which
changes no order and keeps scores between -1 and 1; nothing is cut from or added to a text's tokens
but the encoder's prefix, which it was trained with, and special tokens, which are left out.

    score(q, d) = 1 / |q| · Σ over tokens i of q of max over tokens j of d of cos(q_i, d_j)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from rag_bench.hashing import text_hash
from rag_bench.retrieval.identity import EncoderIdentity

#: Part of the content: raise it when the same vectors come to other scores.
VERSION = 1
#: Of token vectors that are kept for the next questions; a passage takes about 200 KB.
MEMORY_BYTES = 256_000_000
# Passages that are encoded, and compared with all of their questions, at a time.
_BLOCK = 256


class EncodesTokens(Protocol):
    """An encoder that gives the vectors of tokens."""

    @property
    def identity(self) -> EncoderIdentity: ...
    def encode_tokens(self, texts: Sequence[str]) -> list[np.ndarray]: ...


def max_sim(questions: Sequence[np.ndarray], passage: np.ndarray) -> np.ndarray:
    """Return, for each question, the mean over its tokens of the greatest cosine with a passage's.

    Args:
        questions: n of float32, shape (tokens, d), rows of length 1.
        passage: likewise, of one passage.

    Returns:
        float64, shape (n,); 0 where either has no token at all: nothing speaks for the passage.
    """
    found = np.zeros(len(questions))
    sizes = np.array([len(tokens) for tokens in questions])
    some = np.flatnonzero(sizes)
    if not len(some) or not len(passage):
        return found
    # All questions in one product: it is the same work, done better.
    stacked = np.concatenate([questions[int(n)] for n in some])
    best = (stacked @ passage.T).max(axis=1).astype(np.float64)
    starts = np.cumsum(sizes[some]) - sizes[some]
    found[some] = np.add.reduceat(best, starts) / sizes[some]
    return found


class LateInteraction:
    """MaxSim over an encoder's token vectors; those of passages are kept, in bounded memory."""

    at_once = 512

    def __init__(self, encoder: EncodesTokens, memory_bytes: int = MEMORY_BYTES) -> None:
        self._encoder = encoder
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._most = memory_bytes
        self.n_encoded = 0  # passages

    def read(self, passages: Sequence[str]) -> None:
        """Encode the passages that are not kept yet, as of `Scorer`."""
        identity = self._encoder.identity
        for start in range(0, len(passages), _BLOCK):
            block = passages[start : start + _BLOCK]
            self._vectors([identity.passage_text(text) for text in block])

    def scores(
        self, questions: Sequence[str], places: Sequence[Sequence[int]], passages: Sequence[str]
    ) -> list[np.ndarray]:
        """Return the scores of each question's passages, as of `Scorer`.

        A passage is encoded once at most, however many questions it is a candidate of.
        """
        identity = self._encoder.identity
        asked = self._encoder.encode_tokens([identity.query_text(text) for text in questions])
        found = [np.full(len(row), np.nan) for row in places]
        wanted: dict[int, list[tuple[int, int]]] = {}
        for question, row in enumerate(places):
            for column, place in enumerate(row):
                wanted.setdefault(place, []).append((question, column))
        order = list(wanted)
        for start in range(0, len(order), _BLOCK):
            block = order[start : start + _BLOCK]
            vectors = self._vectors([identity.passage_text(passages[place]) for place in block])
            for place, tokens in zip(block, vectors, strict=True):
                own = max_sim([asked[question] for question, _ in wanted[place]], tokens)
                for (question, column), score in zip(wanted[place], own, strict=True):
                    found[question][column] = score
        return found

    def _vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the token vectors of passages, those that are kept or made now."""
        hashes = [text_hash(text) for text in texts]
        new = {h: text for h, text in zip(hashes, texts, strict=True) if h not in self._kept}
        made = dict(zip(new, self._encoder.encode_tokens(list(new.values())), strict=True))
        self.n_encoded += len(made)
        found = [made[h] if h in made else self._kept[h] for h in hashes]
        for used in hashes:
            if used in self._kept:
                self._kept.move_to_end(used)
        self._keep(made.items())
        return found

    def _keep(self, made: Iterable[tuple[str, np.ndarray]]) -> None:
        """Keep new vectors, and forget those that were not used for the longest time."""
        for address, vectors in made:
            self._kept[address] = vectors
            self._bytes += vectors.nbytes
        while self._bytes > self._most and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
